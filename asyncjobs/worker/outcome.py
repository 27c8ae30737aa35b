"""What the end of an attempt means."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from asyncjobs.clock import seconds
from asyncjobs.errors import AttemptsExhaustedError, ResultError, StoredArgumentsError
from asyncjobs.storable import made_storable
from asyncjobs.types import ALL_LANES, EXPIRED, Outcome, RunOf, told_in

if TYPE_CHECKING:
    from asyncjobs.config import WorkerGroup
    from asyncjobs.job import Job
    from asyncjobs.types import ClaimedJob, Json

MAX_MESSAGE = 2_000
MAX_TRACEBACK = 16_000
"""Characters kept of each."""
LAST = (StoredArgumentsError, AttemptsExhaustedError, ResultError)
"""Errors that another attempt cannot mend."""


class Interruption(Enum):
    """Why we cancelled an attempt."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"


class Limits(NamedTuple):
    """A job's options, with those of its group where it has none."""

    max_attempts: int
    max_runtime: float
    delete_successful: bool
    delete_failed: bool
    before: int = 0
    """Attempts before a user let the job begin anew; max_attempts has them on top."""


def limits(job: Job[..., Any], group: WorkerGroup) -> Limits:
    """Return what holds for *job* in *group*."""
    options = job.options
    return Limits(
        _first(options.max_attempts, group.max_attempts),
        seconds(_first(options.max_runtime, group.max_runtime)),
        _first(options.delete_successful, group.delete_successful_jobs),
        _first(options.delete_failed, group.delete_failed_jobs),
    )


def renewed(limit: Limits, extra: Json) -> Limits:
    """Return *limit* for a job whose attempts so far may not count, as its *extra* says."""
    before: int = told_in(extra).get("before", 0)
    return limit._replace(max_attempts=limit.max_attempts + before, before=before)


def succeeded(row: ClaimedJob, limit: Limits) -> Outcome:
    """Return the outcome of an attempt that returned."""
    result = Outcome(row.id, row.attempt, "succeeded", delete=limit.delete_successful)
    if row.extra is not None:
        result.lanes, result.run = lanes_of(row), _run_of(row, limit)
    return result


def failed(
    row: ClaimedJob,
    job: Job[..., Any],
    limit: Limits,
    error: BaseException,
    worker: str,
    *,
    timed_out: bool = False,
) -> Outcome:
    """Return the outcome of an attempt that raised *error*: another one, or the end."""
    error, delay = _next_try(row, job, limit, error, timed_out=timed_out)
    record, lanes = describe(error, row.attempt, worker), lanes_of(row)
    if delay is None:
        return Outcome(
            row.id,
            row.attempt,
            "failed",
            delete=limit.delete_failed,
            error=record,
            lanes=lanes,
            run=_run_of(row, limit) if row.extra is not None else None,
        )
    kept = keeps_lane(row)
    return Outcome(
        row.id, row.attempt, "scheduled", delay=delay, error=record, lanes=lanes, keeps_lane=kept
    )


def _next_try(
    row: ClaimedJob, job: Job[..., Any], limit: Limits, error: BaseException, *, timed_out: bool
) -> tuple[BaseException, float | None]:
    """Return what to tell of *error*, and the seconds until the next attempt; None for no other."""
    if row.attempt >= limit.max_attempts:
        return error, None
    attempt = row.attempt - limit.before
    try:
        may_retry = job.options.retry_on_timeout if timed_out else job.options.may_retry(error)
        if not may_retry or isinstance(error, LAST):
            return error, None
        return error, job.options.delay_after(attempt, error)
    except BaseException as broken:  # noqa: BLE001 - the user's function, which may even exit
        # Both are told, and the default applies: a broken backoff must not lose a job.
        broken.__cause__ = error
        return broken, min(attempt**4, 3600.0)


def cancelled(row: ClaimedJob, error: Json | None = None) -> Outcome:
    """Return the outcome of an attempt that a user cancelled, or the job itself."""
    return Outcome(row.id, row.attempt, "cancelled", error=error, lanes=lanes_of(row))


