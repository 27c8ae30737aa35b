"""A job and a call of it.

A `Job` is what the decorator makes of a function. Calling it makes a `JobCall`, which runs
when it is awaited and is stored when it is given to `later`.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from asyncjobs.codec import ArgumentCodec
from asyncjobs.dependencies import Dependencies, injected_names
from asyncjobs.errors import ConfigError, RecurrenceError
from asyncjobs.hooks import Hooks
from asyncjobs.limits import KeyMaker
from asyncjobs.result_codec import ResultCodec
from asyncjobs.storable import is_storable
from asyncjobs.types import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Mapping

    from asyncjobs.definition import JobOptions
    from asyncjobs.types import Json

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Job(Generic[P, R_co]):
    """A function that can be run later. Made by ``@jobs.job``; calling it makes a call."""

    def __init__(self, name: str, function: Callable[P, Any], options: JobOptions) -> None:
        self.name = name
        self.options = options
        self.extras = options.extras
        self.hooks = Hooks()
        """What runs around this job, inside of the manager's."""
        injected = injected_names(function)
        self.codec = ArgumentCodec(name, function, injected)
        self.returns = ResultCodec(name, function)
        self.dependencies = Dependencies(name, function, injected) if injected else None
        self.limit = options.limit(name)
        key, signature = options.concurrency_key, self.codec.signature
        self.key = None if key is None else KeyMaker(name, key, signature)
        self.unique = options.unique_rule
        if self.unique is not None:
            self.unique.check(name, self.codec.signature.parameters)
        self._function = function
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", name)
        self.__qualname__ = getattr(function, "__qualname__", name)
        self.__module__ = function.__module__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> JobCall[R_co]:
        """Return a call, to be awaited or given to `later`."""
        return JobCall(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<Job {self.name!r}>"

    @property
    def runs_in_thread(self) -> bool:
        """Whether the function is a plain ``def``."""
        return False

    @property
    def function(self) -> Callable[P, Any]:
        """The undecorated function."""
        return self._function

    @property
    def location(self) -> str:
        """Where the function is defined."""
        code = getattr(inspect.unwrap(self._function), "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        return f"{self.__module__}.{self.__qualname__}{where}"

    async def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R_co:
        """Run the function here and now, with its dependencies."""
        if self.dependencies is None:
            return await self._run(args, kwargs)
        arguments = self.codec.signature.bind(*args, **kwargs).arguments
        async with AsyncExitStack() as stack:
            found = await self.dependencies.resolve(arguments, stack)
            return await self._run((), {**arguments, **found})

    async def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R_co:
        raise NotImplementedError


class AsyncJob(Job[P, R_co]):
    """A job that is an ``async def``."""

    @property
    def perform(self) -> Callable[P, Coroutine[Any, Any, R_co]]:
        """The undecorated function."""
        return self._function

    async def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R_co:
        result: R_co = await self._function(*args, **kwargs)
        return result


class ThreadJob(Job[P, R_co]):
    """A job that is a plain ``def``; it runs in a thread, so that it blocks nobody."""

    @property
    def runs_in_thread(self) -> bool:
        """Whether the function is a plain ``def``."""
        return True

    @property
    def perform(self) -> Callable[P, R_co]:
        """The undecorated function."""
        return self._function

    async def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R_co:
        function: Callable[..., R_co] = self._function
        result = await asyncio.to_thread(function, *args, **kwargs)
        refuse_coroutine(self, result)
        return result


def refuse_coroutine(job: Job[..., Any], result: object) -> None:
    """Raise TypeError if *result* of a job in a thread is a coroutine, which nobody would run."""
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f"{job.location} is a def that returns a coroutine: make it an async def")


def make_job(name: str | None, function: Callable[..., Any], options: JobOptions) -> Job[..., Any]:
    """Return *function* as a job named *name*, or as the function is.

    Raises ConfigError if it is no function, or has parameters that JSON cannot hold;
    RecurrenceError if it is to recur and needs arguments.
    """
    if isinstance(function, staticmethod):
        function = function.__func__
    is_named = callable(function) and hasattr(function, "__name__")
    if not is_named or isinstance(function, type | Job):
        raise ConfigError(f"a job is a function, got {function!r}")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(f"a job cannot be a generator: {function!r}")
    own_name = name if name is not None else getattr(function, "__name__", "")
    if not own_name or not is_storable(own_name):
        raise ConfigError(f"a job needs a name, got {own_name!r} for {function!r}")
    is_async = inspect.iscoroutinefunction(function)
    if options.process:
        _check_process(function, is_async=is_async)
    kind: type[Job[..., Any]] = AsyncJob if is_async else ThreadJob
    job = kind(own_name, function, options)
    job.codec.prepare()
    if options.retain is not None:
        job.returns.prepare()
    if options.recurrence is not None:
        _check_recurring(job)
    return job


def _check_process(function: Callable[..., Any], *, is_async: bool) -> None:
    if is_async:
        raise ConfigError(f"process=True is for a plain def, got the async def {function!r}")
    if "<" in function.__qualname__:
        raise ConfigError(f"process=True needs a function that can be imported, got {function!r}")
    if injected_names(function):
        raise ConfigError(f"process=True: dependencies cannot reach a process, as in {function!r}")


def _check_recurring(job: Job[..., Any]) -> None:
    try:
        job.codec.signature.bind()
    except TypeError as error:
        raise RecurrenceError(
            f"the job {job.name!r} cannot recur by itself, because it needs arguments: {error}; "
            "give them defaults, or schedule it by later(job(…), cron=…)"
        ) from None


class JobCall(Generic[R_co]):
    """A job and its arguments: await it to run it now, or give it to `later`.

    One that is dropped unused warns, as a coroutine does.
    """

    __slots__ = ("_used", "args", "job", "kwargs")

    def __init__(
        self, job: Job[..., R_co], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self.job, self.args, self.kwargs = job, args, kwargs
        self._used = False

    def __await__(self) -> Generator[Any, Any, R_co]:
        """Run the job here and now, in this task."""
        self._used = True
        return self.job.run(self.args, self.kwargs).__await__()

    def take(self) -> JobCall[R_co]:
        """Return the call, which counts as used from now on, whatever becomes of it."""
        self._used = True
        return self

    def encode(self) -> Json:
        """Return the arguments as they are stored. Raises ArgumentError."""
        return self.job.codec.encode(self.args, self.kwargs)

    def __repr__(self) -> str:
        return f"<JobCall {self.job.name}>"

    def __del__(self) -> None:
        if not self._used:
            warnings.warn(
                f"the call {self.job.name}(…) was neither awaited nor scheduled: "
                "write `await later(call)`",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


def limit_of(job: Job[..., Any]) -> Limit:
    """Return by what the lanes of *job* let in; with a key of one call alone, one at a time."""
    return job.limit or Limit(f"job:{job.name}", 1)


def lane_of(job: Job[..., Any], args: Json) -> str | None:
    """Return the lane of its own that the definition of *job* gives stored *args*; None for none.

    Raises ConcurrencyKeyError; StoredArgumentsError if they do not fit.
    """
    if job.key is None:
        return None if job.limit is None else f"job:{job.name}"
    # As the job gets them: of 7 for a float the key is that of 7.0, whoever makes it and when.
    key = job.key.make(job.codec.decode(args) if job.key.needs_arguments else {})
    return None if key is None else f"key:{key}"
