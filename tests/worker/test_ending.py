from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest


async def test_running_jobs_may_end_after_the_stop(bench: Any) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    @bench.jobs.job
    async def slow() -> None:
        started.set()
        await go_on.wait()

    async with bench.working() as stop:
        stored = await bench.later(slow())
        await started.wait()
        stop.set()
        await bench.until_logged("worker.stopping")
        go_on.set()
        await bench.until(stored.id, "succeeded")


async def test_a_job_past_the_shutdown_timeout_goes_back_to_the_queue(make_bench: Any) -> None:
    bench = await make_bench(shutdown_timeout=0.05)
    started = asyncio.Event()

    @bench.jobs.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    async with bench.working() as stop:
        stored = await bench.later(endless())
        await started.wait()
        stop.set()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("available", 0)
    assert record.errors == "[]"


async def test_a_job_that_swallows_its_cancellation_is_not_lost(make_bench: Any) -> None:
    bench = await make_bench(shutdown_timeout=0)
    started = asyncio.Event()

    @bench.jobs.job
    async def stubborn() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async with bench.working() as stop:
        stored = await bench.later(stubborn())
        await started.wait()
        stop.set()
    assert (await bench.record(stored.id)).state == "available"


async def test_cancelling_the_worker_returns_everything_at_once(make_bench: Any) -> None:
    bench = await make_bench(concurrency=2, shutdown_timeout=60)
    started = asyncio.Event()

    @bench.jobs.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    await bench.later.many([endless() for _ in range(10)])
    with anyio.fail_after(20):
        task = asyncio.create_task(bench.jobs.work())
        await started.wait()
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()
    assert await bench.storage.counts() == {("default", "available"): 10}


async def test_a_cancelled_scope_does_not_cut_the_shutdown_off(make_bench: Any) -> None:
    bench = await make_bench(shutdown_timeout=0)
    started = asyncio.Event()

    @bench.jobs.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    await bench.later(endless())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.jobs.work)
        await started.wait()
        tasks.cancel_scope.cancel()  # anyio repeats a cancellation at every await
    assert await bench.storage.counts() == {("default", "available"): 1}


async def test_workers_cancelled_at_random_moments_strand_no_job(make_bench: Any) -> None:
    bench = await make_bench(concurrency=20)

    @bench.jobs.job
    async def nothing() -> None:
        await asyncio.sleep(0.001)

    for round_ in range(40):
        await bench.later.many([nothing() for _ in range(30)])
        task = asyncio.create_task(bench.jobs.work())
        await asyncio.sleep(round_ * 0.0007)
        task.cancel()
        await asyncio.wait({task})
        states = {state for _, state in await bench.storage.counts()}
        assert states <= {"available"}, round_
    await bench.jobs.workoff()
    assert not await bench.storage.counts()


async def test_a_thread_that_does_not_end_keeps_its_job(make_bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("asyncjobs.worker.shutdown.CANCEL_GRACE", 0.05)
    bench = await make_bench(shutdown_timeout=0)
    started, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @bench.jobs.job
    def stuck() -> None:
        loop.call_soon_threadsafe(started.set)
        release.wait()

    async with bench.working() as stop:
        stored = await bench.later(stuck())
        await started.wait()
        stop.set()
        await bench.until_logged("job.unstoppable")
    assert (await bench.record(stored.id)).state == "running"
    release.set()
    await asyncio.sleep(0.05)  # the abandoned task ends, and must not report
    record = await bench.record(stored.id)
    assert record.state in {"running", "available"}


async def test_a_graceful_end_waits_for_no_job_twice(make_bench: Any) -> None:
    bench = await make_bench(concurrency=5)
    ran: list[int] = []

    @bench.jobs.job
    async def note(number: int) -> None:
        await asyncio.sleep(0.01)
        ran.append(number)

    stored = await bench.later.many([note(number) for number in range(200)])
    async with bench.working() as stop:
        while len(ran) < 20:
            await asyncio.sleep(0.001)
        stop.set()
    left = await bench.storage.counts()
    assert len(ran) + left[("default", "available")] == len(stored)
    await bench.jobs.workoff()
    assert sorted(ran) == list(range(200))


async def test_a_claim_under_way_is_carried_through_when_a_part_of_the_worker_fails(
    make_bench: Any, monkeypatch: Any
) -> None:
    class BrokenError(Exception):
        pass

    bench = await make_bench(shutdown_timeout=0)
    claimed, is_broken, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()
    claim = bench.storage.claim

    async def slow_claim(*args: Any) -> Any:
        rows = await claim(*args)
        if rows:
            claimed.set()
            await is_broken.wait()
            answered.set()
        return rows

    async def fail(*_: Any) -> None:
        await claimed.wait()
        asyncio.get_running_loop().call_later(0.05, is_broken.set)
        raise BrokenError

    monkeypatch.setattr(bench.storage, "claim", slow_claim)
    monkeypatch.setattr("asyncjobs.worker.ticker.Ticker.run", fail)

    @bench.jobs.job
    async def endless() -> None:
        await asyncio.Event().wait()

    stored = await bench.later(endless())
    with anyio.fail_after(20), pytest.raises(BaseExceptionGroup) as raised:
        await bench.jobs.work()
    assert raised.group_contains(BrokenError)
    assert answered.is_set()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("available", 0)
