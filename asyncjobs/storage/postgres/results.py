"""Watching, progress and pruning in PostgreSQL."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from asyncjobs.types import JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import Progress

WATCH_BATCH = 1_000
LOOK_BATCH = 200
"""Jobs in one answer, each perhaps with its result."""


class Results:
    """The statements about what is kept and who waits for it."""

    def __init__(self, lanes: Lanes, statements: Statements, channel: str) -> None:
        self._lanes, self._sql, self._channel = lanes, statements, channel

    async def watch(self, ids: Sequence[int]) -> list[int]:
        """Mark jobs, and tell workers."""
        marked: list[int] = []
        for start in range(0, len(ids), WATCH_BATCH):
            batch = list(ids[start : start + WATCH_BATCH])
            rows = await self._lanes.watch.fetch(self._sql.watch_jobs, batch, self._channel)
            marked += [row[0] for row in rows]
        return marked

    async def look(self, ids: Sequence[int]) -> list[JobStatus]:
        """Return how it stands with the jobs that exist."""
        found: list[JobStatus] = []
        for start in range(0, len(ids), LOOK_BATCH):
            batch = list(ids[start : start + LOOK_BATCH])
            rows = await self._lanes.watch.fetch(self._sql.look_at_jobs, batch)
            found += [JobStatus(*row) for row in rows]
        return found

    async def report(self, worker: int, reports: Sequence[Progress]) -> None:
        """Store progress, and tell those who watch."""
        told = [report for report in reports if report.progress is not None]
        told.sort(key=attrgetter("id"))
        await self._lanes.fleet.fetch(
            self._sql.report_progress,
            worker,
            [report.id for report in told],
            [report.attempt for report in told],
            [report.progress for report in told],
            [report.id for report in reports if report.progress is None],
            self._channel,
        )

    async def count_expired(
        self, queues: Sequence[str], retain: float | None, most: int
    ) -> tuple[int, int]:
        """Count jobs whose time is over."""
        arguments = [list(queues), retain, most]
        [row] = await self._lanes.fleet.fetch(self._sql.count_expired, *arguments)
        return row["retained"], row["ended"]

    async def prune_retained(self, limit: int) -> int:
        """Remove jobs whose own time is over."""
        [row] = await self._lanes.fleet.fetch(self._sql.prune_retained, limit)
        removed: int = row["removed"]
        return removed

    async def prune_ended(self, queues: Sequence[str], retain: float, limit: int) -> int:
        """Remove jobs that ended long ago."""
        arguments = [list(queues), retain, limit]
        [row] = await self._lanes.fleet.fetch(self._sql.prune_ended, *arguments)
        removed: int = row["removed"]
        return removed
