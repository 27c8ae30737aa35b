"""Ends a worker that shall only run what is there: `asyncjobs workoff`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.worker.admitter import Admitter
    from asyncjobs.worker.claimer import Claimer
    from asyncjobs.worker.crontab import Crontab
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.pauses import Pauses
    from asyncjobs.worker.promoter import Promoter

LOOK = 0.02
DRAIN_TIMEOUT = 10.0


class Burst:
    """Looks, whenever a claim found less than it asked for, whether anything is left."""

    def __init__(
        self,
        storage: Storage,
        claimer: Claimer,
        executor: Executor,
        finisher: Finisher,
        *,
        promoter: Promoter,
        admitter: Admitter,
        pauses: Pauses,
        crontab: Crontab,
        queues: Sequence[str],
        log: Any,
    ) -> None:
        self._storage, self._queues, self._log = storage, list(queues), log
        self._claimer, self._executor, self._finisher = claimer, executor, finisher
        self._promoter, self._admitter = promoter, admitter
        self._pauses, self._crontab = pauses, crontab

    async def run(self, stop: asyncio.Event) -> None:
        """Set *stop* once nothing is eligible. What is future, paused or has to wait is not."""
        while True:
            await self._claimer.dry.wait()
            try:
                if self._executor.is_idle and await self._nothing_left():
                    stop.set()
                    return
            except StorageError as error:
                self._log.warning("workoff.delayed", error=str(error))
            await asyncio.sleep(LOOK)

    async def _nothing_left(self) -> bool:
        started = self._executor.started
        await self._finisher.drain(DRAIN_TIMEOUT)
        if (
            await self._promoter.settle()
            or await self._admitter.settle()
            or await self._crontab.look()
        ):
            return False
        self._claimer.dry.clear()
        self._claimer.look()
        await self._claimer.dry.wait()
        # A claim may leave out what it could reach only slowly; the table has the last word. No
        # claim runs meanwhile, and whatever ran since the looks above may have let others in.
        async with self._claimer.claiming:
            counts = await self._storage.counts()
            queues = self._pauses.open(self._queues)
            if any(counts.get((queue, JobState.AVAILABLE.value)) for queue in queues):
                return False
            is_idle = self._executor.is_idle and not len(self._finisher)
            return is_idle and self._executor.started == started
