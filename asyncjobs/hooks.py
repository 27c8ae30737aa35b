"""Functions that run around jobs: hooks at fixed points, and middleware around everything.

`JobManager.hooks` holds those of all jobs of a manager, `Job.hooks` those of one job. Each is
a plain function, registered by a decorator; hooks may be ``def`` or ``async def``::

    @jobs.hooks.after_failure
    async def tell(job: JobContext, error: BaseException) -> None: ...

    @send_mail.hooks.middleware
    async def timed(job: JobContext, perform: Perform) -> Any:
        began = time.monotonic()
        try:
            return await perform(job)
        finally:
            print(job.name, time.monotonic() - began)

Hooks run in the order in which they were registered, the manager's before the job's.
Middleware nests likewise: the manager's first is the outermost. They are looked up once for
each job when a worker starts its first attempt, so register them at import.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from asyncjobs.context import JobContext
    from asyncjobs.scheduled import ScheduledJob
    from asyncjobs.types import NewJob

Perform: TypeAlias = "Callable[[JobContext], Awaitable[Any]]"
"""Runs the rest: the next middleware, or the job itself; returns what the job returns."""
Middleware: TypeAlias = "Callable[[JobContext, Perform], Awaitable[Any]]"
"""Runs around an attempt. What it raises is what the attempt raised."""
Hook: TypeAlias = "Callable[[JobContext], Awaitable[None] | None]"
ResultHook: TypeAlias = "Callable[[JobContext, Any], Awaitable[None] | None]"
"""Is told the job's result."""
ErrorHook: TypeAlias = "Callable[[JobContext, BaseException], Awaitable[None] | None]"
"""Is told why the attempt failed."""
OutcomeHook: TypeAlias = "Callable[[JobContext, AttemptEnd], None]"
ProcessHook: TypeAlias = "Callable[[JobContext], None]"
EnqueueHook: TypeAlias = "Callable[[NewJob], Awaitable[None] | None]"
"""Is told what is about to be stored. What it raises, `later` raises, and nothing is stored."""
Store: TypeAlias = "Callable[[Sequence[NewJob]], Awaitable[list[ScheduledJob[Any]]]]"
EnqueueMiddleware: TypeAlias = (
    "Callable[[Sequence[NewJob], Store], Awaitable[list[ScheduledJob[Any]]]]"
)
"""Runs around the storing of one call, or of all calls of one `later.many`. It may store rows
changed by ``_replace``, but not more or fewer of them."""

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", bound="Hook")
R = TypeVar("R", bound="ResultHook")
E = TypeVar("E", bound="ErrorHook")
U = TypeVar("U", bound="OutcomeHook")
P = TypeVar("P", bound="ProcessHook")
M = TypeVar("M", bound="Middleware")
Q = TypeVar("Q", bound="EnqueueHook")
S = TypeVar("S", bound="EnqueueMiddleware")


OutcomeWord: TypeAlias = Literal[
    "succeeded", "failed", "retried", "snoozed", "cancelled", "expired", "returned", "lost"
]
"""`failed` is for good; `retried` failed, and is tried again; `returned` went back to the queue
at no cost; `lost` is another worker's, and nothing is recorded."""


class AttemptEnd(NamedTuple):
    """What became of an attempt, as it is recorded."""

    word: OutcomeWord
    error: BaseException | None = None
    """Why it failed, or expired."""
    delay: float = 0.0
    """Seconds until the next attempt."""


