"""One attempt of a job while it runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from asyncjobs.job import Job
    from asyncjobs.types import ClaimedJob
    from asyncjobs.worker.outcome import Interruption, Limits


class Attempt:
    """A claimed row, its job, and the task that runs it."""

    __slots__ = (
        "begun",
        "deadline",
        "interruption",
        "job",
        "limit",
        "reported",
        "row",
        "task",
        "timer",
    )

    task: asyncio.Task[None]

    def __init__(self, row: ClaimedJob, job: Job[..., Any], limit: Limits) -> None:
        self.row, self.job, self.limit = row, job, limit
        self.interruption: Interruption | None = None
        """Why we cancelled it; None while we have not."""
        self.begun = False
        """Whether the task has taken its first step: one cancelled before would never run."""
        self.reported = False
        self.deadline = 0.0
        """When max_runtime ends, by the event loop's clock."""
        self.timer: asyncio.TimerHandle | None = None
        """Set only when the deadline is near: hardly any job gets that far."""

    def interrupt(self, reason: Interruption) -> None:
        """Cancel the attempt, once: the first reason stands."""
        if self.interruption is None:
            self.interruption = reason
            if self.begun:
                self.task.cancel()
