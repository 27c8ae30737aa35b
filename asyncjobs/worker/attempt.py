"""One attempt of a job while it runs here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from asyncjobs.context import JobContext

if TYPE_CHECKING:
    import asyncio

    from asyncjobs.errors import AttemptError
    from asyncjobs.hooks import Around
    from asyncjobs.job import Job
    from asyncjobs.types import ClaimedJob
    from asyncjobs.worker.outcome import Interruption, Limits


class Attempt:
    """A claimed row, its job, and the task that runs it."""

    __slots__ = (
        "_context",
        "around",
        "began",
        "begun",
        "deadline",
        "interruption",
        "job",
        "limit",
        "log",
        "refusal",
        "reported",
        "row",
        "task",
        "timer",
    )

    task: asyncio.Task[None]

    def __init__(self, row: ClaimedJob, job: Job[..., Any], limit: Limits, log: Any) -> None:
        self.row, self.job, self.limit, self.log = row, job, limit, log
        self.around: Around | None = None
        """What runs around it; None for most."""
        self.refusal: AttemptError | None = None
        """Why it ends before it begins."""
        self._context: JobContext | None = None
        self.began = 0.0
        """Seconds since 1970, by this machine's clock."""
        self.interruption: Interruption | None = None
        """Why we cancelled it; None while we have not."""
        self.begun = False
        """Whether the task has taken its first step: one cancelled before would never run."""
        self.reported = False
        self.deadline = math.inf
        """When max_runtime ends, by the event loop's clock."""
        self.timer: asyncio.TimerHandle | None = None
        """Set only when the deadline is near: hardly any job gets that far."""

    def context(self) -> JobContext:
        """Return what the job may know of itself; made when it first asks."""
        if self._context is None:
            row, limit = self.row, self.limit
            self._context = JobContext(
                id=row.id,
                name=row.name,
                queue=row.queue,
                attempt=row.attempt,
                max_attempts=limit.max_attempts,
                run_at=row.run_at,
                max_runtime=limit.max_runtime,
                began=self.began,
                logger=self.log,
                extra=row.extra,
            )
        return self._context

    def interrupt(self, reason: Interruption) -> None:
        """Cancel the attempt, once: the first reason stands."""
        if self.interruption is None:
            self.interruption = reason
            if self.begun:
                self.task.cancel()
