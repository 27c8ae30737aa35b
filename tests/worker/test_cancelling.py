from __future__ import annotations

import asyncio
from typing import Any


async def test_a_cancelled_waiting_job_never_runs_and_is_kept(bench: Any) -> None:
    ran: list[int] = []

    @bench.jobs.job
    async def note() -> None:
        ran.append(1)

    available, future = await bench.later(note()), await bench.later(note(), wait=0.05)
    assert await bench.later.cancel(available.id)
    assert await bench.later.cancel(future.id)
    await asyncio.sleep(0.06)
    await bench.jobs.workoff()
    assert not ran
    for stored in (available, future):
        assert (await bench.record(stored.id)).state == "cancelled"


async def test_a_running_job_is_really_cancelled(bench: Any) -> None:
    started, cleaned = asyncio.Event(), asyncio.Event()

    @bench.jobs.job
    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async with bench.working():
        stored = await bench.later(endless())
        await started.wait()
        assert await bench.later.cancel(stored.id)
        await cleaned.wait()
        record = await bench.until(stored.id, "cancelled")
    assert record.attempt == 1


async def test_a_running_job_may_end_if_asked_and_is_not_tried_again(bench: Any) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    @bench.jobs.job(backoff=lambda attempt, error: 0)
    async def fragile() -> None:
        started.set()
        await go_on.wait()
        raise ValueError

    async with bench.working():
        stored = await bench.later(fragile())
        await started.wait()
        assert await bench.later.cancel(stored.id, interrupt=False)
        go_on.set()
        record = await bench.until(stored.id, "cancelled")
    assert record.attempt == 1


async def test_what_has_ended_cannot_be_cancelled(bench: Any) -> None:
    @bench.jobs.job
    async def nothing() -> None: ...

    stored = await bench.later(nothing())
    await bench.jobs.workoff()
    assert not await bench.later.cancel(stored.id)
    assert not await bench.later.cancel(stored.id + 1_000)
    assert (await bench.record(stored.id)).state == "succeeded"


async def test_a_heartbeat_tells_of_a_cancellation_whose_signal_was_lost(make_bench: Any) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=5)
    started = asyncio.Event()

    @bench.jobs.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    bench.storage.listen = never_hears  # on this instance only
    async with bench.working():
        stored = await bench.later(endless())
        await started.wait()
        await bench.later.cancel(stored.id)
        await bench.until(stored.id, "cancelled")


async def never_hears(on_signal: Any) -> None:
    await asyncio.Event().wait()
