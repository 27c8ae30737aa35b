"""The workers of a manager that run in this process."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.config import check_flag
from asyncjobs.context import state_for_jobs
from asyncjobs.errors import ConfigError
from asyncjobs.manager.checks import refuse_kill_stuck
from asyncjobs.placing import Placer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from asyncjobs.manager.manager import JobManager
    from asyncjobs.worker import Worker
    from asyncjobs.worker.workload import Workload

WorkerLifespan: TypeAlias = "Callable[[], AbstractAsyncContextManager[Mapping[str, Any] | None]]"

# What only workers need is imported by them: who only schedules pays nothing for it.
# ruff: noqa: PLC0415


class Staff:
    """Makes the workers of *manager*, and what they share, and runs them.

    *lifespan* is entered around all jobs of the process. Raises ConfigError if it is no function.
    """

    def __init__(self, manager: JobManager, lifespan: WorkerLifespan | None) -> None:
        if lifespan is not None and not callable(lifespan):
            raise ConfigError(
                "worker_lifespan must be a function that returns an async context manager, "
                f"got {lifespan!r}"
            )
        self._manager, self._lifespan = manager, lifespan
        self._made: weakref.WeakSet[Worker] = weakref.WeakSet()

    async def work(self, stop: asyncio.Event) -> None:
        """Run one worker of every group until *stop* is set."""
        from asyncjobs.fleet import run_groups

        async with self._process():
            await run_groups(self._all(), stop)

    async def workoff(self, on_progress: Callable[[int], None] | None) -> int:
        """Run everything that is eligible; return how many attempts that took."""
        from asyncjobs.fleet import run_groups

        async with self._process():
            total = 0
            while True:  # the jobs of one group may have scheduled some for another
                workers = self._all()
                progress = _after(total, on_progress)
                await run_groups(workers, asyncio.Event(), burst=True, on_progress=progress)
                done = sum(worker.done for worker in workers)
                total += done
                is_dismissed = any(worker.is_dismissed for worker in workers)
                if not done or is_dismissed or len(workers) == 1:
                    return total

    async def run_one(self, index: int, number: int, stop: asyncio.Event, *, burst: bool) -> bool:
        """Run the *number*-th worker of group *index*, and return whether it was dismissed.

        Raises ConfigError if there is no such group.
        """
        check_flag("burst", burst)
        groups = self._manager.workers
        if not 0 <= index < len(groups):
            most = len(groups) - 1
            raise ConfigError(f"there is no worker group {index}: they go from 0 to {most}")
        async with self._process():
            worker = self._make(index, number)
            await worker.run(stop, burst=burst)
        return worker.is_dismissed

    @contextlib.asynccontextmanager
    async def embedded(self) -> AsyncIterator[None]:
        """Run one worker of every group inside a web process, whose adapters are open."""
        from asyncjobs.fleet import run_embedded

        refuse_kill_stuck(self._manager.workers)
        async with self._working():
            makers = [partial(self._make, index, 0, "embedded.") for index in self._at_work()]
            async with run_embedded(makers, self._manager.logger):
                yield

    def workloads(self) -> list[Workload]:
        """Return what the workers do at this moment, by their names."""
        found = [worker.workload for worker in self._made]
        return sorted((each for each in found if each), key=lambda each: each.worker)

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[None]:
        from asyncjobs.worker.process import ended_if_stuck

        with ended_if_stuck():
            async with self._manager, self._working():
                yield

    @contextlib.asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        lifespan = contextlib.nullcontext() if self._lifespan is None else self._lifespan()
        async with lifespan as state:
            with state_for_jobs({} if state is None else state):
                yield

    def _all(self) -> list[Worker]:
        return [self._make(index, 0) for index in self._at_work()]

    def _at_work(self) -> list[int]:
        return [index for index, group in enumerate(self._manager.workers) if group.count]

    def _make(self, index: int, number: int, where: str = "") -> Worker:
        from asyncjobs.worker import Worker

        manager = self._manager
        group = manager.workers[index]
        worked = {each.adapter for each in manager.workers}
        first = next(name for name in manager.adapters if name in worked)
        placer = Placer(manager.registry, manager.queue_limits)
        worker = Worker(
            manager.adapters[group.adapter],
            manager.registry,
            group,
            group.queues(manager.queues),
            name=f"{where}{group.label}.{index}.{number}",
            log=manager.logger,
            known_queues=manager.queues,
            # Each declared schedule in one adapter only: the first that anybody works.
            declares=placer if group.adapter == first else None,
        )
        self._made.add(worker)
        return worker


def _after(before: int, on_progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
    return None if on_progress is None else lambda count: on_progress(before + count)
