"""What one worker has claimed and not started.

Jobs start in the order of their claim. Plain functions run in threads, those with
``process=True`` in processes, and there may be fewer of each than the worker has slots: a job
whose kind is full steps aside, and the others pass it by.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from asyncjobs.config import WorkerGroup
    from asyncjobs.job import Job
    from asyncjobs.registry import JobRegistry
    from asyncjobs.types import ClaimedJob

STALE = 0.5
"""Seconds without a start after which what waits is given back."""


class Kind:
    """Jobs of which at most *limit* run at once, those that wait, and when they start."""

    __slots__ = ("last_start", "limit", "running", "started", "waiting")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0
        """Not counted for the kind of all the rest, which has the limit of all together."""
        self.waiting: deque[ClaimedJob] = deque()
        """Those that were claimed and have not started."""
        self.started = 0
        """Jobs that were started so far."""
        self.last_start = 0.0
        """When the last of them was, by `time.monotonic`."""

    @property
    def free(self) -> int:
        """How many more may run at once, for all that this kind knows."""
        return self.limit - self.running

    @property
    def is_stale(self) -> bool:
        """Whether something waits, and nothing started for long."""
        return bool(self.waiting) and time.monotonic() - self.last_start > STALE


class Backlog:
    """The claimed jobs of one worker that wait, by the kinds that it limits."""

    def __init__(self, registry: JobRegistry, group: WorkerGroup) -> None:
        self._registry = registry
        self.rest = Kind(group.concurrency)
        """All that has no limit of its own. What waits here comes next, of whatever kind it
        is: that a kind is full is found when its turn comes."""
        # A limit that all jobs together cannot exceed needs no look.
        processes, threads = group.processes or os.cpu_count() or 1, group.threads
        self._process = Kind(processes) if processes < group.concurrency else None
        self._thread = Kind(threads) if threads and threads < group.concurrency else None
        self.kinds = [kind for kind in (self._process, self._thread) if kind is not None]
        """Those with a limit of their own."""
        self.aside = 0
        """How many jobs of these wait for a place."""

    def __len__(self) -> int:
        return len(self.rest.waiting) + self.aside

    @property
    def started(self) -> int:
        """How many jobs were started so far."""
        return sum(kind.started for kind in (self.rest, *self.kinds))

    def kind_of(self, job: Job[..., Any]) -> Kind | None:
        """Return the kind that limits *job*; None if only all together are limited."""
        if job.options.process:
            return self._process
        return self._thread if job.runs_in_thread else None

    def names_of(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of all jobs of *kind*."""
        return tuple(job.name for job in self._registry if self.kind_of(job) is kind)

    def ids(self) -> set[int]:
        """Return the ids of the jobs that wait."""
        return {row.id for kind in (self.rest, *self.kinds) for row in kind.waiting}

    def put_aside(self, kind: Kind, row: ClaimedJob) -> None:
        """Let *row* wait until its kind has a place."""
        kind.waiting.append(row)
        self.aside += 1

    def next(self) -> ClaimedJob | None:
        """Remove and return the next job that may start; None if all wait for their kind."""
        for kind in self.kinds:
            if kind.waiting and kind.free > 0:
                self.aside -= 1
                return kind.waiting.popleft()
        return self.rest.waiting.popleft() if self.rest.waiting else None

    def take(self, wanted: Collection[int]) -> list[ClaimedJob]:
        """Remove and return the jobs with the ids *wanted*."""
        taken: list[ClaimedJob] = []
        for kind in (self.rest, *self.kinds):
            found = [row for row in kind.waiting if row.id in wanted]
            for row in found:
                kind.waiting.remove(row)
            taken += found
        self._count()
        return taken

    def take_last(self, kind: Kind, keep: int = 0) -> list[ClaimedJob]:
        """Remove and return those of *kind* that wait, but for the first *keep*."""
        taken = [kind.waiting.pop() for _ in range(len(kind.waiting) - keep)]
        self._count()
        return taken[::-1]

    def clear(self) -> list[ClaimedJob]:
        """Remove and return all."""
        return [row for kind in (*self.kinds, self.rest) for row in self.take_last(kind)]

    def _count(self) -> None:
        self.aside = sum(len(kind.waiting) for kind in self.kinds)
