"""One attempt of a job while it runs here."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from asyncjobs.context import JobContext
from asyncjobs.worker.outcome import Interruption
from asyncjobs.worker.shield import Shield
from asyncjobs.worker.stacks import stack_of_task, stack_of_thread
from asyncjobs.worker.transaction import OwnTransaction

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from asyncjobs.errors import AttemptError
    from asyncjobs.hooks import Around
    from asyncjobs.job import Job
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob
    from asyncjobs.worker.backlog import Kind
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.keeper import Keeper
    from asyncjobs.worker.outcome import Limits
    from asyncjobs.worker.threads import ThreadCall


class Attempt:
    """A claimed row, its job, and the task that runs it."""

    __slots__ = (
        "_context",
        "_finisher",
        "_keeper",
        "_shield",
        "around",
        "began",
        "begun",
        "call",
        "deadline",
        "interrupted_at",
        "interruption",
        "is_stuck",
        "job",
        "kind",
        "limit",
        "log",
        "own",
        "refusal",
        "reported",
        "row",
        "task",
        "timer",
    )

    interrupted_at: float
    """By the event loop's clock; set only with the interruption, as the next."""
    is_stuck: bool
    """Whether it was found not to end."""

    def __init__(
        self,
        row: ClaimedJob,
        job: Job[..., Any],
        limit: Limits,
        log: Any,
        *,
        finisher: Finisher,
        keeper: Keeper,
        around: Around | None,
        kind: Kind | None,
    ) -> None:
        self.row, self.job, self.limit, self.log = row, job, limit, log
        self.around = around
        """What runs around it; None for most."""
        self.kind = kind
        """What limits it beside the slots of all; None for most."""
        self.task: asyncio.Task[None] | None = None
        """None before it has one, and again when it has ended."""
        self.refusal: AttemptError | None = None
        """Why it ends before it begins."""
        self._finisher, self._keeper = finisher, keeper
        self._context: JobContext | None = None
        self._shield: Shield | None = None
        self.began = 0.0
        """Seconds since 1970, by this machine's clock."""
        self.call: ThreadCall | None = None
        """What its thread does, if it has one."""
        self.interruption: Interruption | None = None
        """Why we cancelled it; None while we have not."""
        self.begun = False
        """Whether the task has taken its first step: one cancelled before would never run."""
        self.reported = False
        self.deadline = math.inf
        """When max_runtime ends, by the event loop's clock."""
        self.own: OwnTransaction | None = None
        """The job's own transaction, once it has asked for one."""
        self.timer: asyncio.TimerHandle | None = None
        """Set only when the deadline is near: hardly any job gets that far."""

    @property
    def id(self) -> int:
        """The job's."""
        return self.row.id

    @property
    def storage(self) -> Storage:
        """What holds the row."""
        return self._finisher.storage

    @property
    def times_out_for_good(self) -> bool:
        """Whether the job is never to run again if this attempt runs for too long."""
        is_last = self.row.attempt >= self.limit.max_attempts
        return is_last or not self.job.options.retry_on_timeout

    @property
    def ends_for_good(self) -> bool:
        """Whether our reason for cutting it off means that it is never to run again."""
        if self.interruption is Interruption.TIMEOUT:
            return self.times_out_for_good
        return self.interruption is Interruption.CANCELLED

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
                on_progress=self._keeper.progress.put,
                shield=self._shielded,
                worker=self._keeper.worker,
                begin=None if self.job.runs_in_thread else self._begin,
            )
        return self._context

    def stack(self) -> str:
        """Return where the job stands, as text of several lines."""
        if self.call is not None:
            return stack_of_thread(self.call.thread)
        return "" if self.task is None else stack_of_task(self.task)

    def _shielded(self, timeout: float) -> AbstractAsyncContextManager[None]:
        if self._shield is None:
            self._shield = Shield(self)
        return self._shield.block(timeout)

    def _begin(self, connection: object | None) -> AbstractAsyncContextManager[object]:
        if self.own is None:
            self.own = OwnTransaction(self, self._finisher, self._keeper)
        return self.own.open(connection)

    def interrupt(self, reason: Interruption) -> None:
        """Cancel the attempt, once: the first reason stands. After a critical block, if in one."""
        if self._shield is not None and self._shield.holds_back(reason):
            return
        if self.interruption is None and self.task is not None:
            self.note(reason)
            if self.begun:
                self.task.cancel()

    def note(self, reason: Interruption) -> None:
        """Let it end for *reason*, without cancelling what its task does."""
        self.interruption = reason
        self.interrupted_at, self.is_stuck = asyncio.get_running_loop().time(), False
