"""Jobs in this process's memory, for the tests of programs that use asyncjobs.

Nothing is durable and nothing is shared: one adapter belongs to one event loop, and its jobs
are gone with it. No method awaits between looking and acting, so each is one step for every
other task.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

import anyio

from asyncjobs.errors import ConnectionKindError, NotOpenError
from asyncjobs.storage.memory_admin import MemoryAdmin
from asyncjobs.storage.memory_fleet import MemoryFleet
from asyncjobs.storage.memory_limits import MemoryLimits
from asyncjobs.storage.memory_maintenance import MemoryMaintenance
from asyncjobs.storage.memory_overview import MemoryOverview
from asyncjobs.storage.memory_results import MemoryResults, keep
from asyncjobs.storage.memory_schedules import MemorySchedules
from asyncjobs.storage.memory_statistics import MemoryStatistics
from asyncjobs.storage.memory_table import Table
from asyncjobs.storage.memory_wishes import MemoryWishes
from asyncjobs.types import (
    ALL_LANES,
    ClaimedJob,
    Heartbeat,
    JobRecord,
    JobState,
    LocalWorker,
    Names,
    NewJob,
    Outcome,
    Promotion,
    Rescued,
    Signal,
    StoredJob,
    WorkerInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Never

    from asyncjobs.storage.memory_rows import Row
    from asyncjobs.storage.protocol import OnSignal


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class MemoryAdapter:
    """Keep jobs in memory, by the same rules as PostgresAdapter. See the module.

    *clock* tells the adapter what time it is, as an aware datetime. A test that hands in its
    own moves time without waiting; a worker that sleeps still sleeps real seconds::

        now = datetime(2030, 1, 1, tzinfo=UTC)
        storage = MemoryAdapter(clock=lambda: now)

    Jobs survive the last `close`: an adapter that is opened again still has them.
    """

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._opened = 0
        self._table = Table(clock)
        self.statistics = MemoryStatistics(clock, lambda: self._table.given)
        self._rows, self._put, self._wake = self._table.rows, self._table.put, self._table.wake
        self._fleet = MemoryFleet(clock, self._table)
        self._workers = self._fleet.workers
        self.results = MemoryResults(self._rows, clock, self._table.tell, self._check_open)
        """See `ResultStorage`."""
        self.limits = MemoryLimits(
            clock=clock, rows=self._rows.values, settle=self._settle, tell=self._table.tell
        )
        self._table.line_up = self.limits.add
        self.admin = MemoryAdmin(self._table, self.cancel)
        self.schedules = MemorySchedules(
            clock,
            store=self._store,
            runs=self._rows,
            workers=self._workers,
            tell=self._table.tell,
        )
        self.maintenance = MemoryMaintenance(clock, self._workers, self._table.keys)
        self.wishes = MemoryWishes(clock, self._workers, self._table.tell)
        self.overview = MemoryOverview(clock, self._rows, self._workers, self.limits)

    async def open(self) -> None:
        """Count one more user."""
        self._opened += 1

    async def close(self) -> None:
        """Count one user less."""
        self._opened = max(0, self._opened - 1)

    async def migrate(self) -> list[str]:
        """Return nothing: there is nothing to migrate."""
        return []

    async def enqueue(
        self, jobs: Sequence[NewJob], *, connection: object | None = None
    ) -> list[StoredJob]:
        """Store *jobs*. There are no transactions, so every *connection* is refused."""
        if connection is not None:
            _refuse_transaction()
        self._check_open()
        return self._store(jobs)

    def _check_open(self) -> None:
        if not self._opened:
            raise NotOpenError

    async def cancel(self, ids: Sequence[int], *, interrupt: bool) -> list[int]:
        """Cancel the unfinished jobs among *ids*."""
        found = (self._rows[number] for number in dict.fromkeys(ids) if number in self._rows)
        unfinished = [row for row in found if row.finished_at is None]
        running = [row for row in unfinished if row.state is JobState.RUNNING]
        for row in running:
            row.cancel_requested = True
            row.interrupt = row.interrupt or interrupt
        for row in [row for row in unfinished if row.state is not JobState.RUNNING]:
            row.lane_kept = False
            self._put(row, JobState.CANCELLED)
            if row.lane or row.queue_lane:
                self._table.tell(Signal(lanes=(ALL_LANES,)))
        self.results.tell(row.id for row in unfinished if row.finished_at is not None)
        if running and interrupt:
            self._table.tell(Signal(cancel=tuple(row.id for row in running)))
        return [row.id for row in unfinished]

    async def clear(self) -> int:
        """Remove all jobs. Their ids are not given again."""
        removed = len(self._rows)
        self._table.clear()
        self.limits.clear()
        for worker in self._workers.values():
            worker.holds.clear()
        return removed

    async def get(self, ids: Sequence[int]) -> list[JobRecord]:
        """Return the jobs of *ids* that exist, by id."""
        return [self._rows[number].record() for number in sorted(set(ids)) if number in self._rows]

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by queue and state."""
        return dict(Counter((row.job.queue, row.state.value) for row in self._rows.values()))

    async def register(self, worker: WorkerInfo) -> int:
        """Add a worker and return its id."""
        return self._fleet.register(worker)

    async def heartbeat(self, worker: int) -> Heartbeat:
        """Renew the lease of *worker*."""
        return self._fleet.heartbeat(worker)

    async def deregister(self, worker: int) -> None:
        """Remove *worker*; its jobs become available uncounted."""
        self._fleet.deregister(worker)

    async def leave(self, worker: int) -> None:
        """Note that *worker* ends with jobs that still run."""
        self._fleet.leave(worker)

    async def local_workers(self, host_id: str) -> list[LocalWorker]:
        """Return the workers of the machine *host_id*."""
        return self._fleet.local_workers(host_id)

    async def held(self, worker: int) -> list[tuple[int, int]]:
        """Return id and attempt of the jobs that *worker* holds."""
        return self._fleet.held(worker)

    async def rescue(self, dead: Sequence[int], *, watched: float = inf) -> list[Rescued]:
        """Remove the workers *dead* and those whose lease has run out; free their jobs."""
        return self._fleet.rescue(dead, watched)

    async def claim(
        self, worker: int, queues: Sequence[str], limit: int, names: Names | None = None
    ) -> list[ClaimedJob]:
        """Give up to *limit* available jobs to *worker*."""
        if worker not in self._workers:
            return []
        now = self._clock()
        rows = self._table.waiting.take(queues, limit, names)
        for row in rows:
            row.state = JobState.RUNNING
            row.worker = worker
            row.attempt += 1
            row.attempted_at = now
            self._workers[worker].holds[row.id] = row
        return [row.claimed() for row in rows]

    async def finish(self, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        """Record those of *outcomes* whose job *worker* holds at that attempt."""
        done = [outcome for outcome in outcomes if self._record(worker, outcome)]
        self.schedules.note(done)
        self._wake(self._rows[one.id] for one in done if one.id in self._rows)
        self.results.tell(outcome.id for outcome in outcomes if outcome.kept is not None)
        return [outcome.id for outcome in done]

    def transaction(self, connection: object | None = None) -> Never:
        """Raise ConnectionKindError: there are no transactions."""
        _refuse_transaction()

    async def finish_within(self, connection: object, worker: int, outcome: Outcome) -> Never:
        """Raise ConnectionKindError: there are no transactions."""
        _refuse_transaction()

    async def completion(self, worker: int, outcome: Outcome) -> Never:
        """Raise ConnectionKindError: there are no transactions."""
        _refuse_transaction()

    async def promote(self, limit: int) -> Promotion:
        """Make up to *limit* due jobs available, the earliest first."""
        due = self._table.future.take_due(self._clock(), limit)
        for row in due:
            row.position = next(self._table.numbers)
            self._table.enter(row)
        self._wake(due)
        next_at = self._table.future.next_at()
        return Promotion(len(due), None if next_at is None else self._table.seconds_until(next_at))

    async def offer(self, names: Sequence[str]) -> int:
        """Make postponed jobs of these *names* available at once."""
        wanted = frozenset(names)
        rows = [row for row in self._rows.values() if row.is_postponed and row.job.name in wanted]
        for row in rows:
            row.position, row.run_at = -row.position, self._clock()
            self._table.enter(row)
        self._wake(rows)
        return len(rows)

    async def listen(self, on_signal: OnSignal) -> None:
        """Call *on_signal* for everything that happens, until cancelled."""
        self._table.listeners.append(on_signal)
        try:
            on_signal(Signal(missed=True, proven=True))
            await anyio.sleep_forever()
        finally:
            self._table.listeners.remove(on_signal)

    def for_thread(self) -> None:
        """Return None: the jobs belong to one event loop."""

    def _record(self, worker: int, outcome: Outcome) -> bool:
        row = self._rows.get(outcome.id)
        if row is None or (row.worker, row.attempt) != (worker, outcome.attempt):
            return False
        del self._workers[worker].holds[row.id]
        row.attempt -= outcome.refund
        if outcome.error is not None:
            row.errors.append(outcome.error)
        if outcome.kept is not None:
            keep(row, outcome)
        if outcome.delete and outcome.kept is None:
            row.stored = False
            del self._rows[row.id]
        else:
            is_postponed = outcome.state == "postponed"
            state = JobState.SCHEDULED if is_postponed else JobState(outcome.state)
            if is_postponed:
                row.position = -abs(row.position)
            row.lane_kept = outcome.keeps_lane and state is JobState.SCHEDULED
            if state is JobState.SCHEDULED and not row.cancel_requested:
                row.run_at = self._clock() + timedelta(seconds=outcome.delay)
            self._put(row, state)
        return True

    def _store(self, jobs: Sequence[NewJob]) -> list[StoredJob]:
        now = self._clock()
        self._table.keys.check(jobs, now)
        touched: list[Row] = []
        stored = [self._table.store(job, now, touched) for job in jobs]
        self._wake(touched)
        return stored

    def _settle(self, row: Row, state: JobState) -> None:
        # For a row that was let into a lane, or put back into its line.
        if row.worker is not None:
            del self._workers[row.worker].holds[row.id]
        if state is JobState.AVAILABLE:
            row.position = next(self._table.numbers)
        self._put(row, state)


def _refuse_transaction() -> Never:
    raise ConnectionKindError(
        "MemoryAdapter has no transactions: test what needs one on PostgreSQL, such as the one "
        "of asyncjobs.storage.embedded"
    )
