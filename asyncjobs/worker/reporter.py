"""Says what became of an attempt: to the finisher, which records it, and to the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import JobTimeoutError, SelfCancelledError
from asyncjobs.worker import outcome
from asyncjobs.worker.outcome import Interruption

if TYPE_CHECKING:
    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.finisher import Finisher


class Reporter:
    """Reports the attempts of the worker named *worker*."""

    def __init__(self, finisher: Finisher, log: Any, *, worker: str) -> None:
        self._finisher, self._log, self._worker = finisher, log, worker

    def report(self, attempt: Attempt, failure: BaseException | None) -> None:
        """Record the end of *attempt*, which raised *failure* or returned. To be called once."""
        row, reason = attempt.row, attempt.interruption
        attempt.reported = True
        if reason is Interruption.LEASE_LOST:
            return
        if reason is Interruption.SHUTDOWN:
            self._finisher.add(outcome.returned(row))
        elif reason is Interruption.CANCELLED:
            self._finisher.add(outcome.cancelled(row))
            self._log.info("job.cancelled", job=row.name, id=row.id, attempt=row.attempt)
        elif reason is Interruption.TIMEOUT:
            timeout = JobTimeoutError(attempt.limit.max_runtime)
            timeout.__cause__ = failure
            self.report_failure(attempt, timeout, timed_out=True)
        elif isinstance(failure, asyncio.CancelledError):
            error = SelfCancelledError()
            error.__cause__ = failure
            self.report_failure(attempt, error)
        elif failure is not None:
            self.report_failure(attempt, failure)
        else:
            self._finisher.add(outcome.succeeded(row, attempt.limit))
            self._log.debug("job.succeeded", job=row.name, id=row.id, attempt=row.attempt)

    def report_failure(
        self, attempt: Attempt, error: BaseException, *, timed_out: bool = False
    ) -> None:
        """Record that *attempt* failed with *error*, and say so."""
        row = attempt.row
        result = outcome.failed(
            row, attempt.job, attempt.limit, error, self._worker, timed_out=timed_out
        )
        facts: dict[str, Any] = {
            "job": row.name, "id": row.id, "attempt": row.attempt, "error": outcome.represent(error)
        }  # fmt: skip
        self._finisher.add(result)
        if result.state == "scheduled":
            self._log.warning("job.retried", **facts, delay=result.delay)
        else:
            self._log.error("job.failed", **facts, exc_info=error)
