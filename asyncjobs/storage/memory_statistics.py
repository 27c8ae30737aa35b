"""Statistics in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from asyncjobs.statistics import MOST_TOTALS, WIDTHS, Span, Tally, Total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class MemoryStatistics:
    """What `StatisticsStorage` promises, in a dict."""

    def __init__(self, clock: Callable[[], datetime], enqueued: Callable[[], int]) -> None:
        self._clock, self._enqueued = clock, enqueued
        self._totals: dict[tuple[str, str], Total] = {}
        self._spans: dict[tuple[int, datetime, str, str], Tally] = {}

    async def record(self, tallies: dict[tuple[str, str], Tally]) -> None:
        """Add *tallies* to the present spans."""
        now = self._clock().timestamp()
        for (queue, name), tally in tallies.items():
            self._totals.setdefault((queue, name), Total(self._clock(), Tally())).tally.add(tally)
            for width in WIDTHS if tally.ended else ():
                since = datetime.fromtimestamp(now // width * width, UTC)
                self._spans.setdefault((width, since, queue, name), Tally()).add(tally)

    async def spans(self, width: int, count: int) -> list[Span]:
        """Return the last spans in which anything ended."""
        found: dict[datetime, Tally] = {}
        for since, _, _, tally in self._last(width, count):
            found.setdefault(since, Tally()).add(tally)
        return [
            _span(since, tally) for since, tally in sorted(found.items(), key=lambda item: item[0])
        ]

    async def tallies(self, width: int, count: int) -> dict[tuple[str, str], Tally]:
        """Return what ended lately, by queue and name."""
        found: dict[tuple[str, str], Tally] = {}
        for _, queue, name, tally in self._last(width, count):
            found.setdefault((queue, name), Tally()).add(tally)
        return found

    async def history(
        self, width: int, count: int, names: Sequence[str] | None = None
    ) -> dict[tuple[str, str], list[Span]]:
        """Return what ended in each span, by queue and name."""
        found: dict[tuple[str, str], list[Span]] = {}
        last = sorted(self._last(width, count), key=lambda item: item[0])
        for since, queue, name, tally in last:
            if names is None or name in names:
                found.setdefault((queue, name), []).append(_span(since, tally))
        return found

    async def queue_spans(self, width: int, count: int) -> dict[str, list[Span]]:
        """Return what ended in each span, by queue."""
        sums: dict[tuple[datetime, str], Tally] = {}
        for since, queue, _, tally in self._last(width, count):
            sums.setdefault((since, queue), Tally()).add(tally)
        found: dict[str, list[Span]] = {}
        for (since, queue), tally in sorted(sums.items(), key=lambda item: item[0]):
            found.setdefault(queue, []).append(_span(since, tally))
        return found

    async def names(self) -> list[str]:
        """Return the names of jobs of which anything ended."""
        return sorted({name for _, _, _, name in self._spans})[:1_000]

    async def totals(self, limit: int = MOST_TOTALS) -> dict[tuple[str, str], Total]:
        """Return what was ever counted."""
        found = sorted(self._totals.items(), key=lambda item: (item[1].since, item[0]))
        return {key: Total(since, replace(tally)) for key, (since, tally) in found[:limit]}

    async def enqueued(self) -> int:
        """Return how many ids jobs were given."""
        return self._enqueued()

    async def prune(self) -> None:
        """Remove old spans."""
        now = self._clock()
        for key in list(self._spans):
            if key[1] < now - timedelta(seconds=WIDTHS[key[0]]):
                del self._spans[key]

    def _last(self, width: int, count: int) -> list[tuple[datetime, str, str, Tally]]:
        first = self._clock() - timedelta(seconds=width * count)
        return [
            (since, queue, name, tally)
            for (known, since, queue, name), tally in self._spans.items()
            if known == width and since > first
        ]


def _span(since: datetime, tally: Tally) -> Span:
    return Span(since, tally.succeeded, tally.failed, tally.retried, tally.cancelled)
