"""A manager whose log can be read, and callers and workers that keep it busy."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from asyncjobs import JobManager, StorageUnavailableError, WorkerGroup
from asyncjobs.testing.contract.steps import QUEUES, a_job, a_worker, ids_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from asyncjobs import PostgresAdapter
    from asyncjobs.types import Signal

CALLERS = 8


def make_manager(adapter: Any, **options: Any) -> Any:
    capture = structlog.testing.LogCapture()
    manager: Any = JobManager(
        adapters={"main": adapter},
        workers=[WorkerGroup(adapter="main", **options)],
        logger=structlog.wrap_logger(None, processors=[capture]),
    )
    manager.log = capture.entries
    manager.later = manager.create_scheduler(adapter="main")
    return manager


class Load:
    """Callers of `later`, and what was acknowledged to them."""

    def __init__(self, jobs: Any) -> None:
        self.jobs = jobs
        self.acknowledged: set[int] = set()
        self.ran: list[int] = []
        self.refused = 0
        self.longest_gap = 0.0
        """Seconds between two acknowledgements."""
        self._last = time.monotonic()
        self._next = 0
        self._more = asyncio.Event()
        self.note = jobs.job(name="note")(self._note)

    async def _note(self, number: int) -> None:
        self.ran.append(number)

    async def call(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._next += 1
            number = self._next
            try:
                await self.jobs.later(self.note(number))
            except StorageUnavailableError:
                self.refused += 1
            else:
                self.acknowledged.add(number)
                now = time.monotonic()
                self.longest_gap, self._last = max(self.longest_gap, now - self._last), now
                self._more.set()
            await asyncio.sleep(0.001)

    async def until_refused(self) -> None:
        """Wait until one more call is refused."""
        before = self.refused
        while self.refused == before:
            await asyncio.sleep(0.01)

    async def until_run(self) -> None:
        """Wait until all that was acknowledged has run."""
        while self.acknowledged - set(self.ran):
            await asyncio.sleep(0.02)

    async def reach(self, count: int) -> None:
        """Wait until *count* more calls were acknowledged."""
        target = len(self.acknowledged) + count
        while len(self.acknowledged) < target:
            self._more.clear()
            await self._more.wait()


@asynccontextmanager
async def hearing(adapter: PostgresAdapter) -> AsyncIterator[asyncio.Queue[Signal]]:
    """Listen during the block, which takes 20 s at most, and give what is heard."""
    heard: asyncio.Queue[Signal] = asyncio.Queue()
    listening = asyncio.create_task(adapter.listen(heard.put_nowait))
    try:
        with anyio.fail_after(20):
            yield heard
    finally:
        listening.cancel()
        await asyncio.wait({listening})


@asynccontextmanager
async def at_work(jobs: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Work during the block, and let the worker, which is given, come to its end after it."""
    stop = asyncio.Event()
    async with jobs:
        worker = asyncio.create_task(jobs.work(stop))
        try:
            yield worker
        finally:
            stop.set()
            await worker


@asynccontextmanager
async def under_load(jobs: Any, callers: int = CALLERS) -> AsyncIterator[Load]:
    """Call and work during the block; afterwards all that was acknowledged runs."""
    load = Load(jobs)
    stop = asyncio.Event()
    async with at_work(jobs):
        calling = [asyncio.create_task(load.call(stop)) for _ in range(callers)]
        try:
            yield load
            stop.set()
            await asyncio.gather(*calling)
            await load.until_run()
        finally:
            for task in calling:
                task.cancel()


async def claimed_by(adapters: Sequence[PostgresAdapter], jobs: int) -> None:
    """Let a worker of each of *adapters* claim from *jobs*, until none is left: each once."""
    for adapter in adapters:
        await adapter.open()
    workers = [await adapter.register(a_worker()) for adapter in adapters]
    stored = [row.id for row in await adapters[0].enqueue([a_job()] * jobs)]

    async def claim_until_empty(adapter: PostgresAdapter, worker: int) -> list[int]:
        mine: list[int] = []
        while claimed := await adapter.claim(worker, QUEUES, 7):
            mine += ids_of(claimed)
        return mine

    claimed = await asyncio.gather(*map(claim_until_empty, adapters, workers))
    assert sorted(chain(*claimed)) == stored
