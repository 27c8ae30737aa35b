"""What a running job can ask about itself."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from asyncjobs.logs import get_logger


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
    max_runtime: float
    """Seconds from the start of this attempt until it is cancelled."""
    logger: Any = None
    _began: float = field(default_factory=time.time)

    @cached_property
    def deadline(self) -> datetime:
        """When max_runtime ends, by this machine's clock."""
        return datetime.fromtimestamp(self._began + self.max_runtime, UTC)

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
