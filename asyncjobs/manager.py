"""`JobManager`: adapters, queues, worker groups and jobs of one application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, overload

from asyncjobs.config import WorkerGroup, explains_options
from asyncjobs.errors import (
    ConfigError,
    UnknownAdapterError,
    UnknownOptionError,
    UnknownQueueError,
)
from asyncjobs.fleet import run_embedded, run_groups
from asyncjobs.job import AsyncJob, Backoff, Job, JobOptions, ThreadJob, make_job
from asyncjobs.logs import get_logger
from asyncjobs.registry import JobRegistry
from asyncjobs.scheduler import Scheduler
from asyncjobs.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from asyncjobs.storage.protocol import Storage

P = ParamSpec("P")
R = TypeVar("R")

MAX_QUEUE_NAMES = 5_000
"""Bytes of all names together: a notification that lists them has to fit in 8 000."""
OPTIONS = (
    "name", "queue", "priority", "max_attempts", "backoff", "jitter", "max_runtime",
    "retry_on_timeout", "delete_successful", "delete_failed",
)  # fmt: skip


class JobDecorator(Protocol):
    """Makes a job of a function: of an ``async def``, or of a ``def`` that runs in a thread."""

    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncJob[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> ThreadJob[P, R]: ...


@explains_options
class JobManager:
    """Holds what belongs together: where jobs are kept, which queues there are, who works.

    *adapters* are storages by name, *queues* the names that jobs may use, *workers* the
    groups that `asyncjobs work` and the lifespan run. *logger* is a structlog logger.

    Raises ConfigError for anything that cannot be.
    """

    def __init__(
        self,
        *,
        adapters: Mapping[str, Storage],
        queues: Sequence[str] = ("default",),
        workers: Sequence[WorkerGroup] = (),
        logger: Any = None,
    ) -> None:
        if not isinstance(adapters, Mapping):
            raise ConfigError('adapters must be storages by name: {"postgres": PostgresAdapter()}')
        if isinstance(queues, str):
            raise ConfigError(f"queues must be a list of names, got the text {queues!r}")
        self.adapters = dict(adapters)
        self.queues = tuple(queues)
        self.workers = tuple(workers)
        self.registry = JobRegistry()
        self._logger = logger
        self._schedulers: list[Scheduler] = []
        self._stack = contextlib.AsyncExitStack()
        self._entered = 0
        self._entering = asyncio.Lock()
        _check(self)

    @overload
    def job(  # type: ignore[overload-overlap] # the first that fits counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncJob[P, R]: ...
    @overload
    def job(self, function: Callable[P, R], /) -> ThreadJob[P, R]: ...
    @overload
    def job(
        self,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 50,
        max_attempts: int | None = None,
        backoff: Backoff | None = None,
        jitter: float = 0.0,
        max_runtime: float | None = None,
        retry_on_timeout: bool = False,
        delete_successful: bool | None = None,
        delete_failed: bool | None = None,
    ) -> JobDecorator: ...

    def job(  # type: ignore[misc] # mypy does not see that **given takes the options
        self, function: Callable[..., Any] | None = None, /, **given: Any
    ) -> Any:
        """Make a job of a function, as a decorator.

        The job is named *name*, or as the function is; stored jobs are found by it, so keep
        it. Lower *priority* runs first. After *max_attempts* the job is `failed`; *backoff*
        maps (attempt, error) to the seconds until the next attempt, or None to stop, and is
        ``attempt ** 4`` s, at most 7 days, if not given; *jitter* adds up to this share at
        random. After *max_runtime* seconds the job is cancelled, and fails unless
        *retry_on_timeout*. *delete_successful* and *delete_failed* say whether the row goes
        when the job ends. What is None here, the worker group decides.

        Raises UnknownQueueError, UnknownOptionError, DuplicateJobError, ConfigError.
        """
        name = given.pop("name", None)
        for option in given:
            if option not in OPTIONS:
                raise UnknownOptionError(option, OPTIONS)
        options = JobOptions(**given)
        if options.queue not in self.queues:
            raise UnknownQueueError(options.queue, self.queues)

        def decorate(function: Callable[..., Any]) -> Job[..., Any]:
            job = make_job(name, function, options)
            self.registry.add(job)
            return job

        return decorate if function is None else decorate(function)

    def create_scheduler(self, *, adapter: str) -> Scheduler:
        """Return what stores calls in the adapter named *adapter*; call it ``later``."""
        scheduler = Scheduler(self._adapter(adapter), self.registry, self.queues)
        self._schedulers.append(scheduler)
        return scheduler

    async def __aenter__(self) -> Self:
        """Open the adapters, to schedule. Entering again is harmless."""
        async with self._entering:
            if self._entered == 0:
                async with contextlib.AsyncExitStack() as stack:
                    for storage in self.adapters.values():
                        await storage.open()
                        stack.push_async_callback(storage.close)
                    self._stack = stack.pop_all()
            self._entered += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Store what is still being gathered, and close the adapters."""
        self._entered -= 1
        if self._entered == 0:
            for scheduler in self._schedulers:
                await scheduler.drain()
            await self._stack.aclose()

    def lifespan(
        self,
        inner: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None,
        *,
        work: bool = True,
    ) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
        """Return a lifespan for ``FastAPI(lifespan=…)`` or ``Starlette(lifespan=…)``.

        It opens the adapters and, with *work*, runs one worker of every group inside the
        app's process. *inner* is the app's own lifespan: it runs inside, so it can schedule,
        and what it yields is passed on. If the database or a worker does not start, the app
        does not start.
        """

        @contextlib.asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            async with self, contextlib.AsyncExitStack() as stack:
                if work:
                    makers = [
                        partial(self._worker, index, 0, "embedded.") for index in self._at_work()
                    ]
                    await stack.enter_async_context(run_embedded(makers, self.logger))
                state = None
                if inner is not None:
                    state = await stack.enter_async_context(inner(app))
                yield state

        return lifespan

    async def migrate(self) -> dict[str, list[str]]:
        """Bring every adapter's storage to this version; return the steps by adapter."""
        return {name: await storage.migrate() for name, storage in self.adapters.items()}

    async def work(self, stop: asyncio.Event | None = None) -> None:
        """Run one worker of every group in this process until *stop* is set.

        Then, and when cancelled, it ends as `Worker.run` says.
        """
        async with self:
            await run_groups(self._workers(), stop or asyncio.Event())

    async def workoff(self, on_progress: Callable[[int], None] | None = None) -> int:
        """Run everything that is eligible in this process; return how many attempts that took.

        *on_progress* is called now and then with the number so far.
        """
        async with self:
            total = 0
            while True:  # the jobs of one group may have scheduled some for another
                workers = self._workers()
                progress = _after(total, on_progress)
                await run_groups(workers, asyncio.Event(), burst=True, on_progress=progress)
                done = sum(worker.done for worker in workers)
                total += done
                if not done or len(workers) == 1:
                    return total

    async def run_worker(
        self,
        index: int,
        *,
        number: int = 0,
        stop: asyncio.Event | None = None,
        burst: bool = False,
    ) -> None:
        """Run the *number*-th worker of group *index*, both from 0, in this process.

        It works until *stop* is set, or with *burst* until nothing is eligible. Raises
        ConfigError if there is no such group.
        """
        if not 0 <= index < len(self.workers):
            most = len(self.workers) - 1
            raise ConfigError(f"there is no worker group {index}: they go from 0 to {most}")
        async with self:
            await self._worker(index, number).run(stop or asyncio.Event(), burst=burst)

    async def clear(self, adapter: str | None = None) -> int:
        """Remove all jobs, of one adapter or of all, and return how many."""
        names = self.adapters if adapter is None else {adapter: self._adapter(adapter)}
        async with self:
            return sum([await self._adapter(name).clear() for name in names])

    @property
    def logger(self) -> Any:
        """The logger that was given, or this package's."""
        return get_logger() if self._logger is None else self._logger

    def _adapter(self, name: str) -> Storage:
        if name not in self.adapters:
            raise UnknownAdapterError(name, self.adapters)
        return self.adapters[name]

    def _workers(self) -> list[Worker]:
        return [self._worker(index, 0) for index in self._at_work()]

    def _at_work(self) -> list[int]:
        return [index for index, group in enumerate(self.workers) if group.count]

    def _worker(self, index: int, number: int, where: str = "") -> Worker:
        group = self.workers[index]
        return Worker(
            self.adapters[group.adapter],
            self.registry,
            group,
            group.queues(self.queues),
            name=f"{where}{group.label}.{index}.{number}",
            log=self.logger,
        )


