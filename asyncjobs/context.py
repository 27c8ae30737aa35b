"""What a running job can ask about itself."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asyncjobs.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncjobs.types import Json


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
    began: float
    """When this attempt began: seconds since 1970, by this machine's clock."""
    logger: Any = None
    extra: Json | None = None
    """See `asyncjobs.types.Extras`."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What the manager's ``worker_lifespan`` yielded in this worker."""
        return _state.get()

    def facts(self) -> dict[str, Any]:
        """Return what makes the same context in another process."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"logger": None}

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What `later` was given as *meta*."""
        found: dict[str, Any] = json.loads(self.extra).get("meta", {}) if self.extra else {}
        return found

    @cached_property
    def deadline(self) -> datetime:
        """When max_runtime ends, by this machine's clock."""
        return datetime.fromtimestamp(self.began + self.max_runtime, UTC)

    @cached_property
    def log(self) -> Any:
        """A structlog logger bound to this job's id, name, queue and attempt."""
        logger = get_logger() if self.logger is None else self.logger
        return logger.bind(job=self.name, id=self.id, queue=self.queue, attempt=self.attempt)


_state: ContextVar[Mapping[str, Any]] = ContextVar("asyncjobs_worker_state", default={})  # noqa: B039 - nobody changes it
_current: ContextVar[Callable[[], JobContext]] = ContextVar("asyncjobs_current_job")


def current_job() -> JobContext:
    """Return the job that is running here, in its coroutine or its thread.

    Raises LookupError outside of a job, and in a job that is awaited directly: that one has
    no row, no attempt and no deadline.
    """
    try:
        describe = _current.get()
    except LookupError:
        raise LookupError("no job is running here: current_job() works inside a job") from None
    return describe()


def enter_job(describe: Callable[[], JobContext]) -> None:
    """Make what *describe* returns the current job for the rest of this task.

    It is called only by jobs that ask, and returns the same object each time.
    """
    _current.set(describe)


def enter_state(state: Mapping[str, Any]) -> None:
    """Make *state* the `JobContext.state` of the jobs that are started from this context."""
    _state.set(state)
