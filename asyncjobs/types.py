"""The values that pass between the parts: rows, outcomes, and what a user gets back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

tuple_of = tuple.__new__
"""Makes a NamedTuple of all its fields, in half the time of a call of it: for what is made once
a job. Nothing counts the fields, and defaults are not filled in."""

Json: TypeAlias = str
"""JSON as text. Storage passes it through and never looks inside."""
MAX_ERRORS = 100
"""Records of failed attempts that a job keeps: the last ones."""


class JobState(StrEnum):
    """Where a job stands; stored as this text."""

    SCHEDULED = "scheduled"
    """For the future, or waiting for a retry."""
    WAITING = "waiting"
    """Until the lane that limits it lets it in, or until what is paused is resumed."""
    AVAILABLE = "available"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
"""The states of a job that has ended."""


class Unique(NamedTuple):
    """What makes a job unique."""

    key: str
    """Equal for equal calls; hexadecimal digits."""
    states: tuple[JobState, ...]
    """While a job is in one of these, there is no other of its key. Without `running`, only
    until it first starts."""
    period: float | None = None
    """Seconds from when it was stored in which there is no other, whatever became of it."""
    on_conflict: str = "ignore"
    """What storing another one does: ignore, replace, reschedule or raise."""


class Extras(NamedTuple):
    """What few jobs ask for. A job that asks for nothing has none, and costs nothing."""

    tags: tuple[str, ...] = ()
    """Words to find jobs by."""
    extra: Json | None = None
    """What the worker must know of this job beyond its arguments: a JSON object."""
    expires: float | None = None
    """Seconds from now after which the job is not started any more, by the database's clock."""
    expires_at: datetime | None = None
    retain: float | None = None
    """Seconds that the row stays after the job ended; then it is pruned."""
    lane: str | None = None
    """The lane of its own that limits it: `key:…` or `job:…`."""
    queue_lane: str | None = None
    """The lane of its queue, if that is limited: `queue:…`."""
    unique: Unique | None = None
    schedule: str | None = None
    """The schedule whose run this is."""
    tick: datetime | None = None
    """The tick of the schedule that this is for."""


class NewJob(NamedTuple):
    """A row to be stored. At most one of *wait* and *wait_until* is set."""

    name: str
    queue: str
    priority: int
    args: Json
    wait: float | None = None
    """Seconds from now, by the database's clock."""
    wait_until: datetime | None = None
    extras: Extras | None = None


class RunOf(NamedTuple):
    """Says that a job that ended was a run of a schedule."""

    schedule: str
    most: int
    """Failed attempts with which the schedule gives up."""


class StoredJob(NamedTuple):
    """What storage says of a row that it has just written."""

    id: int
    state: str
    run_at: datetime
    is_new: bool = True
    """False: an equal job is stored already, and this is what it is like; if its row is gone,
    the state is `succeeded`."""
    queue: str | None = None
    priority: int | None = None
    """None: what was asked for."""


EXPIRED: Json = '{"expired": true}'


class ClaimedJob(NamedTuple):
    """A row that one worker holds now."""

    id: int
    name: str
    queue: str
    priority: int
    attempt: int
    """The number of this attempt, from 1."""
    run_at: datetime
    args: Json
    position: int
    """Its place among those of its priority."""
    losses: int = 0
    """How many of its attempts ended because a worker was lost."""
    extra: Json | None = None
    """See `Extras`; `EXPIRED` for a job that expired before it was claimed."""


class Kept(NamedTuple):
    """What stays of an attempt of a job that keeps a result, told of progress, or is watched."""

    result: Json | None = None
    progress: Json | None = None
    """None leaves what was stored before."""


@dataclass(slots=True)
class Outcome:
    """What became of an attempt; recorded only while the worker still holds it."""

    id: int
    attempt: int
    state: Literal["succeeded", "failed", "cancelled", "scheduled", "available", "postponed"]
    """`scheduled` and `available` give the job back: after *delay*, or at once. `postponed`
    is for others to run: after *delay* too, but before that if it is offered."""
    delete: bool = False
    """Remove the row instead of keeping it in a final state."""
    delay: float = 0.0
    """Seconds until the next attempt, by the database's clock."""
    refund: bool = False
    """The attempt is not counted."""
    error: Json | None = None
    """An `AttemptRecord` to append to the row's errors."""
    kept: Kept | None = None
    """None for most. With it, those who watch are told, and a row to *delete* stays a minute."""
    lanes: tuple[str, ...] = ()
    """The lanes that it leaves, where the next may be let in once this is recorded."""
    keeps_lane: bool = False
    """If it is `scheduled`: it holds its own lane until then."""
    run: RunOf | None = None
    """Set if this is how the run of a schedule ended, well or not."""


class Completion(StrEnum):
    """What storage says of a success that is part of a transaction."""

    RECORDED = "recorded"
    HELD = "held"
    """Not recorded: the transaction was rolled back, and the worker holds the job as before."""
    CANCELLED = "cancelled"
    """Not recorded: the job is to be cancelled."""
    LOST = "lost"
    """Not recorded: the worker does not hold the job at this attempt any more."""


