"""What a running job can ask about itself."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

from asyncjobs.errors import ProgressError, TransactionError
from asyncjobs.logs import get_logger
from asyncjobs.types import told_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from asyncjobs.types import Json

C = TypeVar("C")
OnProgress: TypeAlias = "Callable[[int, int, float, str | None], None]"
"""(id, attempt, done, message)"""
OF_THIS_PROCESS = frozenset({"logger", "on_progress", "shield", "begin"})
"""What no other process can have of a `JobContext`."""


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
    """Seconds from the start of its function until it is cancelled; hooks and dependencies
    before it have as many for themselves."""
    began: float
    """When this attempt began: seconds since 1970, by this machine's clock."""
    logger: Any = None
    extra: Json | None = None
    """See `asyncjobs.types.Extras`."""
    on_progress: OnProgress | None = None
    """The worker's, to be told by `progress`."""
    shield: Callable[[float], AbstractAsyncContextManager[Any]] = nullcontext
    """What `shielded` does: nothing where nobody cancels."""
    worker: str = ""
    """The name of the worker that runs it."""
    begin: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None
    """Opens the attempt's own transaction; None where there can be none."""
    called: float = 0.0
    """When its function was called, if hooks or dependencies came before; 0.0 until then."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What the manager's ``worker_lifespan`` yielded in this worker."""
        return _state.get()

    def facts(self) -> dict[str, Any]:
        """Return what makes the same context in another process."""
        own = (each.name for each in fields(self) if each.name not in OF_THIS_PROCESS)
        return {name: getattr(self, name) for name in own}

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What `later` was given as *meta*."""
        found: dict[str, Any] = self._extra.get("meta", {})
        return found

    @cached_property
    def schedule(self) -> str | None:
        """The name of the schedule whose run this is; None for any other job."""
        found: dict[str, str] = self._extra.get("schedule", {})
        return found.get("name")

    @cached_property
    def tick(self) -> datetime | None:
        """The moment of the schedule that this run is for; None if somebody asked for it."""
        found: dict[str, str] = self._extra.get("schedule", {})
        tick = found.get("tick")
        return None if tick is None else datetime.fromisoformat(tick)

    @cached_property
    def _extra(self) -> dict[str, Any]:
        return told_in(self.extra)

    def progress(self, done: float, message: str | None = None) -> None:
        """Say how far this attempt is: *done* from 0 to 1, and perhaps in words.

        Costs next to nothing and waits for nothing, in a coroutine and in a thread alike:
        the newest word is stored a few times a second, and the last one always. Raises
        ProgressError for anything else than a number from 0 to 1 and a text.
        """
        is_number = isinstance(done, int | float) and not isinstance(done, bool)
        if not is_number or not 0 <= done <= 1:  # nan is not either
            raise ProgressError(f"got {done!r}")
        if message is not None and not isinstance(message, str):
            raise ProgressError(f"got {message!r} as the text")
        if self.on_progress is not None:
            # Plain, because what the classes of others do is for the job to meet, here.
            text = None if message is None else str.__str__(message)
            self.on_progress(self.id, self.attempt, float(done), text)

    def shielded(self, timeout: float = 30.0) -> AbstractAsyncContextManager[Any]:
        """Return a block, for ``async with``, that ends before the job is cancelled.

        A cancellation, a max_runtime that is over, and a shutdown wait for its end, for up to
        *timeout* seconds, a shutdown for at most 4; then the job is cancelled inside. When the
        worker has lost its lease nothing waits, because the job runs elsewhere already.
        """
        return self.shield(timeout)

    @property
    def deadline(self) -> datetime:
        """When max_runtime ends, by this machine's clock."""
        return datetime.fromtimestamp((self.called or self.began) + self.max_runtime, UTC)

    @cached_property
    def log(self) -> Any:
        """A structlog logger bound to `log_facts`."""
        logger = get_logger() if self.logger is None else self.logger
        return logger.bind(**self.log_facts)

    @cached_property
    def log_facts(self) -> dict[str, Any]:
        """What log lines of this attempt say of it: its job's name, id, queue and attempt, the
        worker, and what was carried here from where the job was scheduled.
        """
        own = {"job": self.name, "id": self.id, "queue": self.queue, "attempt": self.attempt}
        worker = {"worker": self.worker} if self.worker else {}
        carried: dict[str, Any] = self._extra.get("context") or {}
        return {**carried, **own, **worker}

    @overload
    def transaction(self) -> AbstractAsyncContextManager[asyncpg.Connection]: ...
    @overload
    def transaction(self, *, connection: C) -> AbstractAsyncContextManager[C]: ...

    def transaction(self, *, connection: Any = None) -> AbstractAsyncContextManager[Any]:
        """Return a block whose writes commit together with the job's success, or not at all.

        It gives a connection to the job's database, inside a transaction. Leaving the block
        commits; after that the job has succeeded, whatever its remaining code does. An
        exception rolls everything back and fails the attempt as usual, also when the job is
        done by another worker or was cancelled meanwhile: LeaseLostError, JobCancelledError.

        With *connection*, an asyncpg connection inside a transaction or an SQLAlchemy
        AsyncSession or AsyncConnection on asyncpg, the success is written into that one's
        transaction, which is to be committed right after the block.

        Raises TransactionError in a plain ``def``, inside another such block, and after a
        commit; ConnectionKindError; StorageUnavailableError.
        """
        if self.begin is None:
            raise TransactionError("a job has one if it is an async def; this is a plain def")
        return self.begin(connection)


class RunningJob(Protocol):
    """A job that runs here, before anybody has asked for its context."""

    @property
    def id(self) -> int:
        """Its row's."""
        ...

    @property
    def storage(self) -> object:
        """What holds the row; None where that is not here."""
        ...

    def context(self) -> JobContext:
        """Return what the job may know of itself: the same each time."""
        ...


_state: ContextVar[Mapping[str, Any]] = ContextVar("asyncjobs_worker_state", default={})  # noqa: B039 - nobody changes it
_current: ContextVar[RunningJob] = ContextVar("asyncjobs_current_job")


def current_job() -> JobContext:
    """Return the job that is running here, in its coroutine or its thread.

    Raises LookupError outside of a job, and in a job that is awaited directly: that one has
    no row, no attempt and no deadline.
    """
    try:
        running = _current.get()
    except LookupError:
        raise LookupError("no job is running here: current_job() works inside a job") from None
    return running.context()


def log_facts() -> dict[str, Any]:
    """Return `JobContext.log_facts` of the job that runs here; nothing outside of jobs."""
    found = _current.get(None)
    return {} if found is None else found.context().log_facts


def enter_job(running: RunningJob) -> None:
    """Make *running* the current job for the rest of this task."""
    _current.set(running)


def parent_in(storage: object) -> int | None:
    """Return the id of the job that runs here; None if none does, or one of another storage."""
    found = _current.get(None)
    return None if found is None or found.storage is not storage else found.id


def job_apart() -> str | None:
    """Return the name of the job that runs here, if in a process of its own; None otherwise."""
    found = _current.get(None)
    return found.context().name if found is not None and found.storage is None else None


@contextmanager
def state_for_jobs(state: Mapping[str, Any]) -> Iterator[None]:
    """Make *state* the `JobContext.state` of the jobs that are started from this context."""
    before = _state.get()
    _state.set(state)
    try:
        yield
    finally:
        _state.set(before)
