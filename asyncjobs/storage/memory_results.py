"""What MemoryAdapter does for those who wait for jobs, and with what is kept of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from asyncjobs.storage.results import LINGER
from asyncjobs.types import JobState, JobStatus, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from asyncjobs.storage.memory_rows import Row
    from asyncjobs.types import Outcome, Progress


class MemoryResults:
    """Works on the rows of an adapter; see `ResultStorage`."""

    def __init__(
        self,
        rows: dict[int, Row],
        clock: Callable[[], datetime],
        on_signal: Callable[[Signal], None],
        check_open: Callable[[], None],
    ) -> None:
        self._rows, self._clock, self._on_signal = rows, clock, on_signal
        self._check_open = check_open

    async def watch(self, ids: Sequence[int]) -> list[int]:
        """Mark jobs, and tell the workers of those that run."""
        found = [self._rows[number] for number in sorted(set(ids)) if number in self._rows]
        marked = [row for row in found if row.finished_at is None and not row.watched]
        for row in marked:
            row.watched = True
        if running := tuple(row.id for row in marked if row.state is JobState.RUNNING):
            self._on_signal(Signal(watched=running))
        return [row.id for row in marked]

    async def look(self, ids: Sequence[int]) -> list[JobStatus]:
        """Return how it stands with the jobs that exist."""
        self._check_open()
        found = [self._rows[number] for number in sorted(set(ids)) if number in self._rows]
        return [
            JobStatus(
                id=row.id,
                name=row.job.name,
                state=row.state.value,
                attempt=row.attempt,
                run_at=row.run_at,
                keeps=bool(row.job.extras and row.job.extras.retain),
                watched=row.watched,
                progress=row.progress,
                result=row.result,
                error=row.errors[-1] if row.state is JobState.FAILED and row.errors else None,
            )
            for row in found
        ]

    async def report(self, worker: int, reports: Sequence[Progress]) -> None:
        """Store progress, and tell those who watch."""
        changed = []
        for report in reports:
            row = self._rows.get(report.id)
            if row is not None and (row.worker, row.attempt) == (worker, report.attempt):
                row.progress = report.progress or row.progress
                changed.append(row.id)
        self.tell(changed)

    async def count_expired(
        self, queues: Sequence[str], retain: float | None, most: int
    ) -> tuple[int, int]:
        """Count jobs whose time is over."""
        retained = len(self._expired(self._retaining(), None)[:most])
        if retain is None:
            return retained, 0
        age = timedelta(seconds=retain)
        each = [self._expired(self._ended([queue]), age)[:most] for queue in queues]
        return retained, sum(map(len, each))

    async def prune_retained(self, limit: int) -> int:
        """Remove jobs whose own time is over."""
        return self._prune(self._retaining(), None, limit)

    async def prune_ended(self, queues: Sequence[str], retain: float, limit: int) -> int:
        """Remove jobs that ended long ago."""
        return self._prune(self._ended(queues), timedelta(seconds=retain), limit)

    def tell(self, ids: Iterable[int]) -> None:
        """Tell listeners that jobs changed, if somebody watches them."""
        watched = tuple(job for job in ids if job in self._rows and self._rows[job].watched)
        if watched:
            self._on_signal(Signal(changed=watched))

    def _prune(self, ended: list[Row], retain: timedelta | None, limit: int) -> int:
        expired = self._expired(ended, retain)[:limit]
        for _, number in expired:
            del self._rows[number]
        return len(expired)

    def _retaining(self) -> list[Row]:
        return [row for row in self._rows.values() if row.finished_at and row.retain is not None]

    def _ended(self, queues: Sequence[str]) -> list[Row]:
        return [
            row
            for row in self._rows.values()
            if row.finished_at and row.retain is None and row.job.queue in queues
        ]

    def _expired(self, ended: list[Row], retain: timedelta | None) -> list[tuple[datetime, int]]:
        now = self._clock()
        over = [(_end(row, retain), row.id) for row in ended]
        return sorted(one for one in over if one[0] <= now)


def keep(row: Row, outcome: Outcome) -> None:
    """Take what stays of an attempt into *row*, which nobody holds any more."""
    if outcome.kept is None:
        return
    row.result = outcome.kept.result
    row.progress = outcome.kept.progress or row.progress
    if outcome.delete:
        row.watched = True
        row.retain = row.retain or timedelta(seconds=LINGER)


def _end(row: Row, retain: timedelta | None) -> datetime:
    kept = row.retain if retain is None else retain
    assert row.finished_at is not None
    assert kept is not None
    return row.finished_at + kept
