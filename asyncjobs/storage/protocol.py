"""What a storage adapter does: everything in batches, in the words of the design.

An adapter of your own passes `asyncjobs.testing.StorageContract`.

Rules that hold for every method:

- The storage's clock decides what is due and whose lease has run out.
- A method raises StorageUnavailableError when the storage did not answer; the caller then
  does not know whether it took effect, and may call again. Three do not bear that blindly:
  `enqueue` stores the jobs a second time; `claim` leaves those whose answer was lost with
  the worker, which finds them by `held`; and `finish` must not repeat an outcome with a
  refund, because the same worker may hold that job at that attempt again.
- Methods may be called at the same time from tasks of one event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from asyncjobs.types import (
    ClaimedJob,
    Completion,
    Heartbeat,
    JobRecord,
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
    from contextlib import AbstractAsyncContextManager

    from asyncjobs.statistics import StatisticsStorage
    from asyncjobs.storage.admin import AdminStorage
    from asyncjobs.storage.limits import LimitStorage
    from asyncjobs.storage.maintenance import MaintenanceStorage
    from asyncjobs.storage.overview import OverviewStorage
    from asyncjobs.storage.results import ResultStorage
    from asyncjobs.storage.schedules import ScheduleStorage
    from asyncjobs.storage.wishes import WishStorage

OnSignal: TypeAlias = Callable[[Signal], None]


class Storage(Protocol):
    """Where jobs are kept. See the module for the rules."""

    @property
    def statistics(self) -> StatisticsStorage:
        """Counts of what ended; to be used while the storage is open."""
        ...

    @property
    def admin(self) -> AdminStorage:
        """What people and their tools ask of the jobs. Raises NotOpenError."""
        ...

    @property
    def results(self) -> ResultStorage:
        """What is kept of jobs, and who waits for it."""
        ...

    @property
    def limits(self) -> LimitStorage:
        """What is limited, and what is paused."""
        ...

    @property
    def schedules(self) -> ScheduleStorage:
        """What makes jobs recur."""
        ...

    @property
    def maintenance(self) -> MaintenanceStorage:
        """What keeps the storage tidy."""
        ...

    @property
    def wishes(self) -> WishStorage:
        """What people wish of workers. Raises NotOpenError."""
        ...

    @property
    def overview(self) -> OverviewStorage:
        """How it stands with queues and workers, at a glance. Raises NotOpenError."""
        ...

    async def open(self) -> None:
        """Get ready to store jobs. Opening twice is harmless; each open needs its close.

        Raises StorageUnavailableError if nobody answers, NotMigratedError or
        SchemaTooNewError if what answers cannot be worked with.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection, at the last close."""
        ...

    async def migrate(self) -> list[str]:
        """Bring the storage to this version and return the names of the steps taken."""
        ...

    async def enqueue(
        self, jobs: Sequence[NewJob], *, connection: object | None = None
    ) -> list[StoredJob]:
        """Store all *jobs* or none, in their order, durably, and wake workers.

        With *connection* they become visible when its transaction commits. Raises
        NotOpenError, ConnectionKindError.
        """
        ...

    async def cancel(self, ids: Sequence[int], *, interrupt: bool) -> list[int]:
        """Cancel jobs and return the ids of those that were not finished yet.

        One that does not run yet never will, and is kept as `cancelled`. A running one is
        never tried again; with *interrupt* its worker is told to cancel it.
        """
        ...

    async def clear(self) -> int:
        """Remove all jobs, running ones too, and return how many."""
        ...

    async def get(self, ids: Sequence[int]) -> list[JobRecord]:
        """Return the jobs of *ids* that exist, by id."""
        ...

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by queue and state, where there are any."""
        ...

    async def register(self, worker: WorkerInfo) -> int:
        """Add a worker and return its id. Its lease starts now."""
        ...

    async def heartbeat(self, worker: int) -> Heartbeat:
        """Renew the lease of *worker*."""
        ...

    async def deregister(self, worker: int) -> None:
        """Remove a worker that ends; jobs it still holds become available uncounted."""
        ...

    async def leave(self, worker: int) -> None:
        """Note that *worker* ends without giving back what it holds, because that still runs.

        Whoever rescues it counts no attempt. An older schema has no room for this.
        """
        ...

    async def local_workers(self, host_id: str) -> list[LocalWorker]:
        """Return the workers that registered from the machine *host_id*."""
        ...

    async def claim(
        self, worker: int, queues: Sequence[str], limit: int, names: Names | None = None
    ) -> list[ClaimedJob]:
        """Give up to *limit* available jobs to *worker*, the most urgent first.

        Order: priority, then the time they became available. A job is given to one worker
        only. A worker whose lease was taken away gets none. With *names* only jobs of some
        names, at the cost of passing over the others.
        """
        ...

    async def held(self, worker: int) -> list[tuple[int, int]]:
        """Return id and attempt of the jobs that *worker* holds."""
        ...

    async def finish(self, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        """Record *outcomes* durably and return the ids of those that were recorded.

        An outcome is recorded only if *worker* holds the job at that attempt. A job whose
        cancellation was asked for becomes `cancelled` instead of going back to the queue.
        The schedule of a run is told in the same step; with `RunOf.most` failed attempts since
        a run succeeded it gives up. Raises KeyInDoubtError, and records nothing that belongs to
        a run, while somebody's open transaction changes its schedule.
        """
        ...

    def transaction(self, connection: object | None = None) -> AbstractAsyncContextManager[Any]:
        """Return a block with a connection that is inside a transaction.

        Without *connection* the storage gives one, and leaving the block commits, or rolls
        back after an exception. A commit under way is carried through, however often its task
        is cancelled meanwhile. The user's own *connection*, which has to be inside a
        transaction already, is given back as it is, and stays the user's to commit.

        Raises TransactionError, ConnectionKindError; what a commit raises is the driver's. A
        storage that has no transactions raises ConnectionKindError here and in the next two.
        """
        ...

    async def finish_within(self, connection: object, worker: int, outcome: Outcome) -> Completion:
        """Write *outcome*, a success, into the transaction of *connection*.

        It is recorded when that commits, which has to follow at once. Refused as by `finish`,
        and if the job's worker was told to cancel it; then the transaction must not commit.
        """
        ...

    async def completion(self, worker: int, outcome: Outcome) -> Completion:
        """Return what became of an *outcome* that was written by `finish_within`.

        Waits while its transaction has not ended, at most some seconds: then it raises
        StorageUnavailableError. A job that does not exist any more counts as recorded.
        """
        ...

    async def promote(self, limit: int) -> Promotion:
        """Make up to *limit* due jobs available, the earliest first, and wake workers."""
        ...

    async def offer(self, names: Sequence[str]) -> int:
        """Make postponed jobs of these *names* available at once, and return how many."""
        ...

    async def rescue(self, dead: Sequence[int], *, watched: float = inf) -> list[Rescued]:
        """Remove the workers *dead* and those whose lease has run out; free their jobs.

        The attempt that was lost counts, unless it is the second that the job loses, and is
        recorded with the error WorkerLost. What a worker that left held goes back uncounted.
        *watched* is for how many seconds the caller has had no trouble with the storage:
        after an outage others need up to half of their lease to show that they live.
        """
        ...

    async def listen(self, on_signal: OnSignal) -> None:
        """Call *on_signal* for everything that happens, until cancelled.

        Repairs itself: after a gap it reports a signal with `missed`.
        """
        ...

    def for_thread(self) -> Self | None:
        """Return an unopened adapter of the same storage for another thread's event loop.

        None if there cannot be one; the worker then sends its heartbeats by its own loop.
        """
        ...
