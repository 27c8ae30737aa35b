"""What a worker is given, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from asyncjobs.types.base import Json


class RunOf(NamedTuple):
    """Says that a job that ended was a run of a schedule."""

    schedule: str
    most: int
    """Failed attempts with which the schedule gives up."""


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


class Names(NamedTuple):
    """Names of jobs: those that are wanted, or those that are not."""

    listed: tuple[str, ...]
    inside: bool
    """Whether the listed ones are wanted; else all others are."""


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
