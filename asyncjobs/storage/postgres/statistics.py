"""The table of statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.statistics import JOINED, MOST_TOTALS, WIDTHS, Span, Tally, Total
from asyncjobs.storage.postgres.reading import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements

HOUR = max(WIDTHS)
"""The widest spans that are counted; wider ones are made of them."""
KEPT = {**WIDTHS, JOINED: WIDTHS[HOUR]}
"""How long spans of each width are kept."""
TOTALS = 14
"""The version of the schema that has totals."""


class PostgresStatistics:
    """The statements about statistics; see `StatisticsStorage`."""

    def __init__(self, lanes: Lanes, statements: Statements, version: int) -> None:
        self._lanes, self._sql, self._version = lanes, statements, version

    async def record(self, tallies: dict[tuple[str, str], Tally]) -> None:
        """Add *tallies* to the present spans, and to the totals."""
        if not tallies:
            return
        found = list(tallies.values())
        await self._lanes.fleet.fetch(
            self._sql.record_statistics,
            list(WIDTHS),
            [queue for queue, _ in tallies],
            [name for _, name in tallies],
            [tally.succeeded for tally in found],
            [tally.failed for tally in found],
            [tally.retried for tally in found],
            [tally.cancelled for tally in found],
            [_literal(tally.waits) for tally in found],
            [_literal(tally.runs) for tally in found],
            [tally.rescued for tally in found],
            [tally.waited for tally in found],
            [tally.ran for tally in found],
        )

    async def spans(self, width: int, count: int) -> list[Span]:
        """Return the last spans in which anything ended."""
        rows = await self._lanes.to_look().fetch(self._sql.read_counts, width, count)
        return [Span(*row) for row in rows]

    async def tallies(self, width: int, count: int) -> dict[tuple[str, str], Tally]:
        """Return what ended lately, by queue and name."""
        rows = await read(
            self._lanes.to_look(), self._sql.read_durations, width, count, _wider(width, count)
        )
        found: dict[tuple[str, str], Tally] = {}
        for queue, name, *columns, waits, runs in rows:
            tally = found[queue, name] = Tally(*columns)
            tally.waits, tally.runs = _histogram(waits), _histogram(runs)
        return found

    async def history(
        self, width: int, count: int, names: Sequence[str] | None = None
    ) -> dict[tuple[str, str], list[Span]]:
        """Return what ended in each span, by queue and name."""
        wanted = None if names is None else list(names)
        rows = await self._lanes.overview.fetch(self._sql.read_history, width, count, wanted)
        found: dict[tuple[str, str], list[Span]] = {}
        for queue, name, *span in rows:
            found.setdefault((queue, name), []).append(Span(*span))
        return found

    async def queue_spans(self, width: int, count: int) -> dict[str, list[Span]]:
        """Return what ended in each span, by queue."""
        rows = await self._lanes.to_look().fetch(self._sql.read_queue_spans, width, count)
        found: dict[str, list[Span]] = {}
        for queue, *span in rows:
            found.setdefault(queue, []).append(Span(*span))
        return found

    async def names(self) -> list[str]:
        """Return the names of jobs of which anything ended in the last days."""
        rows = await self._lanes.overview.fetch(self._sql.read_names, HOUR, JOINED)
        return [row["name"] for row in rows]

    async def totals(self, limit: int = MOST_TOTALS) -> dict[tuple[str, str], Total]:
        """Return what was ever counted; nothing on a schema that has no totals yet."""
        if self._version < TOTALS:
            return {}
        rows = await self._lanes.overview.fetch(self._sql.read_totals, limit)
        found: dict[tuple[str, str], Total] = {}
        for queue, name, since, *columns, rescued, waited, ran in rows:
            tally = Tally(*columns)
            tally.rescued, tally.waited, tally.ran = rescued, waited, ran
            found[queue, name] = Total(since, tally)
        return found

    async def enqueued(self) -> int:
        """Return how many ids jobs were given."""
        [row] = await self._lanes.overview.fetch(self._sql.read_enqueued)
        ids: int = row["ids"]
        return ids

    async def prune(self) -> None:
        """Join the hours of half days that are over, and remove old spans."""
        joined = True
        while joined:
            [row] = await self._lanes.overview.fetch(
                self._sql.join_statistics, HOUR, JOINED, WIDTHS[HOUR]
            )
            joined = bool(row["joined"])
        await self._lanes.fleet.fetch(self._sql.prune_statistics, list(KEPT), list(KEPT.values()))


def _wider(width: int, count: int) -> int | None:
    """Return the width with which that time is read in the fewest spans, all of them still kept.

    At its begin and its end it is read in narrow ones.
    """
    fits = [
        wide
        for wide, kept in KEPT.items()
        if wide > width and wide % width == 0 and 2 * wide <= width * count <= kept - wide
    ]
    return min(fits, key=lambda wide: width * count / wide + wide / width, default=None)


def _histogram(sums: Sequence[int | None]) -> list[int]:
    # What somebody made of other elements has none of some classes.
    return [count or 0 for count in sums]


def _literal(numbers: list[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