def _after(before: int, on_progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
    return None if on_progress is None else lambda count: on_progress(before + count)


def _check(manager: JobManager) -> None:
    if not manager.adapters:
        raise ConfigError("a JobManager needs at least one adapter")
    for name, storage in manager.adapters.items():
        is_storage = hasattr(storage, "enqueue") and not isinstance(storage, type)
        if not isinstance(name, str) or not is_storage:
            kind = type(storage).__name__  # not the value: a DSN may hold a password
            raise ConfigError(f"an adapter is a storage by name, got {name!r}: a {kind}")
    for name in manager.queues:
        if not isinstance(name, str) or not name or name == "*" or not name.isprintable():
            raise ConfigError(f'a queue is a printable name other than "*", got {name!r}')
    if not manager.queues or len(set(manager.queues)) < len(manager.queues):
        raise ConfigError(f"queues must be different names, at least one, got {manager.queues!r}")
    if (size := len("".join(manager.queues).encode())) > MAX_QUEUE_NAMES:
        raise ConfigError(
            f"the names of all queues must have at most {MAX_QUEUE_NAMES} bytes, got {size}"
        )
    for group in manager.workers:
        _check_group(manager, group)


def _check_group(manager: JobManager, group: WorkerGroup) -> None:
    if not isinstance(group, WorkerGroup):
        raise ConfigError(f"workers must be WorkerGroups, got {group!r}")
    if group.adapter not in manager.adapters:
        raise UnknownAdapterError(group.adapter, manager.adapters)
    for queue in group.queues(manager.queues):
        if queue not in manager.queues:
            raise UnknownQueueError(queue, manager.queues)
