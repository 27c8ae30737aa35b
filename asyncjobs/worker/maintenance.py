"""Keeps the tables tidy: removes what nobody needs any more, and looks after the indexes.

Every worker has this, and each task is done by one of them at a time: whoever takes its row
when it is due. See `asyncjobs.storage.maintenance`.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from asyncjobs.errors import StorageError
from asyncjobs.pruning import forget_lanes, in_batches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncjobs.storage.maintenance import Ailment
    from asyncjobs.storage.protocol import Storage

LOOK = 30.0
"""Seconds between two looks of one worker for what is due, more or less."""
MINUTE, FEW_MINUTES, HOUR = 60.0, 300.0, 3_600.0
"""Seconds after which tasks are due again."""
PAUSE = 0.1
"""Seconds between two such statements: whoever has much to remove leaves room for the jobs."""
LAST_WORD = 2.0
"""Seconds at shutdown to say that a task was not done to its end."""


class Result(NamedTuple):
    """What came of a task."""

    done: int = 0
    report: str | None = None
    problem: str | None = None


class Task(NamedTuple):
    """Something to do every so many seconds."""

    name: str
    every: float
    run: Callable[[], Awaitable[Result]]


class Maintenance:
    """The maintenance of one worker.

    With *retain*, in seconds, jobs in *queues* that ended so long ago, and do not say
    themselves how long to keep them, are removed. With *mends* tables and indexes are mended
    that need it; otherwise what they need is only said.
    """

    def __init__(
        self,
        storage: Storage,
        queues: Sequence[str],
        retain: float | None,
        log: Any,
        *,
        mends: bool,
    ) -> None:
        self._storage, self._queues, self._log, self._mends = storage, queues, log, mends
        self._retain = retain
        self._removing = [
            Task("prune retained jobs", MINUTE, self._prune_retained),
            Task("prune statistics", FEW_MINUTES, self._prune_statistics),
            Task("prune unique keys", FEW_MINUTES, self._prune_keys),
            Task("prune unused lanes", FEW_MINUTES, self._prune_lanes),
        ]
        if retain is not None:
            name = f"prune jobs of {', '.join(sorted(queues))} after {retain:g} s"
            self._removing.append(Task(name, MINUTE, self._prune_ended))
        self._mending = [Task("look after tables", HOUR, self._look_after_tables)]
        self.worker = 0
        """The registration to work for."""

    async def run(self) -> None:
        """Do what is due until cancelled."""
        async with anyio.create_task_group() as both:  # to mend an index may take long
            both.start_soon(self._keep_doing, self._removing)
            both.start_soon(self._keep_doing, self._mending)

    async def do_due(self) -> list[str]:
        """Do every task that is due and that nobody else does; return their names."""
        return [*await self._do_due(self._removing), *await self._do_due(self._mending)]

    async def _keep_doing(self, tasks: Sequence[Task]) -> None:
        while True:
            try:
                await self._do_due(tasks)
            except StorageError as error:
                self._log.warning("maintenance.failed", error=str(error))
            await asyncio.sleep(LOOK * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret

    async def _do_due(self, tasks: Sequence[Task]) -> list[str]:
        storage, known = self._storage.maintenance, {task.name: task for task in tasks}
        await storage.declare(list(known))
        done = []
        while name := await storage.begin(self.worker, list(known)):
            done.append(name)
            await self._do(known[name], self.worker)
        return done

    async def _do(self, task: Task, worker: int) -> None:
        result, every = Result(problem="It was cut off."), MINUTE
        try:
            result, every = await task.run(), task.every
        except StorageError as error:
            self._log.warning("maintenance.failed", task=task.name, error=str(error))
            result = Result(problem=str(error))
        finally:
            # Also when this worker ends: others need not wait until it is gone.
            await self._end(worker, task.name, every, result)
        if result.done:
            self._log.debug("maintenance.done", task=task.name, count=result.done)

    async def _end(self, worker: int, task: str, every: float, result: Result) -> None:
        try:
            with anyio.move_on_after(LAST_WORD, shield=True):
                await self._storage.maintenance.end(worker, task, every=every, **result._asdict())
        except StorageError as error:
            self._log.warning("maintenance.failed", task=task, error=str(error))

    async def _prune_retained(self) -> Result:
        return await _in_batches(self._storage.results.prune_retained)

    async def _prune_ended(self) -> Result:
        results, queues, retain = self._storage.results, self._queues, self._retain
        assert retain is not None
        return await _in_batches(lambda most: results.prune_ended(queues, retain, most))

    async def _prune_statistics(self) -> Result:
        await self._storage.statistics.prune()
        return Result()

    async def _prune_keys(self) -> Result:
        return await _in_batches(self._storage.maintenance.prune_keys)

    async def _prune_lanes(self) -> Result:
        return Result(await forget_lanes(self._storage, pause=PAUSE))

    async def _look_after_tables(self) -> Result:
        ailments = await self._storage.maintenance.ailments()
        if not ailments:
            return Result()
        if not self._mends:
            return Result(report=_advice(ailments))
        mended, problems = 0, []
        for ailment in ailments:
            self._log.info("maintenance.mending", what=ailment.what, remedy=ailment.remedy)
            try:
                await self._storage.maintenance.mend(ailment)
                mended += 1
            except StorageError as error:
                problems.append(f"{ailment.what} {error}")
        report = " ".join(ailment.what for ailment in ailments)
        return Result(mended, f"Mended: {report}" if mended else None, " ".join(problems) or None)


async def _in_batches(prune: Callable[[int], Awaitable[int]]) -> Result:
    return Result(await in_batches(prune, pause=PAUSE))


def _advice(ailments: Sequence[Ailment]) -> str:
    return " ".join(f"{ailment.what} To mend it: {ailment.remedy}" for ailment in ailments)
