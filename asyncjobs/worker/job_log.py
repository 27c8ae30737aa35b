"""Says what became of jobs: a line for each, unless there are too many of one kind.

Successes are quiet as the group's ``log_jobs`` says. Failures are never left out unsaid: of one
error of one job, by its class, the first `FLOOD` in `WINDOW` seconds have lines of their own,
with their tracebacks; the others are counted, and the count is said when the time is over or
the worker ends. The rows have every error in full.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

from asyncjobs.config import LOG_PACE
from asyncjobs.redaction import readable
from asyncjobs.worker import outcome

if TYPE_CHECKING:
    from asyncjobs.config import WorkerGroup
    from asyncjobs.redaction import Redaction
    from asyncjobs.types import ClaimedJob
    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.reporter import Decision

FLOOD, WINDOW = 10, 60.0
"""Lines, and seconds."""
SPREAD, RANGE = 2_654_435_761, 2**32
"""Makes of ids, which are near each other, numbers that are not."""


class Flood:
    """One error of one job since its first line."""

    __slots__ = ("began", "error", "last_id", "lines", "times")

    def __init__(self, began: float, error: str) -> None:
        self.began, self.error = began, error
        self.lines = self.times = self.last_id = 0


class JobLog:
    """The lines about jobs of one worker."""

    def __init__(self, log: Any, group: WorkerGroup, redaction: Redaction) -> None:
        self._log, self._redaction = log, redaction
        self._debug = log.debug  # asked for once: it is called for every job
        self._shows_arguments = group.log_arguments
        self._is_paced, self._share = group.log_jobs == "auto", 0.0
        self._left: float = LOG_PACE if self._is_paced else 0
        if group.log_jobs == "all":
            self._left = math.inf
        elif isinstance(group.log_jobs, int | float):
            self._share = group.log_jobs * RANGE
        self._unsaid, self._second = 0, time.monotonic()
        self._floods: dict[tuple[str, str, type[BaseException]], Flood] = {}
        self._is_closed = False
        self._lock = threading.Lock()  # what blocks the event loop is reported by a thread

    def succeeded(self, attempt: Attempt) -> None:
        """Say that *attempt* succeeded, if that is to be said."""
        row = attempt.row
        if self._left > 0:
            self._left -= 1
        elif not self._share or row.id * SPREAD % RANGE >= self._share:
            self._unsaid += 1
            self._debug("job.succeeded", job=row.name, id=row.id, attempt=row.attempt)
            return
        self._log.info("job.succeeded", **self._facts(attempt))

    def ended(self, attempt: Attempt, decision: Decision) -> None:
        """Say what became of *attempt*; from any thread."""
        result, error = decision.outcome, decision.error
        if result.state == "succeeded":
            self.succeeded(attempt)
        elif result.state == "failed" and error is not None:
            if not self._is_flood("job.failed", attempt.row, error):
                self._log.error(
                    "job.failed", **self._facts(attempt),
                    error=outcome.represent(error), exc_info=error,
                )  # fmt: skip
        elif result.state == "scheduled" and error is not None:
            if not self._is_flood("job.retried", attempt.row, error):
                self._log.warning(
                    "job.retried", **self._facts(attempt),
                    error=outcome.represent(error), delay=result.delay,
                )  # fmt: skip
        elif result.state == "scheduled":
            self._log.info("job.snoozed", **self._facts(attempt), delay=result.delay)
        elif result.state == "cancelled":
            reason = {} if decision.reason is None else {"reason": decision.reason}
            if error is None:
                self._log.info("job.cancelled", **self._facts(attempt), **reason)
            elif not self._is_flood("job.expired", attempt.row, error):
                self._log.info("job.expired", **self._facts(attempt), **reason)

    def tick(self) -> None:
        """Say what was counted and is over; to be called several times a second."""
        now = time.monotonic()
        if self._is_paced and now - self._second >= 1:
            self._second = now
            self._say_unsaid()
            self._left = LOG_PACE
        if self._floods:
            self._say_floods(now - WINDOW)

    def close(self) -> None:
        """Say all that was counted, and from now on everything that fails."""
        self._is_closed = True
        if self._is_paced:
            self._say_unsaid()
        self._say_floods(math.inf)

    def _facts(self, attempt: Attempt) -> dict[str, Any]:
        row = attempt.row
        facts: dict[str, Any] = {
            "job": row.name, "id": row.id, "queue": row.queue, "attempt": row.attempt,
        }  # fmt: skip
        if attempt.began:
            facts["seconds"] = round(max(time.time() - attempt.began, 0.0), 4)
        if self._shows_arguments:
            facts["args"] = self._redaction.arguments(row.name, readable(row.args))
        return facts

    def _is_flood(self, event: str, row: ClaimedJob, error: BaseException) -> bool:
        key = (event, row.name, type(error))
        with self._lock:
            flood = self._floods.get(key)
            if flood is None:
                kind = type(error).__qualname__
                flood = self._floods[key] = Flood(time.monotonic(), kind)
            if flood.lines < FLOOD or self._is_closed:
                flood.lines += 1
                return False
            flood.times, flood.last_id = flood.times + 1, row.id
            return True

    def _say_unsaid(self) -> None:
        if count := self._unsaid:
            self._unsaid = 0
            self._log.info("jobs.succeeded", more=count)

    def _say_floods(self, since: float) -> None:
        with self._lock:
            over = {key: each for key, each in self._floods.items() if each.began <= since}
            for key in over:
                del self._floods[key]
        for (event, job, _), flood in over.items():
            if flood.times:
                self._log.warning(
                    "log.folded", folded=event, job=job, error=flood.error, more=flood.times,
                    last_id=flood.last_id, seconds=round(time.monotonic() - flood.began, 1),
                )  # fmt: skip
