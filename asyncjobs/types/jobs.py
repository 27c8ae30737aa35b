"""Jobs: as they are stored, found, and told of."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.types.base import told_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from asyncjobs.types.base import Json


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
    parent_id: int | None = None
    """The job that schedules it while it runs."""


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
    parent_id: int | None = None
    """The job that scheduled this one while it ran, be that still stored or not."""
    worker_id: int | None = None
    """The worker that runs it."""

    @property
    def meta(self) -> dict[str, Any]:
        """What `later` was given as *meta*."""
        found: dict[str, Any] = told_in(self.extra).get("meta", {})
        return found

    @property
    def schedule(self) -> str | None:
        """The schedule whose run this is."""
        found = told_in(self.extra).get("schedule")
        return None if found is None else str(found["name"])
