"""How it stands with each queue: what is in it, how fast it goes, and what holds it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from asyncjobs.glance.overview import pace_of
from asyncjobs.glance.sparks import HOUR, spark_of
from asyncjobs.glance.words import duration, number, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from asyncjobs.glance.sparks import Spark
    from asyncjobs.statistics import Span
    from asyncjobs.storage.overview import Depth, LaneStatus, QueueState, WorkerStatus
    from asyncjobs.types import KnownLimit, Limit, Pause

History: TypeAlias = "dict[str, list[Span]]"
"""What ended in each span of time, by queue."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue. Durations are seconds."""

    name: str
    is_known: bool
    """Whether the program that looks lists it: it pauses no other."""
    states: dict[str, QueueState]
    """How many jobs there are, by state, where there are any."""
    waited: float | None
    """For how long the oldest of those that could run has waited."""
    pace: float
    """Attempts that ended per second in the last minute."""
    spark: Spark
    workers: int
    """Living workers that claim from it."""
    resting: int
    """Living workers on it that are quiet or stop."""
    paused_at: datetime | None
    limit: KnownLimit | None
    lane: LaneStatus | None
    """Who waits for its limit, and whom that has let in; None if nobody does."""


def views_of(
    known: Collection[str],
    *,
    states: Sequence[QueueState],
    depths: Sequence[Depth],
    lanes: Sequence[LaneStatus],
    pauses: Sequence[Pause],
    limits: Sequence[KnownLimit],
    workers: Sequence[WorkerStatus],
    last_minute: History,
    last_hour: History,
    now: datetime,
) -> list[QueueView]:
    """Return the queues by name: those that are *known*, have jobs, or are paused."""
    counts: dict[str, dict[str, QueueState]] = {}
    for counted in states:
        counts.setdefault(counted.queue, {})[counted.state] = counted
    waited = {depth.queue: depth.waited for depth in depths}
    paused = {pause.name: pause.since for pause in pauses if pause.kind == "queue"}
    by_lane = {lane.name: lane for lane in lanes}
    said = {limit.limit.name: limit for limit in limits}
    claiming = [worker for worker in workers if worker.state == "running"]
    resting = [worker for worker in workers if worker.state in {"quiet", "stopping"}]
    return [
        QueueView(
            name,
            name in known,
            counts.get(name, {}),
            waited.get(name),
            pace_of(last_minute.get(name, []), now),
            spark_of(last_hour.get(name, []), HOUR, now),
            sum(name in worker.queues for worker in claiming),
            sum(name in worker.queues for worker in resting),
            paused.get(name),
            said.get(f"queue:{name}"),
            by_lane.get(f"queue:{name}"),
        )
        for name in sorted({*known, *counts, *waited, *paused})
    ]


def limit_in_words(limit: Limit) -> str:
    """Return what *limit* lets happen, as ``5 at once, and one start each 6.0 s``."""
    parts = []
    if limit.concurrency is not None:
        parts.append(f"{number(limit.concurrency)} at once")
    if limit.burst is not None and limit.gap is not None:
        pace = _pace(limit.gap)
        if limit.burst == 1:
            parts.append(f"{pace}, one by one")
        else:
            parts.append(f"{pace}, and up to {plural(limit.burst, 'start')} together after a rest")
    return "; ".join(parts) or "no limit"


def _pace(gap: float) -> str:
    for unit, size in (("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)):
        if gap <= size:
            rate = size / gap
            text = number(rate) if rate >= 10 or rate == round(rate) else f"{rate:.1f}"
            return f"{text} {'start' if text == '1' else 'starts'} a {unit}"
    return f"1 start every {duration(gap)}"
