from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import fastapi
import pytest

from asyncjobs.worker.deadlines import Deadlines


async def test_a_failed_attempt_is_tried_again_and_every_error_is_kept(bench: Any) -> None:
    @bench.jobs.job(backoff=lambda attempt, error: 0)
    async def fragile() -> None:
        if len(attempts) < 2:
            attempts.append(1)
            raise ValueError(f"attempt {len(attempts)}")

    attempts: list[int] = []
    async with bench.working():
        stored = await bench.later(fragile())
        record = await bench.until(stored.id, "succeeded")
    assert record.attempt == 3
    errors = json.loads(record.errors)
    assert [(error["attempt"], error["message"]) for error in errors] == [
        (1, "attempt 1"),
        (2, "attempt 2"),
    ]
    assert all(error["error"] == "ValueError" for error in errors)
    assert all("raise ValueError" in error["traceback"] for error in errors)
    assert "executor.py" not in errors[0]["traceback"]


async def test_the_default_backoff_is_the_fourth_power_of_the_attempt(bench: Any) -> None:
    @bench.jobs.job
    async def fragile() -> None:
        raise ValueError

    stored = await bench.later(fragile())
    before = datetime.now(UTC)
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "scheduled"
    assert timedelta(seconds=0.9) < record.run_at - before < timedelta(seconds=10)


async def test_a_job_fails_for_good_after_its_last_attempt(bench: Any) -> None:
    @bench.jobs.job(max_attempts=2, backoff=lambda attempt, error: 0)
    async def hopeless() -> None:
        raise ValueError("no")

    async with bench.working():
        stored = await bench.later(hopeless())
        record = await bench.until(stored.id, "failed")
    assert record.attempt == 2
    assert len(json.loads(record.errors)) == 2
    assert record.finished_at is not None


async def test_a_failed_job_is_removed_if_the_group_says_so(make_bench: Any) -> None:
    bench = await make_bench(max_attempts=1, delete_failed_jobs=True)

    @bench.jobs.job
    async def hopeless() -> None:
        raise ValueError

    @bench.jobs.job(delete_failed=False)
    async def kept() -> None:
        raise ValueError

    gone, stays = await bench.later(hopeless()), await bench.later(kept())
    await bench.jobs.workoff()
    assert await bench.later.get(gone.id) is None
    assert (await bench.record(stays.id)).state == "failed"


async def test_backoff_none_stops_trying(bench: Any) -> None:
    seen: list[tuple[int, BaseException]] = []

    def backoff(attempt: int, error: BaseException) -> None:
        seen.append((attempt, error))

    @bench.jobs.job(backoff=backoff)
    async def picky() -> None:
        raise KeyError("x")

    stored = await bench.later(picky())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "failed"
    [(attempt, error)] = seen
    assert attempt == 1
    assert isinstance(error, KeyError)


async def test_a_backoff_that_raises_does_not_lose_the_job(bench: Any) -> None:
    @bench.jobs.job(backoff=lambda attempt, error: 1 / 0)
    async def fragile() -> None:
        raise ValueError("first")

    stored = await bench.later(fragile())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "scheduled"
    [error] = json.loads(record.errors)
    assert error["error"] == "ZeroDivisionError"
    assert "ValueError: first" in error["traceback"]


@pytest.mark.parametrize("max_runtime", [0.05, timedelta(seconds=0.05)], ids=["s", "timedelta"])
async def test_a_job_over_its_max_runtime_is_cancelled_and_not_tried_again(
    bench: Any, max_runtime: float | timedelta
) -> None:
    cleaned = asyncio.Event()

    @bench.jobs.job(max_runtime=max_runtime)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # cleaning up is not cut off
            cleaned.set()

    async with bench.working():
        stored = await bench.later(slow())
        record = await bench.until(stored.id, "failed")
    assert cleaned.is_set()
    assert record.attempt == 1
    [error] = json.loads(record.errors)
    assert error["error"] == "JobTimeoutError"
    assert "0.05" in error["message"]


@pytest.mark.parametrize("what", ["before_perform", "middleware", "dependency"])
async def test_what_never_returns_before_a_job_begins_is_cancelled_too(
    bench: Any, what: str
) -> None:
    async def hang(*_: object) -> Any:
        await asyncio.Event().wait()

    async def opened() -> Any:
        await hang()

    if what == "dependency":

        @bench.jobs.job(max_runtime=0.05)
        async def work(_: Any = fastapi.Depends(opened)) -> None: ...
    else:

        @bench.jobs.job(max_runtime=0.05)
        async def work() -> None: ...

        getattr(work.hooks, what)(hang)
    async with bench.working():
        stored = await bench.later(work())
        record = await bench.until(stored.id, "failed")
    [error] = json.loads(record.errors)
    assert error["error"] == "JobTimeoutError"
    assert "hang" in error["traceback"]


async def test_a_job_has_its_max_runtime_in_full_after_what_runs_before_it() -> None:
    attempt: Any = SimpleNamespace(
        limit=SimpleNamespace(max_runtime=0.5), timer=None, interrupt=lambda reason: None
    )
    deadlines = Deadlines(asyncio.get_running_loop(), None, lambda attempt: None)
    deadlines.begin(attempt)
    first = attempt.timer
    await asyncio.sleep(0.01)
    deadlines.begin(attempt)
    assert first.cancelled()
    assert attempt.timer.when() > first.when()
    attempt.timer.cancel()


