"""Results: kept when asked, typed, awaited from anywhere, and gone when their time is over."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections.abc import Sequence  # noqa: TC003 - read at run time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

import anyio
import pytest
from pydantic import BaseModel, PlainSerializer, PlainValidator, field_serializer

from asyncjobs import (
    ConfigError,
    DetachedJobError,
    JobCancelledError,
    JobFailedError,
    JobGoneError,
    JobManager,
    JobState,
    MemoryAdapter,
    NotAJobError,
    NotOpenError,
    PostgresAdapter,
    ResultNotKeptError,
    ResultTimeoutError,
    StoredResultError,
    WaitError,
    WorkerGroup,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR = timedelta(hours=1)
PATIENCE = 20


@dataclass
class Total:
    key: UUID
    at: datetime
    parts: list[int]


class Meeting(BaseModel):
    """Writes minutes, and reads seconds."""

    duration: timedelta

    @field_serializer("duration")
    def minutes(self, duration: timedelta) -> float:
        return duration.total_seconds() / 60


class Token:
    """A type without an equality of its own."""

    def __init__(self, text: str) -> None:
        self.text = text


READ_TOKEN = PlainValidator(lambda v: v if isinstance(v, Token) else Token(v))
WRITE_TOKEN = PlainSerializer(lambda token: token.text)


@pytest.fixture
async def far(bench: Any, adapter: Any) -> AsyncIterator[Any]:
    """A scheduler as another process has it: with a manager and connections of its own."""
    if isinstance(adapter, MemoryAdapter):
        yield bench.jobs.create_scheduler(adapter="main")
        return
    other = JobManager(adapters={"main": PostgresAdapter(adapter._dsn)})
    async with other:
        yield other.create_scheduler(adapter="main")


async def test_a_result_comes_back_as_what_the_job_is_annotated_to_return(bench: Any) -> None:
    key, now = uuid4(), datetime.now(UTC)

    @bench.jobs.job(retain=HOUR)
    async def total(key: UUID) -> Total:
        return Total(key, now, [1, 2])

    async with bench.working():
        job = await bench.later(total(key))
        assert await job.result(timeout=PATIENCE) == Total(key, now, [1, 2])
    assert job.state is JobState.SUCCEEDED


async def test_a_plain_function_has_a_result_too(bench: Any) -> None:
    @bench.jobs.job
    def add(a: int, b: int) -> int:
        return a + b

    async with bench.working():
        assert await (await bench.later(add(2, 3), retain=60)).result(PATIENCE) == 5


async def test_another_process_can_wait_for_the_result_by_the_id(bench: Any, far: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def add(a: int, b: int) -> set[int]:
        return {a, b}

    job = await bench.later(add(2, 3))
    with anyio.fail_after(PATIENCE):
        typed, plain = await far.job(job.id, add), await far.job(job.id)
        waiting = asyncio.gather(typed.result(), plain.result())
        async with bench.working():
            first, second = await waiting
    assert first == {2, 3}
    assert sorted(second) == [2, 3]
    assert (typed.name, typed.queue, typed.state) == ("add", "default", "succeeded")


async def test_none_is_a_result(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def nothing() -> None: ...

    async with bench.working():
        assert await (await bench.later(nothing())).result(PATIENCE) is None


async def test_a_result_stays_after_it_was_read(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    async with bench.working():
        job = await bench.later(one())
        assert [await job.result(PATIENCE) for _ in range(2)] == [1, 1]
    assert (await bench.record(job.id)).result == "1"


async def test_a_job_that_was_not_asked_keeps_nothing_and_says_so_at_once(bench: Any) -> None:
    @bench.jobs.job
    async def one() -> int:
        return 1

    job = await bench.later(one())
    with pytest.raises(ResultNotKeptError, match=r"'one' \(\d+\) keeps no result: .* retain="):
        await job.result()
    with pytest.raises(ResultNotKeptError):
        await (await bench.later.job(job.id)).result()
    async with bench.working():
        assert (await bench.until(job.id, "succeeded")).result is None


async def test_the_result_of_an_equal_job_is_kept_as_the_call_that_stored_it_said(
    bench: Any,
) -> None:
    @bench.jobs.job
    async def double(number: int) -> int:
        return number * 2

    kept = await bench.later(double(1), unique="kept", retain=HOUR, priority=7)
    equal = await bench.later(double(2), unique="kept")
    await bench.later(double(3), unique="not kept", priority=7)
    other = await bench.later(double(4), unique="not kept", retain=HOUR)
    with pytest.raises(ResultNotKeptError):
        await other.result(PATIENCE)
    await bench.later.delete(other.id)
    with pytest.raises(JobGoneError):
        await other.result(PATIENCE)
    async with bench.working():
        assert await equal.result(PATIENCE) == 2
    assert (equal.id, equal.is_new, equal.priority) == (kept.id, False, 7)
    await equal.refresh()
    assert (equal.state, equal.is_new, equal.priority) == ("succeeded", False, 7)


async def test_a_failed_job_raises_its_error_with_the_stored_record(bench: Any, far: Any) -> None:
    @bench.jobs.job(retain=HOUR, max_attempts=2, backoff=lambda *_: 0)
    async def fail() -> int:
        raise ZeroDivisionError("by zero, ü")

    job = await bench.later(fail())
    other = await far.job(job.id, fail)
    async with bench.working():
        with pytest.raises(JobFailedError, match="attempt 2: ZeroDivisionError: by zero, ü") as e:
            await other.result(PATIENCE)
    assert (e.value.id, e.value.name, e.value.error) == (job.id, "fail", "ZeroDivisionError")
    assert (e.value.message, e.value.record["attempt"]) == ("by zero, ü", 2)
    assert "raise ZeroDivisionError" in e.value.record["traceback"]


async def test_a_cancelled_job_raises_that_it_was_cancelled(bench: Any, far: Any) -> None:
    running = asyncio.Event()

    @bench.jobs.job(retain=HOUR)
    async def wait() -> None:
        running.set()
        await asyncio.sleep(3600)

    future = await bench.later(wait(), wait=3600)
    now = await bench.later(wait())
    jobs = [await far.job(job.id) for job in (future, now)]
    results = [asyncio.create_task(job.result(PATIENCE)) for job in jobs]
    async with bench.working():
        await running.wait()
        for job in (future, now):
            await bench.later.cancel(job.id)
        for result in results:
            with pytest.raises(JobCancelledError):
                await result


async def test_whoever_does_not_wait_long_enough_is_told(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    job = await bench.later(one())
    with pytest.raises(ResultTimeoutError, match=r"did not end within 0\.05 s") as error:
        await job.result(timeout=timedelta(seconds=0.05))
    assert isinstance(error.value, TimeoutError)
    async with bench.working():
        assert await job.result(PATIENCE) == 1


async def test_whoever_waits_for_no_time_gets_what_there_is(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def double(number: int) -> int:
        return 2 * number

    @bench.jobs.job
    async def forget() -> None: ...

    stored = await bench.later(double(4))
    for timeout in (0, -1, timedelta(0)):
        with pytest.raises(ResultTimeoutError, match="within 0 s"):
            await stored.result(timeout=timeout)
    await bench.jobs.workoff()
    assert [await stored.result(timeout=timeout) for timeout in (0, -1, timedelta(0))] == [8] * 3
    assert await bench.later.wait_all([stored, stored], timeout=0) == [8, 8]
    await bench.later.delete(ids=[stored.id])
    with pytest.raises(JobGoneError):
        await stored.result(timeout=0)
    with pytest.raises(ResultNotKeptError):
        await (await bench.later(forget())).result(timeout=0)


async def test_the_first_handle_of_a_replaced_job_knows_what_the_last_call_said(
    bench: Any,
) -> None:
    @bench.jobs.job
    async def double(number: int) -> int:
        return 2 * number

    now_kept = await bench.later(double(1), unique="kept")
    await bench.later(double(2), unique="kept", on_conflict="replace", retain=HOUR)
    now_lost = await bench.later(double(1), unique="lost", retain=HOUR)
    await bench.later(double(2), unique="lost", on_conflict="replace")
    with pytest.raises(ResultNotKeptError):
        await now_lost.result()
    await bench.jobs.workoff()
    assert await now_kept.result(timeout=PATIENCE) == 4
    gone = await bench.later(double(3), unique="gone")
    await bench.jobs.workoff()
    with pytest.raises(ResultNotKeptError):
        await gone.result()


async def test_a_row_that_is_removed_ends_the_waiting(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    job = await bench.later(one())
    result = asyncio.create_task(job.result(PATIENCE))
    await bench.jobs.clear()
    with pytest.raises(JobGoneError):
        await result
    with pytest.raises(JobGoneError):
        await job.refresh()
    with pytest.raises(JobGoneError):
        await bench.later.job(job.id)


async def test_wait_all_returns_the_results_in_the_order_given(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def square(n: int) -> int:
        return n * n

    jobs = await bench.later.many([square(n) for n in range(300)])
    async with bench.working():
        found = await bench.later.wait_all(reversed(jobs), timeout=PATIENCE)
    assert found == [n * n for n in reversed(range(300))]
    assert await bench.later.wait_all([]) == []


async def test_wait_all_raises_the_first_failure_without_waiting_for_the_rest(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR, max_attempts=1)
    async def fail() -> int:
        raise ValueError("no")

    jobs = [await bench.later(fail(), wait=3600), await bench.later(fail())]
    async with bench.working():
        with pytest.raises(JobFailedError, match="ValueError: no"):
            await bench.later.wait_all(jobs, timeout=PATIENCE)


async def test_wait_all_has_one_timeout_for_all(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    jobs = await bench.later.many([one(), one()])
    with pytest.raises(ResultTimeoutError):
        await bench.later.wait_all(jobs, timeout=0.05)


async def test_refresh_looks_how_it_stands_now(bench: Any) -> None:
    @bench.jobs.job
    async def one() -> int:
        return 1

    job = await bench.later(one())
    assert (await job.refresh()).state is JobState.AVAILABLE
    await bench.later.cancel(job.id)
    assert job.state is JobState.AVAILABLE
    assert await job.refresh() is job
    assert job.state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("text", "it: input should be a valid integer, got 'text'"),
        (float("nan"), "it: input should be"),
        (object(), "it: input should be"),
    ],
)
async def test_what_is_not_as_annotated_fails_the_job_without_a_retry(
    bench: Any, value: Any, problem: str
) -> None:
    @bench.jobs.job(retain=HOUR)
    async def wrong() -> int:
        return value

    async with bench.working():
        with pytest.raises(JobFailedError, match=problem) as error:
            await (await bench.later(wrong())).result(PATIENCE)
    assert (error.value.error, error.value.record["attempt"]) == ("ResultError", 1)
    assert "the result of the job 'wrong' cannot be stored" in error.value.message


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a\0b", "null character"),
        ({"a\0": 1}, "null character"),
        (float("inf"), "comes back different from JSON.*stored: null"),
        ((1, 2), "it"),
        (datetime.now(UTC), "it"),
        ("x" * 1001, "it has 1003 bytes of JSON, more than the max_result of 1000"),
        ("\ud800", "it"),
    ],
)
async def test_what_cannot_be_stored_fails_the_job_and_no_other(
    make_bench: Any, value: Any, problem: str
) -> None:
    bench = await make_bench(max_result=1000)

    @bench.jobs.job(retain=HOUR)
    async def give(good: bool):
        return "\\u0000" * 100 if good else value

    good, bad = await bench.later.many([give(True), give(False)])
    async with bench.working():
        assert await good.result(PATIENCE) == "\\u0000" * 100
        with pytest.raises(JobFailedError, match=problem):
            await bad.result(PATIENCE)


async def test_a_result_that_would_come_back_as_another_value_fails_the_job(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def book() -> Meeting:
        return Meeting(duration=timedelta(minutes=60))

    problem = (
        "comes back different from JSON; annotate what the job returns with a type that fits "
        r'\(stored: {"duration":60.0}\)'
    )
    async with bench.working():
        with pytest.raises(JobFailedError, match=problem):
            await (await bench.later(book())).result(PATIENCE)


async def test_a_result_that_is_the_same_or_cannot_be_compared_is_kept(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def numbers() -> Sequence[int]:
        return (1, 2)

    @bench.jobs.job(retain=HOUR)
    async def token() -> Annotated[Token, READ_TOKEN, WRITE_TOKEN]:
        return Token("a")

    async with bench.working():
        assert await (await bench.later(numbers())).result(PATIENCE) == [1, 2]
        assert (await (await bench.later(token())).result(PATIENCE)).text == "a"


async def test_a_type_without_json_is_refused_where_the_result_is_asked_for(bench: Any) -> None:
    class Opaque: ...

    async def give() -> Opaque:
        return Opaque()

    give.__annotations__["return"] = Opaque
    with pytest.raises(ConfigError, match="job 'give': what it returns has no JSON"):
        bench.jobs.job(retain=HOUR)(give)
    job = bench.jobs.job(give)
    await bench.later(job())
    with pytest.raises(ConfigError, match="what it returns has no JSON"):
        await bench.later(job(), retain=60)


@pytest.mark.parametrize("retain", [0, -1, True, "1h", float("nan"), float("inf"), 0.5])
async def test_nonsense_is_no_time_to_keep_a_job_for(bench: Any, retain: Any) -> None:
    async def one() -> int:
        return 1

    with pytest.raises(ConfigError, match="retain must be"):
        bench.jobs.job(retain=retain)(one)
    with pytest.raises(ConfigError, match="retain must be"):
        await bench.later(bench.jobs.job(one)(), retain=retain)
    with pytest.raises(ConfigError, match="retain must be"):
        WorkerGroup(adapter="main", retain=retain)


async def test_a_job_is_either_kept_or_deleted(bench: Any) -> None:
    async def one() -> int:
        return 1

    for option in ("delete_successful", "delete_failed"):
        with pytest.raises(ConfigError, match=f"{option}=True"):
            bench.jobs.job(retain=HOUR, **{option: True})(one)


async def test_the_call_counts_before_the_job(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR, tags=["a"])
    async def one() -> int:
        return 1

    job = await bench.later(one(), retain=60, tags=["b"], meta={"c": 1})
    record = await bench.record(job.id)
    assert record.meta == {"c": 1}
    assert list(record.tags) == ["a", "b"]
    assert '"retain": 60' in record.extra


async def test_a_stored_result_that_no_longer_fits_says_so(bench: Any, far: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def give() -> str:
        return "text"

    async with bench.working():
        job = await bench.later(give())
        await job.result(PATIENCE)

    async def changed() -> int:
        return 1

    deployed = JobManager(adapters={"main": MemoryAdapter()}).job(name="give")(changed)
    with pytest.raises(StoredResultError, match=r"'give': it: .*valid integer"):
        await (await far.job(job.id, deployed)).result(PATIENCE)


async def test_a_copy_knows_what_it_says_but_cannot_wait(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    job = await bench.later(one())
    copy = pickle.loads(pickle.dumps(job))
    facts = ("id", "name", "queue", "priority", "state", "run_at")
    assert [getattr(copy, fact) for fact in facts] == [getattr(job, fact) for fact in facts]
    for asks in (copy.result, copy.refresh, lambda: anext(copy.events())):
        with pytest.raises(DetachedJobError, match=rf"await later.job\({job.id}\)"):
            await asks()


async def test_an_id_of_another_job_is_refused(bench: Any) -> None:
    @bench.jobs.job
    async def one() -> int:
        return 1

    @bench.jobs.job
    async def two() -> int:
        return 2

    job = await bench.later(one())
    with pytest.raises(NotAJobError, match=f"job {job.id} is a 'one', not a 'two'"):
        await bench.later.job(job.id, two)


async def test_nobody_waits_longer_than_the_manager_is_open(make_bench: Any) -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    async with jobs:
        job = await later(one())
        result = asyncio.create_task(job.result())
        await anext(job.events())
    with pytest.raises(NotOpenError), anyio.fail_after(PATIENCE):
        await result


async def test_nobody_begins_to_wait_after_the_manager_was_closed(adapter: Any) -> None:
    jobs = JobManager(adapters={"main": adapter})
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    async with jobs:
        job = await later(one())
    before = asyncio.all_tasks()
    with anyio.fail_after(PATIENCE):
        with pytest.raises(NotOpenError):
            await job.result()
        with pytest.raises(NotOpenError):
            await anext(job.events())
    assert asyncio.all_tasks() <= before
    async with jobs:
        assert (await anext(job.events())).state == "available"


async def test_who_begins_to_wait_while_nobody_listens_any_more_is_answered(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen, ends, goes_on = bench.storage.listen, asyncio.Event(), asyncio.Event()

    async def listen_slowly(on_signal: Any) -> None:
        try:
            await listen(on_signal)
        finally:
            ends.set()
            await goes_on.wait()

    monkeypatch.setattr(bench.storage, "listen", listen_slowly)
    for name in ("LINGER", "POLL"):
        monkeypatch.setattr(f"asyncjobs.watch.{name}", 0.01)

    @bench.jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    job = await bench.later(one())
    async with contextlib.aclosing(job.events()) as events:
        await anext(events)
    await bench.jobs.workoff()
    with anyio.fail_after(PATIENCE):
        await ends.wait()
        result = asyncio.create_task(job.result())
        await asyncio.sleep(0)  # until it waits
        goes_on.set()
        assert await result == 1


async def test_kept_jobs_are_pruned_by_the_workers(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncjobs.pruning.BATCH", 3)
    for name, value in {"LOOK": 0.05, "MINUTE": 0.05, "PAUSE": 0.001}.items():
        monkeypatch.setattr(f"asyncjobs.worker.maintenance.{name}", value)
    bench = await make_bench(retain=1.0)

    @bench.jobs.job(max_attempts=1)
    async def fail() -> None:
        raise ValueError

    @bench.jobs.job
    async def one() -> int:
        return 1

    failing = await bench.later.many([fail() for _ in range(10)])
    short = await bench.later(one(), retain=1)
    long = await bench.later(one(), retain=HOUR)
    async with bench.working():
        assert await short.result(PATIENCE) == await long.result(PATIENCE) == 1
        for job in (*failing, short):
            await bench.until_gone(job.id)
    assert await long.result(PATIENCE) == 1


async def test_a_claim_that_meets_the_mark_of_a_watcher_is_made_again(dsn: str) -> None:
    # The moment of `await (await later(…)).result()`: the mark holds the row while the worker
    # looks. Without a second word to the workers the job would wait for the next poll.
    adapter = PostgresAdapter(dsn)
    jobs = JobManager(
        adapters={"main": adapter}, workers=[WorkerGroup(adapter="main", sleep_delay=3600)]
    )
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(retain=HOUR)
    async def add(a: int, b: int) -> int:
        return a + b

    stop = asyncio.Event()
    async with jobs:
        working = asyncio.create_task(jobs.work(stop))
        with anyio.fail_after(60):
            for n in range(100):
                job = await later(add(n, 1))
                assert await job.result() == n + 1
        stop.set()
        await working


async def test_leaving_ends_who_began_to_wait_while_the_listener_ended(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncjobs.watch.LINGER", 0.1)
    monkeypatch.setattr("asyncjobs.watch.POLL", 0.05)
    storage = PostgresAdapter(dsn)
    jobs = JobManager(adapters={"main": storage})
    later, listen, ending = jobs.create_scheduler(adapter="main"), storage.listen, asyncio.Event()

    async def listen_and_end_slowly(on_signal: Any) -> None:
        try:
            await listen(on_signal)
        finally:
            ending.set()
            await asyncio.sleep(0.5)

    monkeypatch.setattr(storage, "listen", listen_and_end_slowly)

    @jobs.job(retain=HOUR)
    async def one() -> int:
        return 1

    with anyio.fail_after(PATIENCE):
        async with jobs:
            job = await later(one(), wait=HOUR)
            with pytest.raises(TimeoutError):
                await job.result(0.1)
            await ending.wait()  # nobody has followed for so long
            result = asyncio.create_task(job.result())
            await asyncio.sleep(0)
        with pytest.raises(NotOpenError):
            await result


async def test_what_is_no_time_to_wait_is_said(bench: Any) -> None:
    @bench.jobs.job(retain=600)
    async def add() -> int:
        return 4

    job = await bench.later(add(), wait=600)
    for timeout in ("a", float("nan"), True):
        with pytest.raises(WaitError, match="timeout must be"):
            await job.result(timeout)
    for timeout in (0, -1, timedelta(seconds=-1)):
        with pytest.raises(ResultTimeoutError):
            await job.result(timeout)
    with pytest.raises(NotAJobError, match="wait_all takes jobs"):
        await bench.later.wait_all([job.id])
    with pytest.raises(ConfigError, match="tags must be a list of texts, got 5"):
        await bench.later(add(), tags=5)
