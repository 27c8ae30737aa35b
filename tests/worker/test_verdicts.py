"""What a job raises to say how its attempt ends, which errors are retried, and what expires."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asyncjobs import Cancel, ConfigError, Retry, Snooze, WaitError, constant


async def test_a_job_that_snoozes_runs_again_at_no_cost(bench: Any) -> None:
    attempts: list[int] = []

    @bench.jobs.job
    async def later_please() -> None:
        from asyncjobs import current_job

        attempts.append(current_job().attempt)
        if len(attempts) < 3:
            raise Snooze(0)

    stored = await bench.later(later_please())
    async with bench.working():
        record = await bench.until(stored.id, "succeeded")
    assert attempts == [1, 1, 1]
    assert json.loads(record.errors) == []


async def test_a_snoozed_job_waits_for_its_time(bench: Any) -> None:
    @bench.jobs.job
    async def tomorrow() -> None:
        raise Snooze(timedelta(days=1))

    stored = await bench.later(tomorrow())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("scheduled", 0)
    assert record.run_at - stored.run_at > timedelta(hours=23)


async def test_a_retry_says_when_and_counts_as_a_failure(make_bench: Any) -> None:
    bench = await make_bench(max_attempts=2)

    @bench.jobs.job(retry_on=KeyError)
    async def busy() -> None:
        raise Retry("still busy", after=timedelta(hours=3))

    stored = await bench.later(busy())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("scheduled", 1)
    assert timedelta(hours=2) < record.run_at - stored.run_at < timedelta(hours=4)
    assert json.loads(record.errors)[0]["message"] == "still busy"


async def test_retries_end_with_the_attempts(make_bench: Any) -> None:
    bench = await make_bench(max_attempts=3)

    @bench.jobs.job
    async def busy() -> None:
        raise Retry(after=0)

    stored = await bench.later(busy())
    async with bench.working():
        record = await bench.until(stored.id, "failed")
    assert [error["attempt"] for error in json.loads(record.errors)] == [1, 2, 3]


async def test_a_retry_without_a_time_waits_as_the_backoff_says(bench: Any) -> None:
    @bench.jobs.job(backoff=constant(5_000, jitter=0))
    async def busy() -> None:
        raise Retry

    stored = await bench.later(busy())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert timedelta(seconds=4_900) < record.run_at - stored.run_at < timedelta(seconds=5_100)


async def test_a_job_that_cancels_itself_is_kept_with_its_reason(bench: Any) -> None:
    @bench.jobs.job
    async def nobody_needs() -> None:
        raise Cancel("the user is gone")

    stored = await bench.later(nobody_needs())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "cancelled"
    assert record.finished_at is not None
    assert json.loads(record.errors)[0]["message"] == "the user is gone"
    assert (await bench.until_logged("job.cancelled"))["reason"] == "the user is gone"


async def test_a_snooze_that_does_not_know_its_delay_is_a_failure(bench: Any) -> None:
    class NotYet(Snooze):
        def __init__(self, why: str) -> None:  # and forgets super().__init__
            self.why = why

    class Soon(Snooze):
        def __init__(self) -> None:
            self.delay = "soon"  # type: ignore[assignment]

    @bench.jobs.job(max_attempts=1)
    async def work(is_soon: bool) -> None:
        raise Soon if is_soon else NotYet("the shop is closed")

    unknown, nonsense = await bench.later.many([work(False), work(True)])
    await bench.jobs.workoff()
    for stored, name in (unknown, "AttributeError"), (nonsense, "WaitError"):
        record = await bench.record(stored.id)
        assert (record.state, record.attempt) == ("failed", 1)
        [error] = json.loads(record.errors)
        assert error["error"] == name
        assert "delay" in error["message"]
        assert "raise Soon if is_soon" in error["traceback"]


async def test_a_cancel_without_words_cancels_the_job(bench: Any) -> None:
    class Gone(Cancel):
        def __str__(self) -> str:
            raise SystemExit(7)

    @bench.jobs.job
    async def work() -> None:
        raise Gone

    stored = await bench.later(work())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "cancelled"
    told = "(its message cannot be had: SystemExit)"
    assert json.loads(record.errors)[0]["message"] == told
    assert (await bench.until_logged("job.cancelled"))["reason"] == told


async def test_only_what_is_to_be_retried_is(bench: Any) -> None:
    @bench.jobs.job(retry_on=(OSError, KeyError), discard_on=FileNotFoundError)
    async def touchy(kind: str) -> None:
        raise {"key": KeyError, "gone": FileNotFoundError, "value": ValueError}[kind](kind)

    stored = [await bench.later(touchy(kind)) for kind in ("key", "gone", "value")]
    await bench.jobs.workoff()
    states = [(await bench.record(one.id)).state for one in stored]
    assert states == ["scheduled", "failed", "failed"]


async def test_a_job_that_expired_is_dropped_visibly(bench: Any) -> None:
    ran: list[str] = []

    @bench.jobs.job
    async def send_code(name: str) -> None:
        ran.append(name)

    late = await bench.later(send_code("late"), expires=0.000_001)
    past = await bench.later(send_code("past"), expires=datetime(2020, 1, 1, tzinfo=UTC))
    good = await bench.later(send_code("good"), expires=timedelta(hours=1))
    plain = await bench.later(send_code("plain"))
    await bench.jobs.workoff()
    assert sorted(ran) == ["good", "plain"]
    for job in (late, past):
        record = await bench.record(job.id)
        assert record.state == "cancelled"
        assert json.loads(record.errors)[0]["error"] == "ExpiredError"
    assert (await bench.record(good.id)).expires_at - good.run_at == timedelta(hours=1)
    assert (await bench.record(plain.id)).expires_at is None
    await bench.until_logged("job.expired")


async def test_the_jobs_own_expiry_holds_unless_the_call_has_another(bench: Any) -> None:
    @bench.jobs.job(expires=600)
    async def code() -> None: ...

    own = await bench.record((await bench.later(code())).id)
    other = await bench.record((await bench.later(code(), expires=60)).id)
    assert own.expires_at - own.created_at == timedelta(seconds=600)
    assert other.expires_at - other.created_at == timedelta(seconds=60)


@pytest.mark.parametrize(
    "options",
    [{"expires": 0}, {"expires": -1}, {"expires": "1 h"}, {"expires": datetime(2030, 1, 1)}],
)
async def test_an_expiry_that_cannot_be_is_refused(bench: Any, options: Any) -> None:
    @bench.jobs.job
    async def code() -> None: ...

    with pytest.raises(WaitError, match=r"^expires must "):
        await bench.later(code(), **options)


async def test_a_wait_beyond_the_expiry_is_refused(bench: Any) -> None:
    @bench.jobs.job
    async def code() -> None: ...

    with pytest.raises(WaitError, match="expires after 60 s, but waits for 60 s"):
        await bench.later(code(), wait=60, expires=60)


@pytest.mark.parametrize("classes", ["KeyError", 5, (KeyError, 5), [KeyError], int])
@pytest.mark.parametrize("option", ["retry_on", "discard_on"])
def test_classes_that_are_none_are_refused(option: str, classes: Any) -> None:
    from asyncjobs.definition import JobOptions

    with pytest.raises(ConfigError, match=f"{option} must be exception classes"):
        JobOptions(**{option: classes})


@pytest.mark.parametrize("verdict", [Retry("busy", after=5), Snooze(7), Cancel("gone")])
def test_verdicts_survive_pickling(verdict: Any) -> None:
    found = pickle.loads(pickle.dumps(verdict))
    assert type(found) is type(verdict)
    assert vars(found) == vars(verdict)


@pytest.mark.parametrize("delay", [-1, float("nan"), "soon"])
def test_a_verdict_with_an_impossible_time_is_refused(delay: Any) -> None:
    with pytest.raises(WaitError):
        Snooze(delay)
    with pytest.raises(WaitError):
        Retry(after=delay)
