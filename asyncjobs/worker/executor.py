"""Runs claimed jobs, each in an asyncio task of its own, up to `concurrency` at once.

A job is cancelled the asyncio way: once. A job that cleans up in `finally` is not cut off
again, and one that was cancelled by us has the outcome that our reason says, whatever it
does with the CancelledError.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from typing import TYPE_CHECKING, Any

from asyncjobs import hooks
from asyncjobs.errors import AttemptsExhaustedError, ExpiredError
from asyncjobs.types import EXPIRED
from asyncjobs.worker import outcome, suspects
from asyncjobs.worker.attempt import Attempt
from asyncjobs.worker.backlog import Backlog
from asyncjobs.worker.deadlines import Deadlines
from asyncjobs.worker.job_log import JobLog
from asyncjobs.worker.outcome import Interruption
from asyncjobs.worker.performer import Performer
from asyncjobs.worker.reporter import Reporter
from asyncjobs.worker.suspects import Suspects
from asyncjobs.worker.unknown import UnknownNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncjobs.config import WorkerGroup
    from asyncjobs.job import Job
    from asyncjobs.registry import JobRegistry
    from asyncjobs.types import ClaimedJob, Json
    from asyncjobs.worker.backlog import Kind
    from asyncjobs.worker.bookkeeper import Bookkeeper
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.keeper import Keeper


class Executor:
    """Holds the claimed jobs of one worker: those that run, and a buffer of the next ones."""

    def __init__(
        self,
        registry: JobRegistry,
        group: WorkerGroup,
        finisher: Finisher,
        bookkeeper: Bookkeeper,
        log: Any,
        *,
        keeper: Keeper,
        worker: str,
        on_room: Callable[[], None],
        on_stuck: Callable[[], None],
        is_torn_down: Callable[[], bool],
        on_failed_run: Callable[[str], None],
    ) -> None:
        self._registry, self._group, self._finisher = registry, group, finisher
        self._keeper, self._log, self._on_room, self._on_stuck = keeper, log, on_room, on_stuck
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop, log, self._give_up)
        self.reporter = Reporter(
            finisher,
            bookkeeper,
            keeper,
            JobLog(log, group, registry.redaction),
            log,
            worker=worker,
            is_torn_down=is_torn_down,
            is_of_others=self._is_of_others,
            on_failed_run=on_failed_run,
        )
        self._performer = Performer(
            registry, group, self.reporter, log, deadlines=self._deadlines, keeper=keeper
        )
        self._plans: dict[str, tuple[outcome.Limits, hooks.Around | None, Kind | None]] = {}
        self.backlog = Backlog(registry, group)
        self._closing = False
        self.is_resting = False
        self._context = contextvars.copy_context()
        self.running: dict[int, Attempt] = {}
        self._suspects = Suspects(self.running)
        self._unknown = UnknownNames(log)
        self.lease_end = math.inf
        """When others may have taken our jobs, by `time.monotonic`: nothing starts after it."""

    @property
    def free(self) -> int:
        """How many more jobs may run at once."""
        return max(self._group.concurrency - len(self.running), 0)

    @property
    def started(self) -> int:
        """How many jobs were started so far."""
        return self.backlog.started

    @property
    def buffered(self) -> int:
        """How many claimed jobs wait."""
        return len(self.backlog)

    def holds(self) -> set[int]:
        """Return the ids of the jobs that run or wait."""
        return self.backlog.ids().union(self.running)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self.running and not self.backlog

    def submit(self, rows: Iterable[ClaimedJob]) -> None:
        """Run *rows* in their order, as slots become free."""
        # A claim that a crash of the database undid may come a second time.
        running = self.running
        new = (row for row in rows if row.id not in running or not self._runs(row))
        self.backlog.rest.waiting.extend(new)
        if self._closing or self.is_resting:
            self.return_buffered()
        self._fill()

    def rest(self, is_resting: bool) -> None:
        """Start nothing more, and give back what waits, until told otherwise."""
        self.is_resting = is_resting
        if is_resting:
            self.return_buffered()

    def still_runs(self) -> bool:
        """Whether a job still runs in this process; may be asked from any thread."""
        return self._performer.is_busy or (bool(self.running) and self._loop.is_running())

    def return_buffered(self) -> None:
        """Give the jobs that wait back to the queue, at no cost."""
        self._return(self.backlog.clear())

    def return_waiting(self, kind: Kind, keep: int = 0) -> None:
        """Give those of *kind* back that wait, but for the first *keep*."""
        self._return(self.backlog.take_last(kind, keep))

    def _return(self, rows: Iterable[ClaimedJob]) -> None:
        for row in rows:
            self._finisher.add(outcome.returned(row))

    def cancel(self, ids: Iterable[int]) -> None:
        """Cancel jobs because a user asked for it; others than ours are ignored."""
        for job_id in ids:
            if attempt := self.running.get(job_id):
                attempt.interrupt(Interruption.CANCELLED)
        for row in self.backlog.take(set(ids)):
            self._finisher.add(outcome.cancelled(row))

    def watch(self) -> None:
        """Look for jobs near or beyond their deadline; to be called several times a second."""
        self._deadlines.watch(list(self.running.values()))
        self.reporter.lines.tick()

    def abandon(self) -> None:
        """Cancel everything and record nothing: the lease is lost, the jobs are others'."""
        self.backlog.clear()
        for attempt in list(self.running.values()):
            attempt.interrupt(Interruption.LEASE_LOST)

    def close(self) -> None:
        """Start nothing more, and give back what waits, for good."""
        self._closing = True
        self.return_buffered()

    async def let_go(self) -> None:
        """Let go of threads, processes and the log's timers, once all has ended that will."""
        await self._performer.close()
        self.reporter.lines.close()

    def _runs(self, row: ClaimedJob) -> bool:
        attempt = self.running[row.id]
        is_lost = attempt.interruption is Interruption.LEASE_LOST
        return attempt.row.attempt == row.attempt and not is_lost

    def _plan(self, job: Job[..., Any]) -> tuple[outcome.Limits, hooks.Around | None, Kind | None]:
        around, kind = hooks.around(self._registry.hooks, job.hooks), self.backlog.kind_of(job)
        plan = self._plans[job.name] = outcome.limits(job, self._group), around, kind
        return plan

    def renew(self, lease_end: float) -> None:
        """Note that our jobs are ours until *lease_end*."""
        self.lease_end = lease_end
        self._fill()

    def _fill(self) -> None:
        backlog, running, most = self.backlog, self.running, self._group.concurrency
        rows = backlog.rest.waiting
        while (rows or backlog.aside) and len(running) < most:
            now = time.monotonic()
            if now > self.lease_end:  # paused or cut off: first hear what is ours
                return
            row = backlog.next() if backlog.aside else rows.popleft()
            if row is None:
                return
            self._start(row, now)

    def _start(self, row: ClaimedJob, now: float) -> None:
        job = self._registry.get(row.name)
        if job is None:
            self._finisher.add(outcome.postponed(row, self._unknown.meet(row)))
            return
        if row.losses >= suspects.LOSSES and self._suspects.must_wait(row):
            self._finisher.add(outcome.postponed(row, self._suspects.delay()))
            return
        limit, around, kind = self._plans.get(row.name) or self._plan(job)
        if kind is not None and kind.free <= 0:
            self.backlog.put_aside(kind, row)
            return
        if row.extra is not None:
            limit = outcome.renewed(limit, row.extra)
        attempt = Attempt(
            row, job, limit, self._log,
            finisher=self._finisher, keeper=self._keeper, around=around, kind=kind,
        )  # fmt: skip
        if row.extra == EXPIRED:  # which says no more of how many attempts it has
            attempt.refusal = ExpiredError()
        elif row.attempt > limit.max_attempts:
            attempt.refusal = AttemptsExhaustedError(limit.max_attempts)
        self.running[row.id] = attempt
        if kind is None:
            kind = self.backlog.rest
        else:
            kind.running += 1
        kind.started += 1
        kind.last_start = now
        attempt.task = asyncio.Task(  # not by a task factory: an eager one would run it here
            # A copy for each: what one job sets must not reach the one it makes room for.
            self._run(attempt),
            loop=self._loop,
            context=self._context.copy(),
        )

    async def _run(self, attempt: Attempt) -> None:
        failure: BaseException | None = None
        result: Any = None
        stored: Json | None = None
        attempt.begun = True
        if attempt.interruption is None:
            try:
                result = await self._performer.perform(attempt)
                if attempt.row.extra is not None:
                    stored = self._keeper.encoded(attempt, result)
            except BaseException as error:
                failure = outcome.without_our_frames(error)
                if self._is_of_others(attempt, error):
                    if isinstance(error, KeyboardInterrupt):
                        self._give_back(attempt)
                    raise
        try:
            if attempt.own is not None:
                failure = await attempt.own.settle(failure)
            if attempt.timer is not None:
                attempt.timer.cancel()
            if attempt.around is not None:
                await self.reporter.report_after_hooks(attempt, failure, result, stored)
            elif not attempt.reported:
                self.reporter.report(attempt, failure, stored)
        finally:  # a log line that cannot be written must not cost the slot
            self._release(attempt)

    def _is_of_others(self, attempt: Attempt, error: BaseException) -> bool:
        kind = type(error)  # isinstance would ask the user's class
        if issubclass(kind, GeneratorExit):  # of the event loop that is being torn down?
            return asyncio.current_task(self._loop) is not attempt.task
        # The user's, who is in a hurry: not the job's failure.
        return issubclass(kind, KeyboardInterrupt) and self._closing

    def _release(self, attempt: Attempt) -> None:
        if self.running.get(attempt.row.id) is attempt:
            del self.running[attempt.row.id]
        # The task's context has the attempt: else both would wait for the garbage collection,
        # which costs a job more than anything else here.
        attempt.task = None
        if attempt.kind is not None:
            attempt.kind.running -= 1
        self._fill()
        self._on_room()

    def _give_back(self, attempt: Attempt) -> None:
        attempt.interruption = attempt.interruption or Interruption.SHUTDOWN
        self.reporter.report(attempt, None)
        self.running.pop(attempt.row.id, None)

    def _give_up(self, attempt: Attempt) -> None:
        # What may run again must not while it runs here: that waits for its end, or for ours.
        self.reporter.report_final(attempt)
        self._on_stuck()
