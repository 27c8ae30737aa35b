"""What one worker has claimed and not started.

Jobs start in the order of their claim. Plain functions run in threads, those with
``process=True`` in processes, and there may be fewer of each than the worker has slots: a job
whose kind is full steps aside, and the others pass it by.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from asyncjobs.config import WorkerGroup
    from asyncjobs.job import Job
    from asyncjobs.registry import JobRegistry
    from asyncjobs.types import ClaimedJob


class Kind:
    """Jobs of which at most *limit* run at once, beside the limit that all have."""

    __slots__ = ("aside", "last_start", "limit", "running", "started")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0
        self.aside: deque[ClaimedJob] = deque()
        """Claimed jobs that wait for a place."""
        self.started = 0
        """Jobs that were started so far."""
        self.last_start = 0.0

    @property
    def free(self) -> int:
        """How many more may run at once, for all that this kind knows."""
        return self.limit - self.running

    def begin(self, now: float) -> None:
        """Note that one starts, at *now* by `time.monotonic`."""
        self.running += 1
        self.started += 1
        self.last_start = now


class Backlog:
    """The claimed jobs of one worker that wait, and the kinds that it limits by themselves."""

    def __init__(self, registry: JobRegistry, group: WorkerGroup) -> None:
        self._registry = registry
        self.rows: deque[ClaimedJob] = deque()
        """Those whose turn comes next. What is full is found when it does."""
        self.aside = 0
        """How many of other kinds wait aside."""
        # A limit that all jobs together cannot exceed needs no look.
        processes, threads = group.processes or os.cpu_count() or 1, group.threads
        self._process = Kind(processes) if processes < group.concurrency else None
        self._thread = Kind(threads) if threads and threads < group.concurrency else None
        self.kinds = [kind for kind in (self._process, self._thread) if kind is not None]

    def __len__(self) -> int:
        return len(self.rows) + self.aside

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
        waiting = {row.id for row in self.rows}
        return waiting.union(*({row.id for row in kind.aside} for kind in self.kinds))

    def put_aside(self, kind: Kind, row: ClaimedJob) -> None:
        """Let *row* wait until its kind has a place."""
        kind.aside.append(row)
        self.aside += 1

    def next_aside(self) -> ClaimedJob | None:
        """Remove and return a job that waits aside and may start; None if there is none."""
        for kind in self.kinds:
            if kind.aside and kind.free > 0:
                self.aside -= 1
                return kind.aside.popleft()
        return None

    def take(self, wanted: Collection[int]) -> list[ClaimedJob]:
        """Remove and return the jobs with the ids *wanted*."""
        taken: list[ClaimedJob] = []
        for waiting in (self.rows, *(kind.aside for kind in self.kinds)):
            found = [row for row in waiting if row.id in wanted]
            for row in found:
                waiting.remove(row)
            taken += found
        self.aside = sum(len(kind.aside) for kind in self.kinds)
        return taken

    def take_last(self, kind: Kind, keep: int) -> list[ClaimedJob]:
        """Remove and return those of *kind* that wait aside, but for the first *keep*."""
        taken = [kind.aside.pop() for _ in range(len(kind.aside) - keep)]
        self.aside -= len(taken)
        return taken[::-1]

    def take_rows(self) -> list[ClaimedJob]:
        """Remove and return the jobs whose turn comes next, but not those aside."""
        taken = list(self.rows)
        self.rows.clear()
        return taken

    def clear(self) -> list[ClaimedJob]:
        """Remove and return all."""
        aside = [row for kind in self.kinds for row in self.take_last(kind, 0)]
        return aside + self.take_rows()
