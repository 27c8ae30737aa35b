"""What spans and metrics say: OpenTelemetry's words for messaging, and ours beside them.

Source: https://opentelemetry.io/docs/specs/semconv/messaging/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.trace import StatusCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import Span

    from asyncjobs.context import JobContext
    from asyncjobs.types import NewJob

Attributes: TypeAlias = "dict[str, str | int | float | bool]"

NAME = "asyncjobs"
"""Who says it is that traces and measures."""
SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
QUEUE = "messaging.destination.name"
JOB_ID = "messaging.message.id"
COUNT = "messaging.batch.message_count"
ERROR_TYPE = "error.type"
JOB_NAME = "asyncjobs.job.name"
PRIORITY = "asyncjobs.job.priority"
IS_NEW = "asyncjobs.job.is_new"
"""False: an equal job was there already."""
ATTEMPT = "asyncjobs.job.attempt"
MAX_ATTEMPTS = "asyncjobs.job.max_attempts"
OUTCOME = "asyncjobs.job.outcome"
"""What became of an attempt: see `asyncjobs.hooks.AttemptEnd`."""
RETRY_DELAY = "asyncjobs.job.retry_delay"
"""Seconds until the next attempt."""
WAIT = "asyncjobs.job.wait"
"""Seconds from when the attempt was due, by the database's clock, until it began, by ours."""
SCHEDULE = "asyncjobs.schedule.name"

ENQUEUE: Attributes = {
    SYSTEM: NAME,
    OPERATION_NAME: "enqueue",
    OPERATION_TYPE: "send",
}
RUN: Attributes = {
    SYSTEM: NAME,
    OPERATION_NAME: "run",
    OPERATION_TYPE: "process",
}


def of_rows(rows: Sequence[NewJob]) -> Attributes:
    """Return what can be said of *rows* together: of one, or of a batch."""
    found: Attributes = dict(ENQUEUE)
    names, queues = {row.name for row in rows}, {row.queue for row in rows}
    if len(names) == 1:
        found[JOB_NAME] = rows[0].name
    if len(queues) == 1:
        found[QUEUE] = rows[0].queue
    if len(rows) == 1:
        found[PRIORITY] = rows[0].priority
    else:
        found[COUNT] = len(rows)
    return found


def of_attempt(job: JobContext) -> Attributes:
    """Return what is known of an attempt when it begins."""
    found: Attributes = {
        **RUN,
        QUEUE: job.queue,
        JOB_ID: str(job.id),
        JOB_NAME: job.name,
        ATTEMPT: job.attempt,
        MAX_ATTEMPTS: job.max_attempts,
    }
    if job.schedule is not None:
        found[SCHEDULE] = job.schedule
    return found


def type_of(error: BaseException) -> str:
    """Return the name by which traces and metrics call the class of *error*."""
    kind = type(error)
    own = kind.__module__ in {"builtins", "__main__"}
    return kind.__qualname__ if own else f"{kind.__module__}.{kind.__qualname__}"


def mark_failed(span: Span, error: BaseException) -> None:
    """Record that what *span* stands for failed by *error*."""
    name = type_of(error)
    span.set_attribute(ERROR_TYPE, name)
    span.set_status(StatusCode.ERROR, name)  # stands if the class cannot tell its message
    span.record_exception(error)
    span.set_status(StatusCode.ERROR, f"{name}: {error}")