class WorkerInfo(NamedTuple):
    """What a worker says of itself when it registers."""

    name: str
    """The same after a restart."""
    group: str
    queues: list[str]
    host: str
    host_id: str
    """Equal for two processes exactly if they can see each other's process numbers."""
    pid: int
    started: float
    """The process's start in seconds after its system's: tells a reused process number."""
    lease: float


class Heartbeat(NamedTuple):
    """The answer to a sign of life."""

    alive: bool
    """False: this worker was declared dead and its jobs were given to others."""
    cancel: list[int]
    """Jobs this worker runs whose cancellation was asked for."""
    clock_offset: float = 0.0
    """Seconds that the storage's clock is ahead of this machine's."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became due, and when to look again."""

    count: int
    next_in: float | None
    """Seconds until the next future job is due; None if there is none. When as many became
    due as were asked for, it may be 0 without one."""


class LocalWorker(NamedTuple):
    """A registered worker of the same machine."""

    id: int
    pid: int
    started: float


class Rescued(NamedTuple):
    """A job taken from a worker that fell silent."""

    id: int
    name: str
    worker: str
    attempt: int


class Signal(NamedTuple):
    """What a listener hears. Empty fields say nothing."""

    ready: frozenset[str] = frozenset()
    """Queues with a new job to run."""
    priority: int = 0
    """The most urgent of these jobs; lower is more urgent."""
    due_in: float | None = None
    """Seconds until the earliest of the new future jobs."""
    cancel: tuple[int, ...] = ()
    watched: tuple[int, ...] = ()
    """Running jobs that somebody wants to hear of from now on."""
    changed: tuple[int, ...] = ()
    """Watched jobs whose state or progress changed."""
    lanes: tuple[str, ...] = ()
    """Lanes with room, or with a new job in the line; "*" for all."""
    pauses: bool = False
    """Something was paused or resumed."""
    schedules: bool = False
    """A schedule was stored or changed."""
    missed: bool = False
    """Signals may have been lost, or there will be none: look at everything."""
    proven: bool = False
    """Signals are known to arrive, from now on until one says `missed`."""


class JobStatus(NamedTuple):
    """How it stands with a job that somebody waits for."""

    id: int
    name: str
    state: str
    attempt: int
    run_at: datetime
    keeps: bool
    """Whether the job was asked to keep its result."""
    watched: bool
    """Whether its worker knows that somebody waits."""
    progress: Json | None = None
    """An object: done (0 to 1), message."""
    result: Json | None = None
    """Of a job that succeeded and kept it."""
    error: Json | None = None
    """The record of the last attempt of a job that failed."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will become of the job."""
        return self.state in FINAL


class Progress(NamedTuple):
    """How far an attempt is."""

    id: int
    attempt: int
    progress: Json | None = None
    """An object: done (0 to 1), message. None says only that a watched job has begun."""


class JobRecord(NamedTuple):
    """Everything a stored job says, for people and tests."""

    id: int
    name: str
    queue: str
    priority: int
    state: str
    attempt: int
    run_at: datetime
    created_at: datetime
    attempted_at: datetime | None
    finished_at: datetime | None
    args: Json
    errors: Json
    """A JSON list of attempt records: attempt, at, error, message, traceback, worker."""
    tags: Sequence[str] = ()
    extra: Json | None = None
    """See `Extras`."""
    expires_at: datetime | None = None
    progress: Json | None = None
    """How far it is, if it said so; an object: done (0 to 1), message."""
    result: Json | None = None
    """What it returned, if it was to be kept."""
    lane: str | None = None
    """See `Extras`."""
    waits_in: str | None = None
    """The lane in whose line it stands while it is `waiting`."""
    unique_key: str | None = None
    """See `Unique`."""

    @property
    def meta(self) -> dict[str, Any]:
        """What `later` was given as *meta*."""
        found: dict[str, Any] = json.loads(self.extra).get("meta", {}) if self.extra else {}
        return found


ALL_LANES = "*"
"""In place of the names of lanes: every lane where jobs wait."""


class Limit(NamedTuple):
    """How many jobs of one name, or of one queue, may run or start at once."""

    name: str
    """`job:…`, which holds for each key of that job, or `queue:…`."""
    concurrency: int | None = None
    """How many are let in at once; None for any number."""
    burst: int | None = None
    """How many may start at once; None, with *gap*, if there is no rate."""
    gap: float | None = None
    """Seconds until one more may start."""


class Admission(NamedTuple):
    """What lanes let in, and when to look again."""

    jobs: int
    """How many became available."""
    queues: tuple[str, ...] = ()
    """Their queues."""
    again: tuple[str, ...] = ()
    """Lanes to look at again at once."""
    later: Mapping[str, float] = MappingProxyType({})
    """Lanes to look at again after so many seconds, when their rate allows another start."""


class Pause(NamedTuple):
    """Something that is paused."""

    kind: Literal["queue", "job", "key"]
    name: str
    since: datetime

    @property
    def lane(self) -> str:
        """The name of its lane."""
        return f"{self.kind}:{self.name}"


def as_pause(lane: str, since: datetime) -> Pause:
    """Return the pause of *lane*."""
    kind, _, name = lane.partition(":")
    return Pause(cast("Literal['queue', 'job', 'key']", kind), name, since)
