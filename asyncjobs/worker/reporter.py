"""Decides what became of an attempt, and says so to the finisher, which records it, and the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.clock import check_duration
from asyncjobs.errors import ExpiredError, JobTimeoutError, SelfCancelledError
from asyncjobs.verdicts import Cancel, Snooze
from asyncjobs.worker import afterwards, outcome
from asyncjobs.worker.outcome import Interruption

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.hooks import OutcomeWord
    from asyncjobs.types import Json, Outcome
    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.bookkeeper import Bookkeeper
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.job_log import JobLog
    from asyncjobs.worker.keeper import Keeper

LAST_WORD_DELAY = 10.0
"""Seconds at least until a job is tried again that runs here until this process ends."""


class Decision(NamedTuple):
    """What is to be recorded and logged."""

    outcome: Outcome
    error: BaseException | None = None
    """Why the attempt failed, or why the job was dropped."""
    reason: str | None = None
    """Why the job was cancelled, in the words of whoever did."""

    @property
    def word(self) -> OutcomeWord:
        """What became of the attempt, as `AttemptEnd.word` has it."""
        match self.outcome.state:
            case "succeeded" | "failed" as state:
                return state
            case "cancelled":
                return "cancelled" if self.error is None else "expired"
            case "scheduled":
                return "snoozed" if self.error is None else "retried"
            case "available" | "postponed":
                return "returned"


class Reporter:
    """Reports the attempts of the worker named *worker*."""

    def __init__(
        self,
        finisher: Finisher,
        bookkeeper: Bookkeeper,
        keeper: Keeper,
        lines: JobLog,
        log: Any,
        *,
        worker: str,
        is_torn_down: Callable[[], bool],
        is_of_others: Callable[[Attempt, BaseException], bool],
        on_failed_run: Callable[[str], None],
    ) -> None:
        self._finisher, self._note, self._keeper = finisher, bookkeeper.note, keeper
        self.lines = lines
        """What the log says of the jobs."""
        self._log, self._worker = log, worker
        self._is_torn_down, self._on_failed_run = is_torn_down, on_failed_run
        self._is_of_others = is_of_others

    def report(
        self, attempt: Attempt, failure: BaseException | None, result: Json | None = None
    ) -> None:
        """Record the end of *attempt*, which raised *failure* or returned. To be called once.

        *result* is what it returned, if that is to be kept.
        """
        row = attempt.row
        if failure is None and attempt.interruption is None and attempt.own is None:
            attempt.reported = True
            self._record(attempt, outcome.succeeded(row, attempt.limit), result)
            self._note(row, "succeeded", attempt.began)
            self.lines.succeeded(attempt)
        else:
            self.publish(attempt, self.decide(attempt, failure))

    async def report_after_hooks(
        self,
        attempt: Attempt,
        failure: BaseException | None,
        returned: Any,
        result: Json | None,
    ) -> None:
        """Do the same after the hooks around *attempt*, which hear what it *returned*."""
        if not attempt.reported:
            decision = self.decide(attempt, failure)
            await afterwards.run_hooks(attempt, decision, returned, self._log, self._is_of_others)
            self.publish(attempt, decision, result)

    def decide(self, attempt: Attempt, failure: BaseException | None) -> Decision:
        """Return what the end of *attempt* means. What we interrupted has our reason's outcome.

        What the class of *failure* raises when it is asked is a failure like another.
        """
        try:
            return self._decide(attempt, failure)
        except BaseException as problem:  # noqa: BLE001 - the user's class, which may even exit
            problem.__cause__ = failure
            return self._failed(attempt, problem)

    def _decide(self, attempt: Attempt, failure: BaseException | None) -> Decision:
        if _is_committed(attempt) or (failure is None and attempt.interruption is None):
            return Decision(outcome.succeeded(attempt.row, attempt.limit))
        if attempt.interruption is not None:
            return self._interrupted(attempt, failure)
        assert failure is not None
        if isinstance(failure, asyncio.CancelledError):
            return self._cancelled(attempt, failure)
        if isinstance(failure, Snooze):
            delay = check_duration("the delay of a Snooze", failure.delay)
            return Decision(outcome.snoozed(attempt.row, delay))
        if isinstance(failure, Cancel | ExpiredError):
            return self._dropped(attempt, failure)
        return self._failed(attempt, failure)

    def publish(self, attempt: Attempt, decision: Decision, result: Json | None = None) -> None:
        """Record and log *decision*, unless the lease is lost: then the job is others'."""
        attempt.reported = True
        if not _is_committed(attempt):  # by itself: then the success is recorded already
            if attempt.interruption is Interruption.LEASE_LOST:
                afterwards.tell_outcome(attempt, "lost", decision, self._log)
                return
            self._record(attempt, decision.outcome, result)
        self.tell(attempt, decision)
        self.say(attempt, decision)

    def tell(self, attempt: Attempt, decision: Decision) -> None:
        """Count *decision*, and tell the hooks that are to hear of it."""
        found = decision.outcome
        if not found.refund:
            self._note(attempt.row, found.state, attempt.began)
        if found.run is not None and found.state == "failed":
            self._on_failed_run(found.run.schedule)
        afterwards.tell_outcome(attempt, decision.word, decision, self._log)

    def say(self, attempt: Attempt, decision: Decision) -> None:
        """Log *decision*; from any thread."""
        try:
            self.lines.ended(attempt, decision)
        except BaseException as problem:  # noqa: BLE001 - whatever the error's class does to it
            row, kind = attempt.row, type(problem).__qualname__
            self._log.error("job.unloggable", job=row.name, id=row.id, problem=kind)

    def report_final(self, attempt: Attempt) -> None:
        """Report *attempt* although it still runs, if it is never to run again."""
        if not attempt.reported and attempt.ends_for_good:
            self.publish(attempt, self.decide(attempt, None))

    def report_last(self, attempt: Attempt) -> None:
        """Report *attempt* although it still runs, because this process will end."""
        if not attempt.reported and attempt.interruption is Interruption.TIMEOUT:
            self.publish(attempt, self._last_word(attempt, LAST_WORD_DELAY))

    def take_over(self, attempt: Attempt, *, least_delay: float) -> Decision:
        """Return what is to be recorded of *attempt*, which runs for too long; from any thread.

        To record, `say` and `tell` it is the caller's, and no longer that of the task.
        """
        attempt.reported = True
        decision = self._last_word(attempt, least_delay)
        self._keeper.complete(decision.outcome, attempt.row, None)
        return decision

    def _last_word(self, attempt: Attempt, least_delay: float) -> Decision:
        if _is_committed(attempt):
            return self.decide(attempt, None)
        return self._timed_out(attempt, least_delay=least_delay)

    def _timed_out(
        self, attempt: Attempt, failure: BaseException | None = None, *, least_delay: float = 0.0
    ) -> Decision:
        error = JobTimeoutError(attempt.limit.max_runtime)
        error.__cause__ = failure
        decision = self._failed(attempt, error, timed_out=True)
        decision.outcome.delay = max(decision.outcome.delay, least_delay)
        return decision

    def _record(self, attempt: Attempt, found: Outcome, result: Json | None) -> None:
        if attempt.row.extra is not None or self._keeper.has_notes:
            self._keeper.complete(found, attempt.row, result)
        self._finisher.add(found)

    def _interrupted(self, attempt: Attempt, failure: BaseException | None) -> Decision:
        if attempt.interruption is Interruption.CANCELLED:
            return Decision(outcome.cancelled(attempt.row))
        if attempt.interruption is Interruption.TIMEOUT:
            return self._timed_out(attempt, failure)
        return Decision(outcome.returned(attempt.row))

    def _cancelled(self, attempt: Attempt, failure: asyncio.CancelledError) -> Decision:
        if self._is_torn_down():
            # Whoever ends an event loop cancels every task: the job has not done that itself.
            return Decision(outcome.returned(attempt.row))
        error = SelfCancelledError()
        error.__cause__ = failure
        return self._failed(attempt, error)

    def _dropped(self, attempt: Attempt, why: Cancel | ExpiredError) -> Decision:
        record = outcome.describe(why, attempt.row.attempt, self._worker)
        error = why if isinstance(why, ExpiredError) else None
        return Decision(outcome.cancelled(attempt.row, record), error, outcome.message_of(why))

    def _failed(
        self, attempt: Attempt, error: BaseException, *, timed_out: bool = False
    ) -> Decision:
        found = outcome.failed(
            attempt.row, attempt.job, attempt.limit, error, self._worker, timed_out=timed_out
        )
        return Decision(found, error)


def _is_committed(attempt: Attempt) -> bool:
    return attempt.own is not None and attempt.own.is_committed
