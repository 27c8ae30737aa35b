"""The numbers of the first page, read in a few statements that are small however many jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from asyncjobs.statistics import Tally, percentile
from asyncjobs.storage.overview import COUNTED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from asyncjobs.glance.findings import Finding
    from asyncjobs.statistics import Span
    from asyncjobs.storage.overview import Depth, WorkerStatus

LINES = 50
"""Jobs in the table of the first page: the busiest ones."""
PACE_WIDTH, PACE_SPANS = 10, 6
"""The pace is that of the last whole minute."""


class Period(NamedTuple):
    """How far back the page looks."""

    label: str
    """As in "in the last hour"."""
    width: int
    """Seconds of a span."""
    spans: int


PERIODS = {
    "now": Period("15 minutes", 10, 90),
    "hour": Period("hour", 60, 60),
    "day": Period("day", 600, 144),
    "week": Period("week", 3_600, 168),
}


class Line(NamedTuple):
    """What became of one job name in one queue, or of a whole queue. Durations are seconds."""

    queue: str
    name: str
    """Of the job; nothing for the whole queue."""
    ended: int
    """Attempts that ended, however."""
    failed: int
    retried: int
    wait_half: float | None
    """Half of them waited no longer."""
    wait_most: float | None
    """Nineteen in twenty waited no longer."""
    run_half: float | None
    run_most: float | None


class Chart(NamedTuple):
    """Numbers by span of time, the oldest first; all lists are as long."""

    width: int
    """Seconds of a span."""
    times: list[int]
    """The begin of each, in seconds since 1970."""
    succeeded: list[int]
    failed: list[int]
    retried: list[int]
    cancelled: list[int]

    @property
    def rows(self) -> Sequence[tuple[int, ...]]:
        """The same span by span, where anything ended, the newest first."""
        spans = zip(
            self.times, self.succeeded, self.failed, self.retried, self.cancelled, strict=True
        )
        return [span for span in spans if any(span[1:])][::-1]


@dataclass(frozen=True, slots=True)
class Overview:
    """How things stand."""

    now: datetime
    period: Period
    pace: float
    """Attempts that ended per second in the last minute."""
    ended: int
    """Attempts that ended in the period."""
    failed: int
    retried: int
    chart: Chart
    lines: Sequence[Line]
    queues: Sequence[Line]
    """The busiest, in which anything ended."""
    depths: Sequence[Depth]
    workers: Sequence[WorkerStatus]
    findings: Sequence[Finding]

    @property
    def running(self) -> int:
        """How many jobs run."""
        return sum(worker.running for worker in self.workers)

    @property
    def waiting(self) -> int:
        """How many jobs could run, as far as they are counted, see `Depth`."""
        return sum(depth.available for depth in self.depths)

    @property
    def waiting_is_exact(self) -> bool:
        """Whether that is how many wait; otherwise there are more."""
        return all(depth.available < COUNTED for depth in self.depths)

    @property
    def waited(self) -> float | None:
        """For how long the oldest of them has waited."""
        return max((depth.waited for depth in self.depths), default=None)

    @property
    def alive(self) -> int:
        """How many workers are alive."""
        return sum(worker.is_alive for worker in self.workers)


def chart_of(spans: Sequence[Span], period: Period, now: datetime) -> Chart:
    """Return *spans* with those in between in which nothing ended."""
    last = int(now.timestamp()) // period.width * period.width
    times = [last - period.width * back for back in range(period.spans - 1, -1, -1)]
    known = {int(span.since.timestamp()): span for span in spans}
    found = [known.get(time) for time in times]
    return Chart(
        period.width,
        times,
        [span.succeeded if span else 0 for span in found],
        [span.failed if span else 0 for span in found],
        [span.retried if span else 0 for span in found],
        [span.cancelled if span else 0 for span in found],
    )


def lines_of(tallies: dict[tuple[str, str], Tally], most: int | None = None) -> list[Line]:
    """Return a line for each queue and name, the busiest first, *most* of them."""
    busiest = sorted(tallies.items(), key=lambda item: (-item[1].ended, item[0]))[:most]
    return [_line(queue, name, tally) for (queue, name), tally in busiest]


def queue_lines_of(tallies: dict[tuple[str, str], Tally]) -> list[Line]:
    """Return a line for each queue, the busiest first."""
    found: dict[tuple[str, str], Tally] = {}
    for (queue, _), tally in tallies.items():
        found.setdefault((queue, ""), Tally()).add(tally)
    return lines_of(found)


def pace_of(spans: Sequence[Span], now: datetime) -> float:
    """Return how many attempts ended per second, in the last whole spans."""
    last = int(now.timestamp()) // PACE_WIDTH * PACE_WIDTH
    first = last - PACE_WIDTH * PACE_SPANS
    ended = sum(_ended(span) for span in spans if first <= span.since.timestamp() < last)
    return ended / (PACE_WIDTH * PACE_SPANS)


def _line(queue: str, name: str, tally: Tally) -> Line:
    return Line(
        queue,
        name,
        tally.ended,
        tally.failed,
        tally.retried,
        percentile(tally.waits, 0.5),
        percentile(tally.waits, 0.95),
        percentile(tally.runs, 0.5),
        percentile(tally.runs, 0.95),
    )


def _ended(span: Span) -> int:
    return span.succeeded + span.failed + span.retried + span.cancelled
