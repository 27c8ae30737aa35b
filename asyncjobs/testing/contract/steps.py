"""The steps that the tests of the contract are made of."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio

from asyncjobs.types import NewJob, Signal, WorkerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob, Extras, JobRecord

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds until something that has not happened counts as never happening."""
QUEUES = ("default", "email")
BATCH = 1_000


def a_job(
    name: str = "greet",
    *,
    queue: str = "default",
    priority: int = 50,
    args: str = "{}",
    wait: float | None = None,
    wait_until: datetime | None = None,
    extras: Extras | None = None,
    parent_id: int | None = None,
) -> NewJob:
    """Return a job to store."""
    return NewJob(name, queue, priority, args, wait, wait_until, extras, parent_id)


def a_worker(
    name: str = "worker", *, lease: float = 60.0, host_id: str = "here", pid: int = 7
) -> WorkerInfo:
    """Return a worker to register."""
    return WorkerInfo(
        name=name,
        group="group",
        queues=list(QUEUES),
        host="host",
        host_id=host_id,
        pid=pid,
        started=1.5,
        lease=lease,
    )


async def store(storage: Storage, *jobs: NewJob) -> list[int]:
    """Store *jobs*, or one plain job, and return the ids."""
    return [stored.id for stored in await storage.enqueue(jobs or [a_job()])]


async def claim_all(storage: Storage, worker: int) -> list[int]:
    """Let *worker* claim what there is, and return the ids in the order of the claim."""
    return ids_of(await storage.claim(worker, QUEUES, BATCH))


async def hold(storage: Storage, worker: int, *jobs: NewJob) -> list[ClaimedJob]:
    """Store *jobs*, or one plain job, and let *worker* claim them from an empty queue."""
    ids = await store(storage, *jobs)
    claimed = await storage.claim(worker, QUEUES, BATCH)
    assert sorted(ids_of(claimed)) == sorted(ids)
    return sorted(claimed)


async def record_of(storage: Storage, job_id: int) -> JobRecord:
    """Return the record of one job, which exists."""
    [record] = await storage.get([job_id])
    return record


def ids_of(rows: Iterable[ClaimedJob | JobRecord]) -> list[int]:
    """Return the ids of *rows* in their order."""
    return [row.id for row in rows]


async def together(*calls: Awaitable[T]) -> Sequence[T]:
    """Run *calls* at the same time and return their results."""
    with anyio.fail_after(PATIENCE):
        return await asyncio.gather(*calls)


async def eventually(check: Callable[[], Awaitable[T]]) -> T:
    """Call *check* until it returns something true, and return that."""
    with anyio.fail_after(PATIENCE):
        while not (result := await check()):  # noqa: ASYNC110 - no adapter tells of time
            await anyio.sleep(0.01)
    return result


class Heard:
    """The signals that one listener has heard."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self._news = asyncio.Event()

    def add(self, signal: Signal) -> None:
        """Take note of *signal*."""
        self.signals.append(signal)
        self._news.set()

    async def first(self, fits: Callable[[Signal], object]) -> Signal:
        """Wait for a signal that *fits*, heard already or yet to come."""
        with anyio.fail_after(PATIENCE):
            while not (found := [signal for signal in self.signals if fits(signal)]):
                self._news.clear()
                await self._news.wait()
        return found[0]


@asynccontextmanager
async def listening(storage: Storage) -> AsyncIterator[Heard]:
    """Listen during the block, which starts when the adapter says that it listens."""
    heard = Heard()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(storage.listen, heard.add)
        await heard.first(lambda signal: signal.missed)
        yield heard
        tasks.cancel_scope.cancel()
