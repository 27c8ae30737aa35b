"""The registered workers, in memory, and what becomes of the jobs of those that end."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

from asyncjobs.storage.memory_rows import WorkerRow
from asyncjobs.types import Heartbeat, JobState, LocalWorker, Rescued, WorkerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from asyncjobs.storage.memory_table import Table


class MemoryFleet:
    """What MemoryAdapter knows of workers; the methods are those of `Storage`."""

    def __init__(self, clock: Callable[[], datetime], table: Table) -> None:
        self._clock, self._table = clock, table
        self._ids = count(1)
        self.workers: dict[int, WorkerRow] = {}
        """By id."""

    def register(self, worker: WorkerInfo) -> int:
        """Add a worker and return its id."""
        number = next(self._ids)
        now = self._clock()
        quiet_at = now if worker.quiet else None
        self.workers[number] = WorkerRow(worker, started_at=now, seen_at=now, quiet_at=quiet_at)
        return number

    def heartbeat(self, worker: int) -> Heartbeat:
        """Renew the lease of *worker*."""
        if worker not in self.workers:
            return Heartbeat(False, [])
        known = self.workers[worker]
        known.seen_at, known.quiet_unheard = self._clock(), False
        offset = known.seen_at.timestamp() - time.time()
        cancel = [row.id for row in known.held() if row.interrupt]
        wishes = known.quiet_at is not None, known.stop_at is not None
        return Heartbeat(True, cancel, offset, *wishes)

    def deregister(self, worker: int) -> None:
        """Remove *worker*; its jobs become available uncounted."""
        if worker in self.workers:
            rows = self.workers.pop(worker).held()
            for row in rows:
                row.attempt -= 1
                self._table.put(row, JobState.AVAILABLE)
            self._table.wake(rows)

    def leave(self, worker: int) -> None:
        """Note that *worker* ends with jobs that still run."""
        if worker in self.workers:
            self.workers[worker].leaving = True

    def local_workers(self, host_id: str) -> list[LocalWorker]:
        """Return the workers of the machine *host_id*."""
        return [
            LocalWorker(number, worker.info.pid, worker.info.started)
            for number, worker in self.workers.items()
            if worker.info.host_id == host_id
        ]

    def held(self, worker: int) -> list[tuple[int, int]]:
        """Return id and attempt of the jobs that *worker* holds."""
        known = self.workers.get(worker)
        return [(row.id, row.attempt) for row in known.held()] if known else []

    def rescue(self, dead: Sequence[int], watched: float) -> list[Rescued]:
        """Remove the workers *dead* and those whose lease has run out; free their jobs."""
        now = self._clock()
        lost = [n for n, w in self.workers.items() if n in dead or w.is_silent(now, watched)]
        rescued = []
        for worker in [self.workers.pop(number) for number in lost]:
            for row in worker.held():
                row.lose(worker, now)
                self._table.put(row, JobState.AVAILABLE)
                rescued.append((row, worker.info.name))
        self._table.wake(row for row, _ in rescued)
        return [
            Rescued(row.id, row.job.name, name, row.attempt, row.job.queue)
            for row, name in rescued
            if row.state is JobState.AVAILABLE
        ]