class Hooks:
    """What runs around the jobs of a manager, or around one job. See the module."""

    def __init__(self) -> None:
        self.of: dict[str, list[Callable[..., Any]]] = {}
        """The functions by the name of their decorator here."""
        self.watch_enqueue = False
        """Whether any of them runs when calls are stored."""

    def before_perform(self, hook: H) -> H:
        """Call *hook* with the JobContext before each attempt; what it raises fails that."""
        return self._add("before_perform", hook)

    def after_perform(self, hook: H) -> H:
        """Call *hook* with the JobContext after each attempt that ran to its end, however."""
        return self._add("after_perform", hook)

    def after_success(self, hook: R) -> R:
        """Call *hook* with the JobContext and the result after an attempt that succeeded.

        Before that is recorded: after a crash in between it is called again.
        """
        return self._add("after_success", hook)

    def after_failure(self, hook: E) -> E:
        """Call *hook* with the JobContext and the error after each attempt that failed."""
        return self._add("after_failure", hook)

    def on_discard(self, hook: E) -> E:
        """Call *hook* with the JobContext and the last error when a job is given up.

        That is when it becomes `failed`, or when it expired.
        """
        return self._add("on_discard", hook)

    def on_outcome(self, hook: U) -> U:
        """Call *hook* with the JobContext and an `AttemptEnd` when it is decided how one ended.

        Once for each attempt that this process lives to decide of: also for one that was given
        back or lost, that never began, or whose thread outlasts it. A plain ``def`` that
        returns at once.
        """
        return self._add("on_outcome", hook, is_async=False)

    def enter_process(self, hook: P) -> P:
        """Call *hook* with the JobContext in the process of a job with ``process=True``.

        Before each attempt, in the job's own context. It must be a function that can be
        imported; what it raises fails the attempt.
        """
        if "<" in getattr(hook, "__qualname__", "<"):
            raise ConfigError(f"enter_process needs a function that can be imported, got {hook!r}")
        return self._add("enter_process", hook, is_async=False)

    def middleware(self, function: M) -> M:
        """Run *function*, a `Middleware`, around each attempt."""
        return self._add("middleware", function, is_async=True)

    def on_enqueue(self, hook: Q) -> Q:
        """Call *hook* with each NewJob before it is stored."""
        return self._add("on_enqueue", hook)

    def enqueue_middleware(self, function: S) -> S:
        """Run *function*, an `EnqueueMiddleware`, around each storing."""
        return self._add("enqueue_middleware", function, is_async=True)

    def _add(self, name: str, function: F, *, is_async: bool | None = None) -> F:
        if not callable(function):
            raise ConfigError(f"{name} takes a function, got {function!r}")
        if is_async not in {None, inspect.iscoroutinefunction(inspect.unwrap(function))}:
            kind = "an async def" if is_async else "a plain def"
            raise ConfigError(f"{name} must be {kind}, got {function!r}")
        self.of.setdefault(name, []).append(function)
        self.watch_enqueue = self.watch_enqueue or name in AroundEnqueue._fields
        return function


class Around(NamedTuple):
    """What runs around the attempts of one job."""

    before_perform: tuple[Hook, ...]
    after_perform: tuple[Hook, ...]
    after_success: tuple[ResultHook, ...]
    after_failure: tuple[ErrorHook, ...]
    on_discard: tuple[ErrorHook, ...]
    on_outcome: tuple[OutcomeHook, ...]
    enter_process: tuple[ProcessHook, ...]
    middleware: tuple[Middleware, ...]


class AroundEnqueue(NamedTuple):
    """What runs around the storing of one job's calls."""

    on_enqueue: tuple[EnqueueHook, ...]
    enqueue_middleware: tuple[EnqueueMiddleware, ...]


def around(*holders: Hooks) -> Around | None:
    """Return what runs around an attempt by *holders*, the outermost first; None if nothing."""
    found = [collected(name, holders) for name in Around._fields]
    return Around(*found) if any(found) else None


def around_enqueue(*holders: Hooks) -> AroundEnqueue:
    """Return what runs around storing by *holders*, the outermost first."""
    return AroundEnqueue(*[collected(name, holders) for name in AroundEnqueue._fields])


def collected(name: str, holders: Sequence[Hooks]) -> tuple[Any, ...]:
    """Return the functions of *name* of all *holders*."""
    return tuple(function for holder in holders for function in holder.of.get(name, ()))


async def call(hook: Callable[..., Awaitable[None] | None], *args: object) -> None:
    """Call a hook, and wait for it if it is an ``async def``."""
    answer = hook(*args)
    if inspect.isawaitable(answer):
        await answer


def wrapped(middleware: Sequence[Middleware], innermost: Perform) -> Perform:
    """Return *innermost* inside of all *middleware*, the first of which is the outermost."""
    perform = innermost
    for function in reversed(middleware):
        perform = _bound(function, perform)
    return perform


def _bound(function: Middleware, perform: Perform) -> Perform:
    async def performing(job: JobContext) -> Any:
        return await function(job, perform)

    return performing