def snoozed(row: ClaimedJob, delay: float) -> Outcome:
    """Return the outcome of an attempt that asked to be made later, at no cost."""
    return _put_off(row, "scheduled", delay)


def _run_of(row: ClaimedJob, limit: Limits) -> RunOf | None:
    schedule = told_in(row.extra).get("schedule")
    return RunOf(schedule["name"], limit.max_attempts) if schedule else None


def returned(row: ClaimedJob) -> Outcome:
    """Return the outcome of a claim that was not carried out, or was cut off by shutdown."""
    return Outcome(row.id, row.attempt, "available", refund=True)


def postponed(row: ClaimedJob, delay: float) -> Outcome:
    """Return the outcome of a claim of a job that others are to run, or we later."""
    return _put_off(row, "postponed", delay)


def _put_off(row: ClaimedJob, state: Literal["scheduled", "postponed"], delay: float) -> Outcome:
    lanes, kept = lanes_of(row), keeps_lane(row)
    return Outcome(
        row.id, row.attempt, state, delay=delay, refund=True, lanes=lanes, keeps_lane=kept
    )


def lanes_of(row: ClaimedJob) -> tuple[str, ...]:
    """Return the lanes that a claimed job holds; mostly none."""
    if row.extra is None:
        return ()
    if row.extra == EXPIRED:  # nothing else is known of it
        return (ALL_LANES,)
    return tuple(told_in(row.extra).get("lanes", ()))


def keeps_lane(row: ClaimedJob) -> bool:
    """Return whether a job goes on to hold its own lane when it comes back later."""
    return row.extra is not None and bool(told_in(row.extra).get("strict"))


def represent(thing: object) -> str:
    """Return *thing*, mostly an error, for a log line, whatever its class does."""
    try:
        return _shorten(repr(thing), MAX_MESSAGE)
    except BaseException:  # noqa: BLE001 - the user's class, which may even exit
        return type(thing).__qualname__


def message_of(error: BaseException) -> str:
    """Return what *error* says, whatever its class does."""
    try:
        return str(error)
    except BaseException as problem:  # noqa: BLE001 - the user's class, which may even exit
        return f"(its message cannot be had: {type(problem).__qualname__})"


def describe(error: BaseException, attempt: int, worker: str) -> Json:
    """Return the record of a failed attempt that is kept with the job."""
    record = {
        "attempt": attempt,
        "at": datetime.now(UTC).isoformat(),
        "error": _storable(type(error).__qualname__, MAX_MESSAGE),
        "message": _storable(message_of(error), MAX_MESSAGE),
        "traceback": _storable(traceback_of(error), MAX_TRACEBACK),
        "worker": worker,
    }
    return json.dumps(record)


def without_our_frames(error: BaseException) -> BaseException:
    """Return *error* with a traceback that begins in the job."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_globals.get("__name__", "")):
        trace = trace.tb_next
    if trace is not None:
        BaseException.with_traceback(error, trace)  # whatever the user's class makes of it
    return error


def _is_ours(module: str) -> bool:
    return module.startswith(("asyncjobs.", "concurrent.futures."))


def traceback_of(error: BaseException) -> str:
    """Return the traceback of *error*, of any class of the user's."""
    try:
        return "".join(traceback.format_exception(error))
    except BaseException as problem:  # noqa: BLE001 - the user's class, or causes without end
        return f"(its traceback cannot be had: {type(problem).__qualname__})"


def _storable(text: str, most: int) -> str:
    # Shortened before, because a text may be huge, and after, because escapes are longer.
    return _shorten(made_storable(_shorten(text, most)), most)


def _shorten(text: str, most: int) -> str:
    # The ends say most.
    if len(text) <= most:
        return text
    return (
        f"{text[: most // 4]}\n… {len(text) - most} characters left out …\n{text[-most * 3 // 4 :]}"
    )


def _first(own: Any, groups: Any) -> Any:
    return groups if own is None else own
