"""`JobsKit`: an application's jobs in a test, without a database and without waiting.

::

    async def test_a_new_user_is_welcomed(jobs_kit: JobsKit) -> None:
        await create_user("ada@example.com")
        await jobs_kit.assert_enqueued(send_welcome_email, {"user_id": 1}, within=60)
        await jobs_kit.drain(scheduled=True)
        assert outbox == ["ada@example.com"]

The fixture ``jobs_kit`` is there as soon as the package is installed. It finds the manager
as the command `asyncjobs` does, by ``[tool.asyncjobs] app`` in pyproject.toml; a fixture of
your own named ``jobs_kit_manager`` returns another one, and one named ``jobs_kit_clock`` a
`MovableClock` that starts at a date of your choice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from asyncjobs.clock import check_duration
from asyncjobs.config import WorkerGroup
from asyncjobs.errors import NotAJobError, UnknownQueueError
from asyncjobs.job import Job, JobCall
from asyncjobs.testing.arguments import expected_arguments, fits
from asyncjobs.testing.clock import MovableClock
from asyncjobs.testing.storage import TestStorage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime

    from asyncjobs.context import JobContext
    from asyncjobs.hooks import AttemptEnd, OutcomeWord, Store
    from asyncjobs.manager import JobManager
    from asyncjobs.scheduled import ScheduledJob
    from asyncjobs.types import JobRecord, NewJob

MAX_MOVES = 1_000
"""Times that a drain moves the clock: a job that always schedules itself never ends."""
MAX_ATTEMPTS = 100_000
"""Attempts of one drain: a job that schedules itself at once never ends either."""
DRAIN: ContextVar[object] = ContextVar("asyncjobs.testing.drain", default=None)
"""The drain that this task, or the job that it runs, is part of; None where nobody knows."""
OUTSIDE = object()
"""Stands for no drain, in the tasks of a test."""


class JobsKit:
    """The jobs of one manager, in memory. Made by `jobs_kit`, and by `in_memory`."""

    def __init__(self, jobs: JobManager, clock: MovableClock) -> None:
        self.jobs, self.clock = jobs, clock
        self.storages = {name: TestStorage(clock) for name in jobs.adapters}
        """The storages by the names of the manager's adapters."""
        self._lock = asyncio.Lock()
        self._drain: object = None
        self._limit: asyncio.Timeout | None = None

    async def enqueued(self, job: Job[..., Any] | None = None) -> list[JobRecord]:
        """Return the jobs that wait to be run, of *job* or all, in the order of storing."""
        found = [record for each in self.storages.values() for record in await each.waiting()]
        return [record for record in found if job is None or record.name == job.name]

    async def assert_enqueued(
        self,
        job: Job[..., Any] | JobCall[Any],
        args: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        within: float | timedelta | None = None,
        queue: str | None = None,
        count: int | None = None,
    ) -> JobRecord:
        """Fail unless a fitting job waits, and return the first.

        *job* is a job, or a call of it with all its arguments. *args* are all arguments as a
        list, or some by name; one that is not given is its default. *within*, in seconds or a
        timedelta, is how soon it has to be due. With *count* exactly so many have to fit.

        Raises NotAJobError, TypeError or ArgumentError for arguments that the job does not take,
        UnknownQueueError, WaitError for *within*, and ValueError for a *count* below 1.
        """
        if count is not None and count < 1:
            raise ValueError(
                f"count must be at least 1, got {count}: refute_enqueued says that none waits"
            )
        wanted, fitting = await self._fitting(job, args, within, queue)
        if not fitting or (count is not None and len(fitting) != count):
            number = "no" if count is None else f"{len(fitting)}, not {count},"
            raise AssertionError(f"{number} jobs {wanted} are enqueued; {await self._shown()}")
        return fitting[0]

    async def refute_enqueued(
        self,
        job: Job[..., Any] | JobCall[Any],
        args: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        within: float | timedelta | None = None,
        queue: str | None = None,
    ) -> None:
        """Fail if a job waits that `assert_enqueued` would accept; raise what that raises."""
        wanted, fitting = await self._fitting(job, args, within, queue)
        if fitting:
            raise AssertionError(f"{wanted} is enqueued: {[_show(record) for record in fitting]}")

    async def drain(self, *, scheduled: bool = False, raises: bool = True) -> Counter[OutcomeWord]:
        """Run what is due, and what becomes due meanwhile; return how the attempts ended.

        Each attempt counts once, by the word of the hook `on_outcome`: an error that a retry
        follows is ``retried``, one for good ``failed``. With *scheduled* the clock moves on to
        each future job, retries included, until none is left.

        Raises the first error of an attempt that ``failed``, is ``retried`` or ``expired``,
        after the others were run, unless *raises* is false; AssertionError if jobs are left
        after the clock was moved `MAX_MOVES` times, or after `MAX_ATTEMPTS` attempts.
        """
        ends: Counter[OutcomeWord] = Counter()
        errors: list[BaseException] = []
        async with self._draining():
            with self._watching(ends, errors):
                await self._work_off()
                if scheduled:
                    await self._go_on(lambda: bool(errors) and raises)
        if errors and raises:
            raise errors[0]
        return ends

    @contextlib.contextmanager
    def perform_inline(self) -> Iterator[None]:
        """Within the block, `later` runs each job that is due at once, before it returns.

        A job's error is raised by its `later`. Jobs for the future are only stored.
        """

        async def inline(rows: Sequence[NewJob], store: Store) -> list[ScheduledJob[Any]]:
            if self._is_draining():
                return await store(rows)
            async with self._draining():
                stored = await store(rows)
                await self.drain()
            return stored

        if DRAIN.get() is None:
            DRAIN.set(OUTSIDE)
        self.jobs.hooks.enqueue_middleware(inline)
        try:
            yield
        finally:
            self.jobs.hooks.of["enqueue_middleware"].remove(inline)

    def _is_draining(self) -> bool:
        # A thread of a job's own making knows nothing, and the drain waits for that job.
        return self._drain is not None and DRAIN.get() in (self._drain, None)

    @contextlib.asynccontextmanager
    async def _draining(self) -> AsyncIterator[None]:
        """Let no other task drain meanwhile, as it would run, or miss, the jobs of this one."""
        if self._is_draining():
            yield
            return
        async with self._lock:
            self._drain = object()
            token = DRAIN.set(self._drain)
            try:
                yield
            finally:
                DRAIN.reset(token)
                self._drain = None

    @contextlib.contextmanager
    def _watching(self, ends: Counter[OutcomeWord], errors: list[BaseException]) -> Iterator[None]:
        def note(_: JobContext, end: AttemptEnd) -> None:
            ends[end.word] += 1
            if ends.total() > MAX_ATTEMPTS and self._limit and not self._limit.expired():
                self._limit.reschedule(0)  # a moment that is over
            if end.error is not None:
                errors.append(end.error)

        hooks = self.jobs.hooks
        hooks.on_outcome(note)
        try:
            yield
        finally:
            hooks.of["on_outcome"].remove(note)

    async def _go_on(self, is_enough: Callable[[], bool]) -> None:
        moves = 0
        while not is_enough() and (moment := await self._next_at()) is not None:
            if moves == MAX_MOVES:
                left = await self._shown()
                raise AssertionError(f"the clock was moved {moves} times and jobs are left; {left}")
            self.clock.move_to(max(moment, self.clock()))
            await self._work_off()
            moves += 1

    async def _next_at(self) -> datetime | None:
        moments = []
        for name, storage in self.storages.items():
            groups = [group for group in self.jobs.workers if group.adapter == name]
            worked = {queue for group in groups for queue in group.queues(self.jobs.queues)}
            moments.append(await storage.next_at(worked))
        return min((moment for moment in moments if moment is not None), default=None)

    async def _work_off(self) -> None:
        try:
            async with asyncio.timeout(None) as limit:
                self._limit = limit
                await self.jobs.workoff()
        except TimeoutError:
            if not limit.expired():
                raise
            left = await self._shown()
            raise AssertionError(
                f"the drain was ended after {MAX_ATTEMPTS} attempts, as of a job that always "
                f"schedules itself; {left}"
            ) from None

    async def _fitting(
        self,
        job: Job[..., Any] | JobCall[Any],
        args: Sequence[Any] | Mapping[str, Any] | None,
        within: float | timedelta | None,
        queue: str | None,
    ) -> tuple[str, list[JobRecord]]:
        if queue is not None and queue not in self.jobs.queues:
            raise UnknownQueueError(queue, self.jobs.queues)
        if not isinstance(job, Job | JobCall):
            raise NotAJobError(f"give a job, or a call of one, got {job!r}")
        own = job.take().job if isinstance(job, JobCall) else job
        expected = expected_arguments(job, args)
        wanted = f"{own.name}({'…' if expected is None else json.dumps(expected)})"
        if queue is not None:
            wanted += f" in {queue}"
        limit = None
        if within is not None:
            soon = check_duration("within", within)
            wanted += f" within {soon:g} s"
            limit = self.clock() + timedelta(seconds=soon)
        is_whole = not isinstance(args, Mapping)
        fitting = [
            record
            for record in await self.enqueued(own)
            if fits(own, json.loads(record.args), expected, is_whole=is_whole)
            and (queue is None or record.queue == queue)
            and (limit is None or record.run_at <= limit)
        ]
        return wanted, fitting

    async def _shown(self) -> str:
        found = [_show(record) for record in await self.enqueued()]
        return "enqueued are:\n  " + "\n  ".join(found) if found else "nothing is"


@contextlib.asynccontextmanager
async def in_memory(jobs: JobManager, clock: MovableClock | None = None) -> AsyncIterator[JobsKit]:
    """Keep the jobs of *jobs* in memory during the block, and yield the kit for them."""
    with replaced(jobs, MovableClock() if clock is None else clock) as kit:
        yield kit


@contextlib.contextmanager
def replaced(jobs: JobManager, clock: MovableClock) -> Iterator[JobsKit]:
    """Do what `in_memory` does, for a test that is no coroutine."""
    kit = JobsKit(jobs, clock)
    adapters, workers = jobs.adapters, jobs.workers
    storages = {
        scheduler: scheduler.use_storage(kit.storages[scheduler.adapter])
        for scheduler in jobs.schedulers
    }
    jobs.adapters = dict(kit.storages)
    jobs.workers = workers or tuple(WorkerGroup(adapter=name) for name in adapters)
    try:
        yield kit
    finally:
        jobs.adapters, jobs.workers = adapters, workers
        for scheduler, storage in storages.items():
            scheduler.use_storage(storage)


def _show(record: JobRecord) -> str:
    return f"{record.name}({record.args}) in {record.queue}, due {record.run_at.isoformat()}"
