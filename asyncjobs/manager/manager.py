"""The manager itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, overload

import anyio

from asyncjobs.config import check_flag, explains_options
from asyncjobs.definition import DefinitionOptions, JobOptions
from asyncjobs.errors import (
    ConfigError,
    UnknownAdapterError,
    UnknownOptionError,
    UnknownQueueError,
)
from asyncjobs.job import AsyncJob, Job, ThreadJob, make_job
from asyncjobs.limits import Queue
from asyncjobs.logs import get_logger
from asyncjobs.manager.checks import check_lists, check_manager
from asyncjobs.manager.showing import Showing
from asyncjobs.manager.staff import Staff, WorkerLifespan
from asyncjobs.registry import JobRegistry
from asyncjobs.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager
    from contextvars import ContextVar
    from types import TracebackType

    from asyncjobs.config import WorkerGroup
    from asyncjobs.hooks import Hooks
    from asyncjobs.manager.decorator import JobDecorator
    from asyncjobs.redaction import Redact
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.worker.workload import Workload

P = ParamSpec("P")
R = TypeVar("R")


@explains_options
class JobManager(Showing):
    """Holds what belongs together: where jobs are kept, which queues there are, who works.

    *adapters* are storages by name, *queues* the names that jobs may use, or a `Queue` for one
    that is limited, *workers* the groups that `asyncjobs work` and the lifespan run. *logger*
    is a structlog logger.

    *carry* names what goes with each job from where it is scheduled to where it runs: context
    variables of structlog by name, and `contextvars.ContextVar` objects. *worker_lifespan* is
    a function that returns an async context manager; it is entered once in each process that
    works, around all jobs, and the mapping that it yields is ``current_job().state``.

    *redact* hides arguments from who looks at jobs by commands, dashboards and the log: names,
    or a function of a job's name and its arguments that returns what to show of them.

    Raises ConfigError for anything that cannot be.
    """

    def __init__(
        self,
        *,
        adapters: Mapping[str, Storage],
        queues: Sequence[str | Queue] = ("default",),
        workers: Sequence[WorkerGroup] = (),
        logger: Any = None,
        carry: Sequence[str | ContextVar[Any]] = (),
        worker_lifespan: WorkerLifespan | None = None,
        redact: Redact | None = None,
    ) -> None:
        if not isinstance(adapters, Mapping):
            raise ConfigError('adapters must be storages by name: {"postgres": PostgresAdapter()}')
        check_lists(queues, workers)
        self.adapters: dict[str, Storage] = dict(adapters)
        self.queues = tuple(queue.name if isinstance(queue, Queue) else queue for queue in queues)
        limits = {queue.name: queue.limit for queue in queues if isinstance(queue, Queue)}
        self.queue_limits = {name: limit for name, limit in limits.items() if limit is not None}
        self.workers = tuple(workers)
        self.registry = JobRegistry(carry, redact)
        self._staff = Staff(self, worker_lifespan)
        self.redact = () if redact is None else redact
        self._logger = logger
        self.schedulers: list[Scheduler] = []
        self._stack = contextlib.AsyncExitStack()
        self._entered = 0
        self._entering = anyio.Lock(fast_acquire=True)  # in one event loop after the other
        self._loop: asyncio.AbstractEventLoop | None = None
        check_manager(self)

    @overload
    def job(  # type: ignore[overload-overlap] # the first that fits counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncJob[P, R]: ...
    @overload
    def job(self, function: Callable[P, R], /) -> ThreadJob[P, R]: ...
    @overload
    def job(self, /, **options: Unpack[DefinitionOptions]) -> JobDecorator: ...

    def job(self, function: Callable[..., Any] | None = None, /, **given: Any) -> Any:
        """Make a job of a function, as a decorator. `DefinitionOptions` has the options.

        The job is named *name*, or as the function is; stored jobs are found by it, so keep
        it. Lower *priority* runs first. After *max_attempts* the job is `failed`; *backoff*
        maps (attempt, error) to the seconds until the next attempt, or None to stop, and is
        ``attempt ** 4`` s, at most 7 days, if not given; *jitter* adds up to this share at
        random. After *max_runtime* seconds (or timedelta) the job is cancelled, and fails unless
        *retry_on_timeout*. *delete_successful* and *delete_failed* say whether the row goes
        when the job ends. What is None here, the worker group decides. *tags* are words to find
        the jobs by. *concurrency* and *rate_limit* say how many may run at once and start in a
        time, over all workers, for each *concurrency_key* if there is one; with *strict_order*
        the others also wait for a retry.

        Raises UnknownQueueError, UnknownOptionError, DuplicateJobError, ConfigError.
        """
        for option in given:
            if option not in DefinitionOptions.__annotations__:
                raise UnknownOptionError(option, DefinitionOptions.__annotations__)
        name, options = given.pop("name", None), JobOptions(**given)
        if options.queue not in self.queues:
            raise UnknownQueueError(options.queue, self.queues)

        def decorate(function: Callable[..., Any]) -> Job[..., Any]:
            job = make_job(name, function, options)
            self.registry.add(job)
            return job

        return decorate if function is None else decorate(function)

    @property
    def hooks(self) -> Hooks:
        """What runs around every job of this manager."""
        return self.registry.hooks

    @property
    def dependency_overrides(self) -> dict[Callable[..., Any], Callable[..., Any]]:
        """What stands in for dependencies of jobs, by dependency; for tests, as in FastAPI."""
        return self.registry.dependency_overrides

    def create_scheduler(self, *, adapter: str) -> Scheduler:
        """Return what stores calls in the adapter named *adapter*; call it ``later``."""
        scheduler = Scheduler(
            self._adapter(adapter),
            self.registry,
            self.queues,
            adapter=adapter,
            queue_limits=self.queue_limits,
        )
        scheduler.use_loop(self._loop)
        self.schedulers.append(scheduler)
        return scheduler

    async def __aenter__(self) -> Self:
        """Open the adapters, to schedule. Entering again is harmless."""
        async with self._entering:
            if self._loop is None:
                async with contextlib.AsyncExitStack() as stack:
                    for storage in self.adapters.values():
                        await storage.open()
                        stack.push_async_callback(storage.close)
                    self._stack = stack.pop_all()
                self._loop = asyncio.get_running_loop()
                for scheduler in self.schedulers:
                    scheduler.use_loop(self._loop)
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
        async with self._entering:
            if self._entered == 0 and self._loop is not None:  # or somebody entered meanwhile
                await self._close()

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
        does not start. Raises ConfigError unless *work* is True or False.
        """
        check_flag("work", work)

        @contextlib.asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            async with self, contextlib.AsyncExitStack() as stack:
                if work:
                    await stack.enter_async_context(self._staff.embedded())
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

        Then, when cancelled, and once all its workers were told to end by `later.workers.stop`,
        it ends as `Worker.run` says.
        """
        await self._staff.work(stop or asyncio.Event())

    async def workoff(self, on_progress: Callable[[int], None] | None = None) -> int:
        """Run everything that is eligible in this process; return how many attempts that took.

        *on_progress* is called now and then with the number so far.
        """
        return await self._staff.workoff(on_progress)

    async def run_worker(
        self,
        index: int,
        *,
        number: int = 0,
        stop: asyncio.Event | None = None,
        burst: bool = False,
    ) -> bool:
        """Run the *number*-th worker of group *index*, both from 0, in this process.

        It works until *stop* is set, or with *burst* until nothing is eligible. Return whether
        it was told to end by `later.workers.stop`, so that it is not to be replaced. Raises
        ConfigError if there is no such group.
        """
        return await self._staff.run_one(index, number, stop or asyncio.Event(), burst=burst)

    async def clear(self, adapter: str | None = None) -> int:
        """Remove all jobs, of one adapter or of all, and return how many."""
        names = self.adapters if adapter is None else {adapter: self._adapter(adapter)}
        async with self:
            return sum([await self._adapter(name).clear() for name in names])

    def workloads(self) -> list[Workload]:
        """Return what the workers that run in this process do at this moment."""
        return self._staff.workloads()

    @property
    def logger(self) -> Any:
        """The logger that was given, or this package's."""
        return get_logger() if self._logger is None else self._logger

    async def _close(self) -> None:
        self._loop = None
        try:
            for scheduler in self.schedulers:
                await scheduler.close()
                scheduler.use_loop(None)
        finally:
            await self._stack.aclose()

    def _adapter(self, name: str) -> Storage:
        if name not in self.adapters:
            raise UnknownAdapterError(name, self.adapters)
        return self.adapters[name]
