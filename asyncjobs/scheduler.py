"""`later`: calls become rows.

Calls without a connection of their own are gathered: whoever calls while an insert is in
flight joins the next one. Nobody waits longer than for an insert of his own, a busy process
makes one commit for hundreds of calls, and `later` still returns after the commit.
"""

from __future__ import annotations

import asyncio
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from asyncjobs.config import check_whole
from asyncjobs.enqueueing import as_call, store_inside
from asyncjobs.errors import (
    ArgumentError,
    BatchTooLargeError,
    JobGoneError,
    NotAJobError,
    NotOpenError,
    RowRefusedError,
    UnknownQueueError,
)
from asyncjobs.gathering import Gatherer
from asyncjobs.limiting import Limiter
from asyncjobs.options import LaterOptions, chosen, joined
from asyncjobs.pausing import Pausing
from asyncjobs.scheduled import ScheduledJob, from_record, wait_all
from asyncjobs.types import Extras, NewJob, StoredJob, tuple_of
from asyncjobs.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from asyncjobs.job import Job, JobCall
    from asyncjobs.options import Chosen
    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import JobRecord, Limit

R = TypeVar("R")

MAX_MANY = 100_000
"""Calls in one `later.many`."""


class Scheduler(Pausing):
    """Stores calls in one adapter. Made by `JobManager.create_scheduler`, called ``later``."""

    def __init__(
        self,
        storage: Storage,
        registry: JobRegistry,
        queues: Sequence[str],
        *,
        adapter: str = "",
        queue_limits: Mapping[str, Limit] = MappingProxyType({}),
    ) -> None:
        self.adapter = adapter
        """The storage's name among the adapters of its manager."""
        self._storage, self._registry, self._queues = storage, registry, queues
        self._watch = Watch(storage)
        self._limiter = Limiter(queue_limits)
        self._gatherer = Gatherer(self._put)
        self._loop: asyncio.AbstractEventLoop | None = None

    @overload
    async def __call__(
        self, call: JobCall[R], /, **options: Unpack[LaterOptions]
    ) -> ScheduledJob[R]: ...

    @overload
    async def __call__(
        self, job: Job[..., R], args: Sequence[Any] = (), /, **options: Unpack[LaterOptions]
    ) -> ScheduledJob[R]: ...

    async def __call__(
        self,
        call: JobCall[Any] | Job[..., Any],
        args: Sequence[Any] | None = None,
        /,
        **options: Unpack[LaterOptions],
    ) -> ScheduledJob[Any]:
        """Store a call and return it once it is durable. `LaterOptions` has the options.

        *wait* is seconds or a timedelta from now, *wait_until* a moment with a time zone; at
        most one of them. *queue* and *priority* replace the job's own. With *connection* (of
        asyncpg, or an SQLAlchemy AsyncSession or AsyncConnection on asyncpg) the job exists
        exactly if that connection's transaction commits.

        Raises a ScheduleError that says what is wrong, UnknownQueueError, UnknownOptionError,
        ConfigError, or a StorageError if the database does not take it; nothing is stored
        then, unless the connection broke while waiting for the answer.
        """
        taken = as_call(call, args)
        row = self._row(taken, self._chosen(options))
        if self._limiter.undeclared:
            await self._limiter.declare(self._storage.limits)
        connection = options.get("connection")
        if self._registry.hooks.watch_enqueue or taken.job.hooks.watch_enqueue:
            [scheduled] = await self._store_watched([taken.job], [row], connection)
            return scheduled
        if connection is None:
            return self._scheduled(row, await self._gather(row))
        [stored] = await self._enqueue([row], connection)
        return self._scheduled(row, stored)

    async def many(
        self, calls: Iterable[JobCall[R]], /, **options: Unpack[LaterOptions]
    ) -> list[ScheduledJob[R]]:
        """Store all *calls* or none, in one statement; the options are for each of them.

        Takes up to 100 000 calls. Raises as a single call does, and BatchTooLargeError.
        """
        taken = [as_call(call, None) for call in calls]
        chosen = self._chosen(options)
        rows = [self._row(call, chosen) for call in taken]
        if len(rows) > MAX_MANY:
            raise BatchTooLargeError(MAX_MANY, len(rows))
        if self._limiter.undeclared:
            await self._limiter.declare(self._storage.limits)
        jobs, connection = {call.job for call in taken}, options.get("connection")
        if self._registry.hooks.watch_enqueue or any(job.hooks.watch_enqueue for job in jobs):
            return await self._store_watched([call.job for call in taken], rows, connection)
        return await self._store_all(rows, connection)

    def from_thread(
        self,
        call: JobCall[R] | Job[..., R],
        args: Sequence[Any] | None = None,
        /,
        **options: Unpack[LaterOptions],
    ) -> ScheduledJob[R]:
        """Do what ``await later(…)`` does from a thread, as in a job that is a plain ``def``.

        Raises NotOpenError if the manager is not open, and RuntimeError in the event loop
        itself, which would wait for itself for ever.
        """
        taken = as_call(call, args)
        if self._loop is None or self._loop.is_closed():
            raise NotOpenError
        if asyncio._get_running_loop() is self._loop:
            raise RuntimeError("in the event loop write `await later(…)`")
        return asyncio.run_coroutine_threadsafe(self(taken, **options), self._loop).result()

    async def cancel(self, job_id: int, /, *, interrupt: bool = True) -> bool:
        """Cancel a job and return whether that came in time; False if it had ended.

        A waiting job never runs and is kept as `cancelled`. A running one is cancelled where
        it runs, or with *interrupt* false may end, and is not tried again.
        """
        check_whole("job_id", job_id, -(2**63), 2**63 - 1)
        return bool(await self._storage.cancel([job_id], interrupt=interrupt))

    async def get(self, job_id: int, /) -> JobRecord | None:
        """Return what is stored of a job; None if nothing is, as of one that succeeded."""
        check_whole("job_id", job_id, -(2**63), 2**63 - 1)
        found = await self._storage.get([job_id])
        return found[0] if found else None

    @overload
    async def job(self, job_id: int, /) -> ScheduledJob[Any]: ...
    @overload
    async def job(self, job_id: int, job: Job[..., R], /) -> ScheduledJob[R]: ...

    async def job(self, job_id: int, job: Job[..., Any] | None = None, /) -> ScheduledJob[Any]:
        """Return a stored job by its id, from wherever that comes, to wait for or to follow.

        With *job*, the definition, its result has the right type. Raises JobGoneError if
        nothing is stored of it, and NotAJobError if it is another job's.
        """
        record = await self.get(job_id)
        if record is None:
            raise JobGoneError(job_id, "unknown" if job is None else job.name)
        if job is not None and job.name != record.name:
            raise NotAJobError(f"job {job_id} is a {record.name!r}, not a {job.name!r}")
        found = job or self._registry.get(record.name)
        return from_record(record, self._watch, None if found is None else found.returns)

    async def wait_all(
        self, jobs: Iterable[ScheduledJob[R]], /, *, timeout: float | timedelta | None = None
    ) -> list[R]:
        """Wait until all *jobs* have ended and return their results, in the order given.

        At most *timeout* for all together. Raises what `ScheduledJob.result` raises, for
        the first job that has no result, without waiting for the others, which go on.
        """
        return await wait_all(jobs, timeout)

    def provide(self) -> Scheduler:
        """Return this scheduler, for ``Annotated[Scheduler, Depends(later.provide)]``."""
        return self

    def use_storage(self, storage: Storage) -> Storage:
        """Store in *storage* from now on, and return what it replaces; for tests."""
        before, self._storage = self._storage, storage
        self._watch.stop()
        self._watch = Watch(storage)
        self._limiter = Limiter(self._limiter.queue_limits)
        return before

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Say in which loop the manager is open; None when it is not any more."""
        self._loop = loop

    async def drain(self) -> None:
        """Wait until every gathered call is stored or refused."""
        await self._gatherer.drain()

    async def close(self) -> None:
        """Store what is being gathered, and let nobody wait for a job any longer."""
        await self.drain()
        await self._watch.close()

    def _chosen(self, options: LaterOptions) -> Chosen:
        found = chosen(options)
        if found.queue is not None and found.queue not in self._queues:
            raise UnknownQueueError(found.queue, self._queues)
        return found

    def _row(self, call: JobCall[Any], chosen: Chosen) -> NewJob:
        job, options = call.job, call.job.options
        if self._registry.get(job.name) is not job:
            raise NotAJobError(f"the job {job.name!r} belongs to another JobManager")
        queue, priority, wait, wait_until, extras, key = chosen
        row = tuple_of(
            NewJob,
            (
                job.name,
                options.queue if queue is None else queue,
                options.priority if priority is None else priority,
                job.codec.encode(call.args, call.kwargs),
                wait,
                wait_until,
                self._extras(job, extras),
            ),
        )
        if job.limit is not None or key is not None or self._limiter.queue_limits:
            return self._limiter.limited(row, call, key)
        return row

    def _scheduled(self, row: NewJob, stored: StoredJob) -> ScheduledJob[Any]:
        job = None if row.extras is None else self._registry.get(row.name)
        return ScheduledJob(row, stored, self._watch, None if job is None else job.returns)

    def _extras(self, job: Job[..., Any], of_call: Extras | None) -> Extras | None:
        extras = joined(job.extras, of_call) if job.extras or of_call else None
        if extras is not None and extras.retain is not None:
            job.returns.prepare()
        carrier = self._registry.carrier
        if carrier.is_idle or (carried := carrier.collect()) is None:
            return extras
        return joined(Extras(extra=json.dumps({"context": carried})), extras)

    async def _put(self, rows: list[NewJob]) -> list[StoredJob]:
        return await self._storage.enqueue(rows)

    def _gather(self, row: NewJob) -> asyncio.Future[StoredJob]:
        loop = self._loop
        if loop is None or not loop.is_running():
            loop = asyncio.get_running_loop()  # asks the kernel each time, before Python 3.12
        future: asyncio.Future[StoredJob] = loop.create_future()
        self._gatherer.add((row, future))
        return future

    async def _store_all(
        self, rows: Sequence[NewJob], connection: object | None
    ) -> list[ScheduledJob[Any]]:
        if connection is None and len(rows) == 1:
            return [self._scheduled(rows[0], await self._gather(rows[0]))]
        stored = await self._enqueue(list(rows), connection)
        return [self._scheduled(row, one) for row, one in zip(rows, stored, strict=True)]

    async def _store_watched(
        self, jobs: Sequence[Job[..., Any]], rows: Sequence[NewJob], connection: object | None
    ) -> list[ScheduledJob[Any]]:
        holders = {job.name: (self._registry.hooks, job.hooks) for job in jobs}

        async def store(changed: Sequence[NewJob]) -> list[ScheduledJob[Any]]:
            for row in changed:
                if row.queue not in self._queues:
                    raise UnknownQueueError(row.queue, self._queues)
            moved = [self._limiter.follow(row) for row in changed]
            if self._limiter.undeclared:
                await self._limiter.declare(self._storage.limits)
            return await self._store_all(moved, connection)

        return await store_inside(holders, rows, store)

    async def _enqueue(self, rows: list[NewJob], connection: object | None) -> list[StoredJob]:
        try:
            return await self._storage.enqueue(rows, connection=connection)
        except RowRefusedError as error:
            names = ", ".join(sorted({row.name for row in rows}))
            raise ArgumentError(names, error.problem) from error
