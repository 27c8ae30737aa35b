"""Counts of what ended, and histograms of how long it took.

A histogram has `CLASSES` classes. Class *n* holds durations below ``2 ** ((n - 40) / 2)``
seconds, so each is 1.41 times as wide as the one before: from a microsecond to nine hours,
with percentiles that are right within a fifth. Shorter and longer ones fall into the first
and the last.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

CLASSES = 72
ORIGIN = 40
"""The class of durations up to one second."""
HALF = math.sqrt(0.5)

WIDTHS = {10: 900, 60: 7_200, 600: 93_600, 3_600: 691_200}
"""Seconds of a span, and how long spans of that width are kept: 15 minutes, two hours, 26
hours and eight days."""

JOINED = 43_200
"""Seconds of the spans that are made of hours when they are over, for whoever looks at a week."""

MOST_TOTALS = 1_000
"""Queues and job names whose totals are told."""


def class_of(duration: float) -> int:
    """Return the class of a *duration* in seconds."""
    mantissa, exponent = math.frexp(duration)
    number = 2 * exponent + (ORIGIN if mantissa > HALF else ORIGIN - 1)
    return 0 if number < 0 or duration <= 0 else min(number, CLASSES - 1)


def bound_of(number: int) -> float:
    """Return the longest duration of class *number*, in seconds."""
    return float(2 ** ((number - ORIGIN) / 2))


def percentile(histogram: list[int], share: float) -> float | None:
    """Return a duration that *share* (0 to 1) of those in *histogram* do not exceed.

    None for an empty one.
    """
    counts = list(accumulate(histogram))
    if not counts or not counts[-1]:
        return None
    return bound_of(bisect_left(counts, max(1, share * counts[-1])))


@dataclass(slots=True)
class Tally:
    """What ended of one job name in one queue."""

    succeeded: int = 0
    failed: int = 0
    """Attempts after which the job was given up."""
    retried: int = 0
    """Attempts that failed and are made again."""
    cancelled: int = 0
    waits: list[int] = field(default_factory=lambda: [0] * CLASSES)
    """From when an attempt was due until it began."""
    runs: list[int] = field(default_factory=lambda: [0] * CLASSES)

    seen: int = 0
    """Attempts that were counted here, for whoever measures only some of them."""
    rescued: int = 0
    """Jobs that were taken from workers that fell silent; only totals have it."""
    waited: float = 0.0
    """Seconds of all *waits* together; only totals have it."""
    ran: float = 0.0
    """The same of *runs*."""

    @property
    def ended(self) -> int:
        """Attempts that ended, however."""
        return self.succeeded + self.failed + self.retried + self.cancelled

    def add(self, other: Tally) -> None:
        """Add what *other* counted."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.retried += other.retried
        self.cancelled += other.cancelled
        self.waits = list(map(add, self.waits, other.waits))
        self.runs = list(map(add, self.runs, other.runs))
        self.rescued += other.rescued
        self.waited += other.waited
        self.ran += other.ran


class Span(NamedTuple):
    """What ended within one span of time."""

    since: datetime
    succeeded: int
    failed: int
    retried: int
    cancelled: int


class Total(NamedTuple):
    """What was counted of one job name in one queue since anything was."""

    since: datetime
    """When that was. Another moment says that the count began anew."""
    tally: Tally


class StatisticsStorage(Protocol):
    """Where tallies are kept: `Storage.statistics`."""

    async def record(self, tallies: dict[tuple[str, str], Tally]) -> None:
        """Add *tallies*, by queue and name, to the present spans of every width, and to totals.

        Rescues and seconds are told by `totals` only.
        """
        ...

    async def spans(self, width: int, count: int) -> list[Span]:
        """Return the last *count* spans of *width* seconds in which anything ended."""
        ...

    async def tallies(self, width: int, count: int) -> dict[tuple[str, str], Tally]:
        """Return what ended in the last *count* spans of *width* seconds, by queue and name."""
        ...

    async def history(
        self, width: int, count: int, names: Sequence[str] | None = None
    ) -> dict[tuple[str, str], list[Span]]:
        """Return the last *count* spans of *width* seconds in which anything ended.

        By queue and name of the job, of all *names* or these; the oldest first.
        """
        ...

    async def queue_spans(self, width: int, count: int) -> dict[str, list[Span]]:
        """Return the same by queue, of all jobs together."""
        ...

    async def names(self) -> list[str]:
        """Return the names of jobs of which anything ended in the last days, 1 000 at most."""
        ...

    async def totals(self, limit: int = MOST_TOTALS) -> dict[tuple[str, str], Total]:
        """Return what was ever counted, by queue and name: the *limit* that began first.

        A later answer never has less, unless a total begins anew.
        """
        ...

    async def enqueued(self) -> int:
        """Return how many ids jobs were given; some may be skipped, none is given twice."""
        ...

    async def prune(self) -> None:
        """Remove the spans that are older than `WIDTHS` says."""
        ...
