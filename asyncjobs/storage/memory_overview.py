"""A glance at jobs in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncjobs.storage.overview import COUNTED, SHOWN, Depth, Health, RunningJob, WorkerStatus
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from asyncjobs.storage.memory_rows import Row, WorkerRow


class MemoryOverview:
    """What `OverviewStorage` promises, of dicts."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        rows: Mapping[int, Row],
        workers: Mapping[int, WorkerRow],
    ) -> None:
        self._clock, self._rows, self._workers = clock, rows, workers

    async def depths(self) -> list[Depth]:
        """Return the queues in which jobs are available."""
        found: dict[str, list[Row]] = {}
        for row in self._rows.values():
            if row.state is JobState.AVAILABLE:
                found.setdefault(row.job.queue, []).append(row)
        now = self._clock()
        return [
            Depth(
                queue,
                min(len(rows), COUNTED),
                max(0.0, (now - min(row.run_at for row in rows)).total_seconds()),
            )
            for queue, rows in sorted(found.items())
        ]

    async def states(self) -> dict[str, int]:
        """Return how many jobs there are by state."""
        counts = Counter(row.state for row in self._rows.values())
        return {state.value: min(counts[state], COUNTED) for state in JobState}

    async def workers(self) -> list[WorkerStatus]:
        """Return the registered workers and what they run."""
        found = [self._status(number, worker) for number, worker in self._workers.items()]
        return sorted(found, key=lambda worker: (worker.group, worker.name, worker.id))

    async def health(self) -> Health | None:
        """Return nothing: there is no database."""
        return None

    def _status(self, number: int, worker: WorkerRow) -> WorkerStatus:
        now, info = self._clock(), worker.info
        held = sorted(worker.held(), key=lambda row: (row.attempted_at or now, row.id))
        return WorkerStatus(
            number,
            info.name,
            info.group,
            info.queues,
            info.host,
            info.pid,
            worker.started_at,
            (now - worker.seen_at).total_seconds(),
            info.lease,
            len(held),
            [
                RunningJob(
                    row.id,
                    row.job.name,
                    row.job.queue,
                    row.attempt,
                    (now - (row.attempted_at or now)).total_seconds(),
                )
                for row in held[:SHOWN]
            ],
        )
