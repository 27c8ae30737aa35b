from __future__ import annotations

import asyncio
import contextlib

from asyncjobs.ending import end_task


async def stubborn(times: int) -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if times == 0:
                raise
            times -= 1


async def started(times: int) -> asyncio.Task[None]:
    task = asyncio.create_task(stubborn(times))
    await asyncio.sleep(0)
    return task


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    task = await started(2)
    assert await end_task(task)
    assert task.cancelled()


async def test_a_task_that_never_ends_is_left_behind_after_a_while() -> None:
    task = await started(1_000_000)
    assert not await end_task(task, patience=0.05)
    task.get_coro().close()
    with contextlib.suppress(RuntimeError, asyncio.CancelledError):
        task.cancel()
        await task


async def test_a_task_that_has_ended_is_not_waited_for() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    assert await end_task(task, patience=0)
