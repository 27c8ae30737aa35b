"""`later`: calls become rows.

Calls without a connection of their own are gathered: whoever calls while an insert is in
flight joins the next one. Nobody waits longer than for an insert of his own, a busy process
makes one commit for hundreds of calls, and `later` still returns after the commit.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from asyncjobs.config import check_whole
from asyncjobs.context import job_apart, parent_in
from asyncjobs.control import Control
from asyncjobs.enqueueing import as_call, as_calls, store_inside
from asyncjobs.errors import (
    BatchTooLargeError,
    JobGoneError,
    KeyInDoubtError,
    NotAJobError,
    NotOpenError,
    UnknownQueueError,
)
from asyncjobs.gathering import pauses
from asyncjobs.home import Home
from asyncjobs.options import LaterOptions, chosen
from asyncjobs.pausing import Pausing
from asyncjobs.placing import Placer
from asyncjobs.scheduled import ScheduledJob, from_record, wait_all
from asyncjobs.schedules import OWN_OPTIONS, RecurringOptions, Schedules
from asyncjobs.storing import Storer
from asyncjobs.watch import Watch
from asyncjobs.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from asyncjobs.job import Job, JobCall
    from asyncjobs.options import Chosen
    from asyncjobs.registry import JobRegistry
    from asyncjobs.schedule_types import Schedule
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import JobRecord, Limit, NewJob, StoredJob

R = TypeVar("R")

MAX_MANY = 100_000
"""Calls in one `later.many`."""


class Scheduler(Control, Pausing):
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
        super().__init__(storage, registry)
        self._queues = queues
        self._home = Home()
        self._watch = Watch(storage, self._home)
        self._placer = Placer(registry, queue_limits)
        self._storer = Storer(storage, self._home)

    @overload
    async def __call__(
        self, call: JobCall[R], /, **options: Unpack[LaterOptions]
    ) -> ScheduledJob[R]: ...

    @overload
    async def __call__(
        self, job: Job[..., R], args: Sequence[Any] = (), /, **options: Unpack[LaterOptions]
    ) -> ScheduledJob[R]: ...

    @overload
    async def __call__(
        self, call: JobCall[Any], /, **options: Unpack[RecurringOptions]
    ) -> Schedule: ...

    @overload
    async def __call__(
        self, job: Job[..., Any], args: Sequence[Any] = (), /, **options: Unpack[RecurringOptions]
    ) -> Schedule: ...

    async def __call__(
        self,
        call: JobCall[Any] | Job[..., Any],
        args: Sequence[Any] | None = None,
        /,
        **options: Any,
    ) -> ScheduledJob[Any] | Schedule:
        """Store a call and return it once it is durable. `LaterOptions` has the options.

        *wait* is seconds or a timedelta from now, *wait_until* a moment with a time zone; at
        most one of them. *queue* and *priority* replace the job's own. With *connection* (of
        asyncpg, or an SQLAlchemy AsyncSession or AsyncConnection on asyncpg) the job exists
        exactly if that connection's transaction commits.

        With *unique* an equal call is not stored a second time; then *on_conflict* counts, and
        what is returned is the job that exists, with ``is_new`` false. With *cron* or *every*
        the job recurs, and a `Schedule` is returned: `RecurringOptions` has what goes with them.

        Raises a ScheduleError that says what is wrong, UnknownQueueError, UnknownOptionError,
        ConfigError, or a StorageError if the database does not take it; nothing is stored
        then, unless the connection broke while waiting for the answer. Raises RuntimeError in
        another event loop than the manager's, where `from_thread` is right.
        """
        taken = as_call(call, args)
        if options and not OWN_OPTIONS.isdisjoint(options):
            return await self._recur(taken, options)
        chosen = self._chosen(cast("LaterOptions", options))
        row = self._placer.row(taken, chosen, parent_in(self._storage))
        if self._placer.limiter.undeclared:
            await self._declare([row])
        connection = options.get("connection")
        if self._registry.hooks.watch_enqueue or taken.job.hooks.watch_enqueue:
            [scheduled] = await self._store_watched([taken.job], [row], connection)
            return scheduled
        if connection is None and row.extras is None:
            return ScheduledJob(row, await self._storer.gathered.add(row), self._watch)
        return self._scheduled(row, await self._storer.store(row, connection))

    async def many(
        self, calls: Iterable[JobCall[R]], /, **options: Unpack[LaterOptions]
    ) -> list[ScheduledJob[R]]:
        """Store all *calls* or none, in one statement; the options are for each of them.

        Takes up to 100 000 calls. Raises as a single call does, and BatchTooLargeError.
        """
        taken = as_calls(calls)
        chosen, parent = self._chosen(options), parent_in(self._storage)
        rows = [self._placer.row(call, chosen, parent) for call in taken]
        if len(rows) > MAX_MANY:
            raise BatchTooLargeError(MAX_MANY, len(rows))
        if self._placer.limiter.undeclared:
            await self._declare(rows)
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

        Raises NotOpenError if the manager is not open, as in the process of a job with
        ``process=True``, and RuntimeError in the event loop itself, which would wait for
        itself for ever.
        """
        taken = as_call(call, args)
        loop = self._home.loop
        if loop is None or loop.is_closed():
            raise NotOpenError(job_apart())
        if asyncio._get_running_loop() is loop:
            raise RuntimeError("in the event loop write `await later(…)`")
        stored = asyncio.run_coroutine_threadsafe(self(taken, **options), loop)
        result: ScheduledJob[R] = stored.result()
        return result

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

    @property
    def schedules(self) -> Schedules:
        """What makes jobs recur: to look at, switch, run now and remove."""
        return Schedules(self._storage, self._watch, self._registry)

    @property
    def workers(self) -> Workers:
        """Who works: to look at, to quiet and to stop."""
        return Workers(self._storage)

    def provide(self) -> Scheduler:
        """Return this scheduler, for ``Annotated[Scheduler, Depends(later.provide)]``."""
        return self

    def use_storage(self, storage: Storage) -> Storage:
        """Store in *storage* from now on, and return what it replaces; for tests."""
        before, self._storage = self._storage, storage
        self._storer.storage = storage
        self._watch.stop()
        self._watch = Watch(storage, self._home)
        self._placer = Placer(self._registry, self._placer.limiter.queue_limits)
        return before

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Say in which loop the manager is open; None when it is not any more."""
        self._home.settle(loop)

    async def drain(self) -> None:
        """Wait until every gathered call is stored or refused."""
        await self._storer.drain()

    async def close(self) -> None:
        """Store what is being gathered, and let nobody wait for a job any longer."""
        await self.drain()
        await self._watch.close()

    async def _recur(self, call: JobCall[Any], options: dict[str, Any]) -> Schedule:
        for_each = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
        row = self._placer.row(call, self._chosen(cast("LaterOptions", for_each)), None)
        if self._placer.limiter.undeclared:
            await self._declare([row])
        return await self.schedules.put(call.job, row, options)

    async def _declare(self, rows: Sequence[NewJob]) -> None:
        for pause in pauses():
            try:
                await self._placer.limiter.declare(self._storage.limits, rows)
            except KeyInDoubtError:
                await asyncio.sleep(pause)
            else:
                return

    def _chosen(self, options: LaterOptions) -> Chosen:
        found = chosen(options)
        if found.queue is not None and found.queue not in self._queues:
            raise UnknownQueueError(found.queue, self._queues)
        return found

    def _scheduled(self, row: NewJob, stored: StoredJob) -> ScheduledJob[Any]:
        job = None if row.extras is None else self._registry.get(row.name)
        return ScheduledJob(row, stored, self._watch, None if job is None else job.returns)

    async def _store_all(
        self, rows: Sequence[NewJob], connection: object | None
    ) -> list[ScheduledJob[Any]]:
        if len(rows) == 1:
            return [self._scheduled(rows[0], await self._storer.store(rows[0], connection))]
        stored = await self._storer.store_all(rows, connection)
        return [self._scheduled(row, one) for row, one in zip(rows, stored, strict=True)]

    async def _store_watched(
        self, jobs: Sequence[Job[..., Any]], rows: Sequence[NewJob], connection: object | None
    ) -> list[ScheduledJob[Any]]:
        holders = {job.name: (self._registry.hooks, job.hooks) for job in jobs}

        async def store(changed: Sequence[NewJob]) -> list[ScheduledJob[Any]]:
            for row in changed:
                if row.queue not in self._queues:
                    raise UnknownQueueError(row.queue, self._queues)
            moved = [self._placer.limiter.follow(row) for row in changed]
            if self._placer.limiter.undeclared:
                await self._declare(moved)
            return await self._store_all(moved, connection)

        return await store_inside(holders, rows, store)
