"""Several workers in one process: those of `jobs.work`, and those inside a web app."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from asyncjobs.interrupts import second_interrupt_ignored
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.waiting import outlast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from asyncjobs.worker import Worker

PROGRESS_INTERVAL = 0.1
"""Seconds."""


async def run_groups(
    workers: Sequence[Worker],
    stop: asyncio.Event,
    *,
    burst: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Run *workers* until *stop*, or with *burst* until nothing is eligible for any.

    One that is told to end by `later.workers.stop` does so alone. When one fails the others
    end gracefully, and its error is raised.
    """
    # In a burst each ends by itself; otherwise all end together.
    stops = [asyncio.Event() if burst else stop for _ in workers]
    tasks = [
        asyncio.create_task(worker.run(own_stop, burst=burst))
        for worker, own_stop in zip(workers, stops, strict=True)
    ]
    reporter = asyncio.create_task(_report(workers, on_progress)) if on_progress else None
    try:
        await _gather(tasks, stops)
    finally:
        if reporter is not None:
            reporter.cancel()
    if on_progress is not None:
        on_progress(sum(worker.done for worker in workers))


async def _gather(tasks: Sequence[asyncio.Task[None]], stops: Sequence[asyncio.Event]) -> None:
    if not tasks:
        return
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for stop in stops:
            stop.set()
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        with second_interrupt_ignored():
            await outlast(tasks)
        raise


async def _report(workers: Sequence[Worker], on_progress: Callable[[int], None]) -> None:
    while True:
        on_progress(sum(worker.done for worker in workers))
        await asyncio.sleep(PROGRESS_INTERVAL)


@contextlib.asynccontextmanager
async def run_embedded(makers: Sequence[Callable[[], Worker]], log: Any) -> AsyncIterator[None]:
    """Run a worker of each maker beside a web app; raise on entry if one does not start.

    One that fails later is made anew after a growing delay, and the app goes on. One that was
    told to end by `later.workers.stop` is not.
    """
    stop = asyncio.Event()
    tasks = []
    try:
        for make in makers:
            ready = asyncio.Event()
            task = asyncio.create_task(_keep_running(make, stop, ready, log))
            tasks.append(task)
            await _until_ready(task, ready)
        yield
    finally:
        stop.set()
        await _gather(tasks, [stop])


async def _until_ready(task: asyncio.Task[None], ready: asyncio.Event) -> None:
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        await task


async def _keep_running(
    make: Callable[[], Worker], stop: asyncio.Event, ready: asyncio.Event, log: Any
) -> None:
    delays = growing_delays()
    while not stop.is_set():
        worker = make()
        try:
            await worker.run(stop, on_ready=ready.set)
            if worker.is_dismissed:
                return
        except Exception as error:
            if not ready.is_set():
                raise
            log.error("worker.failed", worker=worker.name, exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(delays)):
                    await stop.wait()
