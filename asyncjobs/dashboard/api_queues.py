"""The operations of the JSON API on queues, limits, lanes and pauses."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from asyncjobs.dashboard.actions import known_limit
from asyncjobs.dashboard.models import Changed, Name, Strict, Text
from asyncjobs.dashboard.operation import Call, Operation
from asyncjobs.glance.queues import limit_in_words
from asyncjobs.limits import MAX_AT_ONCE, MAX_PERIOD, RateLimit

if TYPE_CHECKING:
    from asyncjobs.glance.queues import QueueView
    from asyncjobs.storage.overview import LaneStatus
    from asyncjobs.types import KnownLimit, Limit

Kind = Literal["queue", "job", "key"]
AtOnce = Annotated[int, Field(ge=1, le=MAX_AT_ONCE)]


class LimitAnswer(BaseModel):
    """How many jobs may run or start. What is null is not limited."""

    name: str
    """queue:… for a queue; job:… for the jobs of a name, in all or for each key."""
    concurrency: int | None
    burst: int | None
    """How many may start at once."""
    gap: float | None
    """Seconds until one more may start."""
    words: str


class KnownLimitAnswer(LimitAnswer):
    """A limit that some code has declared, and since when it is as it is."""

    changed_at: datetime


class LimitsAnswer(BaseModel):
    """All limits."""

    limits: list[KnownLimitAnswer]


class StateAnswer(BaseModel):
    """How many jobs are in a state."""

    state: str
    jobs: int
    is_exact: bool


class QueueAnswer(BaseModel):
    """A queue. Durations are seconds."""

    name: str
    available: int
    """How many jobs wait for a worker."""
    waited: float | None
    """For how long the oldest of them has waited."""
    states: list[StateAnswer]
    pace: float
    """Attempts that ended per second in the last minute."""
    workers: int
    paused_at: datetime | None
    limit: KnownLimitAnswer | None


class QueuesAnswer(BaseModel):
    """All queues."""

    queues: list[QueueAnswer]


class LanesQuery(Strict):
    """Which lanes: a part of the name."""

    q: Text = ""
    kind: Kind | None = None
    after: Name | None = None
    """What the page before says."""
    limit: int = Field(default=50, ge=1, le=200)


class LaneAnswer(BaseModel):
    """A lane. Counts end at 1 000."""

    name: str
    waiting: int
    let_in: int
    running: int
    limit: LimitAnswer | None
    paused_at: datetime | None


class LanesAnswer(BaseModel):
    """Some lanes by name."""

    lanes: list[LaneAnswer]
    after: str | None
    """What to ask the next page with."""
    is_cut_short: bool
    """So many names were looked at that the page ends before it is full."""


class PauseAnswer(BaseModel):
    """Something that is paused."""

    kind: Kind
    name: str
    since: datetime


class PausesAnswer(BaseModel):
    """All that is paused."""

    pauses: list[PauseAnswer]


class ToPause(Strict):
    """What to pause or resume."""

    kind: Kind
    name: Name


class NewLimit(Strict):
    """What holds from now on for a limit that some code has declared; null limits nothing."""

    name: Name
    concurrency: AtOnce | None = None
    count: AtOnce | None = None
    """How many start in a time; with *per*."""
    per: Annotated[float, Field(ge=0.001, le=MAX_PERIOD)] | None = None
    """Seconds."""
    smooth: bool = False
    """No two start closer together than the rate says."""


async def read_queues(call: Call) -> QueuesAnswer:
    """Return the queues of the manager and those that have jobs."""
    queues = await call.desk.glance.queues(call.desk.manager.queues)
    return QueuesAnswer(queues=[_queue(queue) for queue in queues])


async def read_limits(call: Call) -> LimitsAnswer:
    """Return what limits jobs."""
    limits = await call.desk.glance.limits.get()
    return LimitsAnswer(limits=[_known(limit) for limit in limits])


async def find_lanes(call: Call) -> LanesAnswer:
    """Return some lanes that are in use or paused."""
    query: LanesQuery = call.query
    page = await call.desk.storage.overview.lanes(
        after=query.after, kind=query.kind, containing=query.q or None, limit=query.limit
    )
    return LanesAnswer(
        lanes=[_lane(lane) for lane in page.lanes],
        after=page.after,
        is_cut_short=page.is_cut_short,
    )


async def read_pauses(call: Call) -> PausesAnswer:
    """Return what is paused."""
    pauses = await call.desk.glance.pauses.get()
    return PausesAnswer(pauses=[PauseAnswer(**pause._asdict()) for pause in pauses])


async def pause(call: Call) -> Changed:
    """Pause a queue, a job or a key."""
    return Changed(changed=await call.actions.pause(call.body.kind, call.body.name))


async def resume(call: Call) -> Changed:
    """End a pause."""
    return Changed(changed=await call.actions.resume(call.body.kind, call.body.name))


async def change_limit(call: Call) -> KnownLimitAnswer:
    """Change a limit, until a program that starts later says what its code says."""
    new: NewLimit = call.body
    if (new.count is None) != (new.per is None):
        raise HTTPException(422, "Give count and per, or neither.")
    if new.smooth and new.count is None:
        raise HTTPException(422, "smooth goes with count and per.")
    actions = call.actions
    await known_limit(call.desk, new.name)
    rate = None
    if new.count is not None and new.per is not None:
        rate = RateLimit(new.count, new.per, smooth=new.smooth)
    return _known(await actions.change_limit(new.name, new.concurrency, rate))


OPERATIONS = [
    Operation("GET", "/queues", "The queues", read_queues, QueuesAnswer),
    Operation("GET", "/limits", "What limits jobs", read_limits, LimitsAnswer),
    Operation("GET", "/lanes", "Some lanes", find_lanes, LanesAnswer, LanesQuery),
    Operation("GET", "/pauses", "What is paused", read_pauses, PausesAnswer),
    Operation("POST", "/pauses/pause", "Pause something", pause, Changed, body=ToPause),
    Operation("POST", "/pauses/resume", "Resume it", resume, Changed, body=ToPause),
    Operation(
        "POST", "/limits/change", "Change a limit", change_limit, KnownLimitAnswer, body=NewLimit
    ),
]


def _queue(queue: QueueView) -> QueueAnswer:
    available = queue.states.get("available")
    return QueueAnswer(
        name=queue.name,
        available=0 if available is None else available.jobs,
        waited=queue.waited,
        states=[
            StateAnswer(state=counted.state, jobs=counted.jobs, is_exact=counted.is_exact)
            for counted in queue.states.values()
        ],
        pace=queue.pace,
        workers=queue.workers,
        paused_at=queue.paused_at,
        limit=None if queue.limit is None else _known(queue.limit),
    )


def _lane(lane: LaneStatus) -> LaneAnswer:
    return LaneAnswer(
        name=lane.name,
        waiting=lane.waiting,
        let_in=lane.let_in,
        running=lane.running,
        limit=None if lane.limit is None else _limit(lane.limit),
        paused_at=lane.paused_at,
    )


def _limit(limit: Limit) -> LimitAnswer:
    return LimitAnswer(**limit._asdict(), words=limit_in_words(limit))


def _known(known: KnownLimit) -> KnownLimitAnswer:
    words = limit_in_words(known.limit)
    return KnownLimitAnswer(**known.limit._asdict(), words=words, changed_at=known.changed_at)
