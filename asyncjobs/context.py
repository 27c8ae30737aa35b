"""What a running job can ask about itself."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asyncjobs.logs import get_logger

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(eq=False)
class JobContext:
    """One attempt of one job, seen from inside."""

    id: int
    name: str
    queue: str
    attempt: int
    """The number of this attempt, from 1."""
    max_attempts: int
    """After this many failed attempts the job is `failed`."""
    run_at: datetime
    """When this attempt was due, by the database's clock."""
    deadline: datetime
    """When max_runtime ends, by this machine's clock."""
    logger: Any = None

    @cached_property
    def log(self) -> Any:
        """A structlog logger bound to this job's id, name, queue and attempt."""
        logger = get_logger() if self.logger is None else self.logger
        return logger.bind(job=self.name, id=self.id, queue=self.queue, attempt=self.attempt)


_current: ContextVar[JobContext] = ContextVar("asyncjobs_current_job")


def current_job() -> JobContext:
    """Return the job that is running here, in its coroutine or its thread.

    Raises LookupError outside of a job, and in a job that is awaited directly: that one has
    no row, no attempt and no deadline.
    """
    try:
        return _current.get()
    except LookupError:
        raise LookupError("no job is running here: current_job() works inside a job") from None


def enter_job(context: JobContext) -> None:
    """Make *context* the current job for the rest of this task."""
    _current.set(context)
