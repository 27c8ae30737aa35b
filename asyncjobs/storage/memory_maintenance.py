"""Maintenance of what MemoryAdapter keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from asyncjobs.storage.maintenance import MaintenanceTask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from asyncjobs.storage.maintenance import Ailment
    from asyncjobs.storage.memory_rows import WorkerRow
    from asyncjobs.storage.memory_unique import Keys


class MemoryMaintenance:
    """See `MaintenanceStorage`."""

    def __init__(
        self, clock: Callable[[], datetime], workers: Mapping[int, WorkerRow], keys: Keys
    ) -> None:
        self._clock, self._workers, self._keys = clock, workers, keys
        self._tasks: dict[str, MaintenanceTask] = {}
        self._doing: dict[str, int] = {}

    async def declare(self, tasks: Sequence[str]) -> None:
        """Have rows for tasks."""
        for task in tasks:
            self._tasks.setdefault(task, MaintenanceTask(task, self._clock()))

    async def begin(self, worker: int, tasks: Sequence[str]) -> str | None:
        """Give a worker a task that is due."""
        if worker not in self._workers:
            return None
        now = self._clock()
        due = [
            self._tasks[task]
            for task in tasks
            if task in self._tasks
            and self._tasks[task].due_at <= now
            and self._doing.get(task, worker) not in self._workers.keys() - {worker}
        ]
        if not due:
            return None
        first = min(due, key=lambda task: task.due_at)
        self._doing[first.task] = worker
        self._tasks[first.task] = first._replace(began_at=now)
        return first.task

    async def end(
        self,
        worker: int,
        task: str,
        *,
        every: float,
        done: int = 0,
        report: str | None = None,
        problem: str | None = None,
    ) -> bool:
        """Record what came of a task."""
        if self._doing.get(task) != worker or worker not in self._workers:
            return False
        del self._doing[task]
        found, now = self._tasks[task], self._clock()
        self._tasks[task] = found._replace(
            due_at=now + timedelta(seconds=every),
            ended_at=now,
            seconds=(now - (found.began_at or now)).total_seconds(),
            done=done,
            done_in_all=found.done_in_all + done,
            report=report,
            problem=problem,
        )
        return True

    async def tasks(self) -> list[MaintenanceTask]:
        """Return all tasks."""
        return [self._with_worker(self._tasks[name]) for name in sorted(self._tasks)]

    async def prune_keys(self, limit: int) -> int:
        """Remove keys whose period is over."""
        return self._keys.prune(self._clock(), limit)

    async def ailments(self) -> list[Ailment]:
        """Return nothing: memory needs no care."""
        return []

    async def mend(self, ailment: Ailment) -> None:
        """Do nothing: there are no ailments."""

    def _with_worker(self, task: MaintenanceTask) -> MaintenanceTask:
        worker = self._workers.get(self._doing.get(task.task, 0))
        return task._replace(worker=None if worker is None else worker.info.name)
