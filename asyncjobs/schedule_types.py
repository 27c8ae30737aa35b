"""The values that pass between the parts that know schedules."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from asyncjobs.types import Json, NewJob, StoredJob

CatchUp: TypeAlias = Literal["skip", "once", "all"]
Overlap: TypeAlias = Literal["skip", "allow"]
Standing: TypeAlias = Literal["active", "off", "gave up", "retired"]
"""Whether a schedule runs, and why not."""


LATE = timedelta(minutes=1)
"""A tick this old is one that nobody fires: workers do so within a second."""


class Recurrence(NamedTuple):
    """When a job is to recur. Either *cron* or *every* is set."""

    cron: str | None
    every: timedelta | None
    starting_at: datetime | None
    """What *every* counts from; None for the moment when the schedule is stored."""
    timezone: str
    """What the fields of *cron* mean."""
    catch_up: CatchUp
    """What becomes of ticks that passed while nobody fired them."""
    overlap: Overlap
    """Whether a run may begin while one of the same schedule has not ended."""


class NewSchedule(NamedTuple):
    """A schedule to be stored."""

    name: str
    job: NewJob
    """What each run is, but for its time."""
    recurrence: Recurrence


class Schedule(NamedTuple):
    """A stored schedule: what runs, when, and how it went."""

    name: str
    job: str
    queue: str
    priority: int
    args: Json
    extras: Json | None
    """What else its runs ask for."""
    cron: str | None
    every: timedelta | None
    starting_at: datetime | None
    """What *every* counts from."""
    timezone: str
    catch_up: CatchUp
    overlap: Overlap
    enabled: bool
    """The switch of those who operate the application."""
    declared: str | None
    """Which definition in the code made it; None if `later` did."""
    after_at: datetime
    """Ticks later than this are still to come."""
    next_at: datetime | None
    """The next tick; None while none is planned."""
    last_at: datetime | None
    """The last tick that made a run."""
    last_result: Literal["succeeded", "failed"] | None
    """How the last run that ended did; None if none has since the last tick."""
    finished_at: datetime | None
    """When a run ended last."""
    skipped_at: datetime | None
    """The last tick that made no run."""
    failures: int
    """Failed attempts of the runs that failed since one succeeded."""
    gave_up_at: datetime | None
    """When a run used up its attempts, and the schedule stopped."""
    retired_at: datetime | None
    """When it was found that the code does not declare the schedule any more."""
    problem: str | None
    """Why no worker can plan or run it."""
    created_at: datetime

    @property
    def is_active(self) -> bool:
        """Whether it runs: switched on, not given up, not retired."""
        return self.standing == "active"

    @property
    def is_unique(self) -> bool:
        """Whether its runs are unique, so that an equal job keeps them out."""
        try:
            return "unique" in json.loads(self.extras or "{}")
        except (ValueError, TypeError, RecursionError):  # somebody wrote it into the row
            return False

    @property
    def standing(self) -> Standing:
        """Whether it runs; if several reasons are against it, the one that is hardest to mend."""
        if self.retired_at is not None:
            return "retired"
        if not self.enabled:
            return "off"
        return "active" if self.gave_up_at is None else "gave up"


class Plan(NamedTuple):
    """What is to become of a schedule that was looked at."""

    name: str
    after_at: datetime
    """The schedule's own: if it has another by now, somebody else was first."""
    ticks: Sequence[datetime]
    """Those to run now."""
    skipped_at: datetime | None
    """A tick that is too old to run."""
    covered_at: datetime
    """Nothing up to here is to come any more."""
    next_at: datetime
    """The first tick after that."""


class DueSchedules(NamedTuple):
    """The answer to a look at the schedules."""

    now: datetime
    """By the storage's clock."""
    due: Sequence[Schedule]
    """Those whose next tick has come, or that have none yet."""
    next_in: float | None
    """Seconds until the next tick of all others; None if there is none."""


class Lateness(NamedTuple):
    """How late the active schedules are, all together."""

    overdue: int
    """How many have a tick that is older than `LATE`, or were not planned for so long."""
    seconds: float
    """By how much the latest is late; 0 if none is."""
    problems: int
    """How many no worker can plan or run."""


Run: TypeAlias = "tuple[str, datetime, StoredJob]"
"""Schedule, tick and job of a run."""


class Fired(NamedTuple):
    """What became of plans."""

    names: Sequence[str]
    """The schedules that were as the plans said. Others may be locked, and are to be looked
    at again."""
    runs: Sequence[Run]
    """Those that were made. A tick whose equal job exists has none."""
