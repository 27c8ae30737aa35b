"""The two orders that jobs wait in, in memory.

Both are heaps that forget lazily: a job that was cancelled or moved stays in its old place
until that comes to the top, where the job itself tells that it is not there any more.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from asyncjobs.storage.memory_rows import Row
    from asyncjobs.types import Names


class Waiting:
    """The available jobs, a heap for each queue, in the order of the claim."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[tuple[int, int, int, Row]]] = {}
        self._added = count()

    def clear(self) -> None:
        """Forget all jobs."""
        self._heaps.clear()

    def add(self, row: Row) -> None:
        """Put *row* in its place."""
        heap = self._heaps.setdefault(row.job.queue, [])
        heapq.heappush(heap, (row.job.priority, row.position, next(self._added), row))

    def take(self, queues: Sequence[str], limit: int, names: Names | None = None) -> list[Row]:
        """Remove and return up to *limit* jobs of *queues*, the most urgent first."""
        heaps = {queue: self._heaps[queue] for queue in queues if queue in self._heaps}
        taken: dict[int, Row] = {}
        passed: list[Row] = []
        while len(taken) < limit and (heads := [queue for queue in heaps if heaps[queue]]):
            queue = min(heads, key=lambda queue: heaps[queue][0][:2])
            *place, _, row = heapq.heappop(heaps[queue])
            here = [row.job.priority, row.position] == place and row.job.queue == queue
            if row.state is not JobState.AVAILABLE or not here:
                continue
            if names is None or (row.job.name in names.listed) is names.inside:
                taken[row.id] = row
            else:
                passed.append(row)
        for row in passed:
            self.add(row)
        return list(taken.values())


class Future:
    """The scheduled jobs, by the time when they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, int, Row]] = []
        self._added = count()

    def clear(self) -> None:
        """Forget all jobs."""
        self._heap.clear()

    def add(self, row: Row) -> None:
        """Put *row* in its place."""
        heapq.heappush(self._heap, (row.run_at, row.id, next(self._added), row))

    def next_at(self) -> datetime | None:
        """Return when the earliest job is due; None if there is none."""
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime, limit: int) -> list[Row]:
        """Remove and return up to *limit* jobs that are due, the earliest first."""
        due: dict[int, Row] = {}
        while len(due) < limit and (at := self.next_at()) is not None and at <= now:
            row = heapq.heappop(self._heap)[-1]
            due[row.id] = row
        return list(due.values())

    @staticmethod
    def _is_current(entry: tuple[datetime, int, int, Row]) -> bool:
        run_at, _, _, row = entry
        return row.state is JobState.SCHEDULED and row.run_at == run_at