async def test_a_timeout_is_tried_again_if_the_job_says_so(bench: Any) -> None:
    @bench.jobs.job(
        max_runtime=0.05, retry_on_timeout=True, max_attempts=2, backoff=lambda attempt, error: 0
    )
    async def slow() -> None:
        await asyncio.Event().wait()

    async with bench.working():
        stored = await bench.later(slow())
        record = await bench.until(stored.id, "failed")
    assert record.attempt == 2


async def test_a_thread_over_its_max_runtime_fails_while_it_keeps_its_slot(make_bench: Any) -> None:
    bench = await make_bench(concurrency=1)
    release = threading.Event()
    ran = asyncio.Event()

    @bench.jobs.job(max_runtime=0.05)
    def stuck() -> None:
        release.wait()

    @bench.jobs.job
    async def next_one() -> None:
        ran.set()

    async with bench.working():
        stored = await bench.later(stuck())
        await bench.until(stored.id, "failed")
        await bench.later(next_one())
        await anyio.sleep(0.05)
        assert not ran.is_set()
        release.set()
        await ran.wait()


async def test_a_job_that_raises_cancelled_error_fails_only_its_attempt(bench: Any) -> None:
    @bench.jobs.job(max_attempts=1)
    async def odd() -> None:
        raise asyncio.CancelledError

    @bench.jobs.job
    async def even() -> None: ...

    async with bench.working():
        stored = await bench.later(odd())
        record = await bench.until(stored.id, "failed")
        other = await bench.later(even())
        await bench.until(other.id, "succeeded")
    [error] = json.loads(record.errors)
    assert error["error"] == "SelfCancelledError"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration()])
async def test_no_exception_of_a_job_ends_the_worker(bench: Any, error: BaseException) -> None:
    @bench.jobs.job(max_attempts=1)
    async def in_task() -> None:
        raise error

    @bench.jobs.job(max_attempts=1)
    def in_thread() -> None:
        raise error

    async with bench.working():
        for job in (in_task, in_thread):
            stored = await bench.later(job())
            record = await bench.until(stored.id, "failed")
            assert len(json.loads(record.errors)) == 1


async def test_a_plain_function_that_returns_a_coroutine_did_not_do_its_work(bench: Any) -> None:
    async def inner() -> None: ...

    @bench.jobs.job(max_attempts=1)
    def wrapper() -> Any:
        return inner()

    stored = await bench.later(wrapper())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "failed"
    assert "coroutine" in record.errors


async def test_an_error_that_cannot_be_printed_is_kept_all_the_same(bench: Any) -> None:
    class BadError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @bench.jobs.job(max_attempts=1)
    async def odd() -> None:
        raise BadError

    @bench.jobs.job(max_attempts=1)
    async def odder() -> None:
        raise ValueError("null \0 and half \ud800 " + "x" * 100_000)

    stored = await bench.later(odd()), await bench.later(odder())
    await bench.jobs.workoff()
    records = [await bench.record(one.id) for one in stored]
    assert [record.state for record in records] == ["failed", "failed"]
    assert all(len(record.errors) < 25_000 for record in records)


async def test_a_job_whose_worker_died_in_every_attempt_fails_unrun(bench: Any) -> None:
    ran: list[int] = []

    @bench.jobs.job(max_attempts=1)
    async def deadly() -> None:
        ran.append(1)

    stored = await bench.later(deadly())
    info = worker_info(lease=30)
    dead = await bench.storage.register(info)
    [_] = await bench.storage.claim(dead, ["default"], 1)
    await bench.storage.rescue([dead])
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "failed"
    assert not ran
    assert [error["error"] for error in json.loads(record.errors)] == [
        "WorkerLost",
        "AttemptsExhaustedError",
    ]


def worker_info(lease: float) -> Any:
    from asyncjobs.types import WorkerInfo

    return WorkerInfo("other.0", "other", ["default"], "elsewhere", "elsewhere", 1, 1.0, lease)


@pytest.mark.parametrize("delay", [float("nan"), float("inf")])
async def test_a_backoff_that_is_no_duration_costs_no_other_job_anything(
    bench: Any, delay: float
) -> None:
    @bench.jobs.job(backoff=lambda attempt, error: delay)
    async def fragile() -> None:
        raise ValueError

    @bench.jobs.job
    async def nothing() -> None: ...

    bad, good = await bench.later(fragile()), await bench.later(nothing())
    await bench.jobs.workoff()
    assert (await bench.record(good.id)).state == "succeeded"
    assert (await bench.record(bad.id)).state == "scheduled"


async def test_an_error_whose_repr_raises_costs_no_slot(make_bench: Any) -> None:
    bench = await make_bench(concurrency=1, max_attempts=1)

    class SilentError(Exception):
        def __repr__(self) -> str:
            raise RuntimeError

    SilentError.__qualname__ = "null\0name"

    @bench.jobs.job
    async def odd() -> None:
        raise SilentError

    stored = await bench.later(odd()), await bench.later(odd())
    await bench.jobs.workoff()
    assert [(await bench.record(one.id)).state for one in stored] == ["failed", "failed"]
