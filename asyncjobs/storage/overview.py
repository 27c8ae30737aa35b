"""What a storage says of itself at a glance: depths of queues, workers, and its own health.

For dashboards, which ask once a second: nothing here reads more than a bounded part of a
table, however many jobs there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from asyncjobs.types import Limit

WorkerState: TypeAlias = Literal["running", "quiet", "stopping", "silent"]

COUNTED = 10_000
"""Up to how many jobs of a queue or a state are counted one by one."""
LANE_COUNTED = 1_000
"""The same of a lane."""
LAST_TAGGED, MOST_TAGS = 2_000, 500
"""How many of the newest jobs tell which tags there are, and how many of these are told."""
SHOWN = 20
"""Running jobs that are told of each worker."""


class Depth(NamedTuple):
    """How many jobs wait in a queue for a worker."""

    queue: str
    available: int
    """`COUNTED` if there are so many or more."""
    waited: float
    """Seconds for which the one that could have run first has waited."""


class RunningJob(NamedTuple):
    """A job that a worker runs."""

    id: int
    name: str
    queue: str
    attempt: int
    seconds: float
    """Since it began."""


class WorkerStatus(NamedTuple):
    """A worker, and what it does now."""

    id: int
    name: str
    group: str
    queues: Sequence[str]
    host: str
    pid: int
    started_at: datetime
    silent: float
    """Seconds since its last heartbeat."""
    lease: float
    """Seconds of silence after which it counts as dead."""
    running: int = 0
    jobs: Sequence[RunningJob] = ()
    """Those that began first, `SHOWN` at most."""
    version: str | None = None
    """Of this package; None for a worker of one so old that it hears no wishes."""
    concurrency: int | None = None
    """How many jobs it runs at once."""
    quiet_at: datetime | None = None
    """Since when it is to claim nothing more; None if it may."""
    stop_at: datetime | None = None
    """Since when it is to end."""
    stopping_at: datetime | None = None
    """Since when it does, and waits for what it runs."""
    quiet_unheard: bool = False
    """It was told to claim nothing since its last heartbeat."""

    @property
    def is_alive(self) -> bool:
        """Whether its lease has not run out."""
        return self.silent <= self.lease

    @property
    def state(self) -> WorkerState:
        """What it does: what is wished of it counts as done, see `is_unheard`."""
        if not self.is_alive:
            return "silent"
        if self.stop_at is not None or self.stopping_at is not None:
            return "stopping"
        return "running" if self.quiet_at is None else "quiet"

    @property
    def is_unheard(self) -> bool:
        """Whether it has not shown yet that it has heard what is wished of it."""
        return self.quiet_unheard or (self.stop_at is not None and self.stopping_at is None)


class QueueState(NamedTuple):
    """How many jobs of a queue are in a state."""

    queue: str
    state: str
    jobs: int
    is_exact: bool = True
    """Otherwise it is about so many."""


class LaneStatus(NamedTuple):
    """A lane: who waits in its line, and whom it has let in. Counts end at `LANE_COUNTED`."""

    name: str
    waiting: int
    let_in: int
    """Those that take one of its places."""
    running: int
    """Those of them that run."""
    limit: Limit | None
    """What holds for the first of its line; None if nothing is said."""
    paused_at: datetime | None


class LanePage(NamedTuple):
    """Some lanes by name."""

    lanes: Sequence[LaneStatus]
    after: str | None
    """Behind which name the next page begins; None if there is none."""
    is_cut_short: bool = False
    """So many names were looked at that the page ends before it is full."""


class RunStatus(NamedTuple):
    """A run of a schedule that is still stored."""

    schedule: str
    id: int
    state: str
    tick: datetime | None
    """None if somebody asked for it."""
    attempt: int
    run_at: datetime
    attempted_at: datetime | None
    finished_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took; None if it has not ended, or was given up unbegun."""
        if self.finished_at is None or self.attempted_at is None:
            return None
        return max(0.0, (self.finished_at - self.attempted_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Health:
    """What slows queues down in a database. Durations are seconds; None says nothing is known."""

    version: str
    live: int
    dead: int
    """Rows of the table of jobs that nobody can see any more; like *live*, an estimate."""
    vacuumed: float | None
    """Since the last vacuum."""
    table_bytes: int
    index_bytes: int
    snapshot: float | None
    """For how long the oldest transaction has kept dead rows from being removed."""
    snapshot_pid: int | None
    snapshot_user: str | None
    snapshot_name: str | None
    """The application_name of that transaction's connection."""
    prepared: float | None
    """Since the oldest prepared transaction was prepared."""
    slot: str | None
    """The replication slot that keeps dead rows longest."""
    slot_age: int | None
    """For how many transactions it has kept them."""
    connections: int
    most_connections: int
    queue_usage: float
    """Which share of the room for notifications is taken, 0 to 1."""
    is_hidden: bool
    """Whether transactions of other users are hidden from this one."""
    listeners: int | None
    """Connections of workers that hear of new jobs; None if that cannot be seen from here."""
    notifies: bool
    """Whether workers of this program are woken by notifications, or only poll."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections that an adapter holds in this process.

    Those of the listener and of the heartbeats' threads are not among them.
    """

    busy: int
    """Connections with a purpose of their own that somebody uses at this moment."""
    idle: int
    """The others of them."""
    transactions: int
    """Jobs that are inside a transaction of their own."""
    most_transactions: int
    """How many may be at once."""
    pool: tuple[int, int, int] | None = None
    """Of the user's own pool: connections in use, not in use, and how many it may have."""


class OverviewStorage(Protocol):
    """The `overview` of a storage. Raises StorageUnavailableError for what takes too long."""

    async def depths(self) -> list[Depth]:
        """Return the queues in which jobs are available, by name."""
        ...

    async def states(self) -> dict[str, int]:
        """Return how many jobs there are by state, up to `COUNTED` each."""
        ...

    async def queues(
        self, depths: Callable[[], Awaitable[Sequence[Depth]]] | None = None
    ) -> list[QueueState]:
        """Return how many jobs of each queue are in each state, by queue, where there are any.

        If there are `COUNTED` in a state or more, it is told about how many. *depths*
        tells these, if somebody reads them anyway.
        """
        ...

    async def lanes(
        self,
        *,
        after: str | None = None,
        kind: str | None = None,
        containing: str | None = None,
        limit: int = 100,
    ) -> LanePage:
        """Return up to *limit* lanes that are in use or paused, by name.

        *kind* is key, job or queue. Those with *containing* in their name, whatever the case.
        """
        ...

    async def runs(self, schedules: Sequence[str], each: int) -> list[RunStatus]:
        """Return the last runs of *schedules* that are still stored, up to *each* of one.

        By schedule, the newest first. Of runs that somebody asked for about the last ones.
        """
        ...

    async def tags(self) -> list[str]:
        """Return the tags of the `LAST_TAGGED` newest jobs, `MOST_TAGS` at most, by name."""
        ...

    async def workers(self) -> list[WorkerStatus]:
        """Return the registered workers, by group and name."""
        ...

    async def health(self) -> Health | None:
        """Return how the database is; None if the storage is none."""
        ...

    def connections(self) -> Connections | None:
        """Return what connections there are in this process; None if the storage needs none."""
        ...
