"""Finds the jobs that are ours by the database's word but not by our own.

When the database does not answer a claim, it may have been carried out all the same: its
jobs would stay with this worker, which lives and is never rescued. The same holds for jobs
given back without an answer. A statement that was cut off may even take effect some time
later, so the worker looks more than once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError
from asyncjobs.types import Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.worker.claimer import Claimer
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher

DOUBT = 120.0
"""Seconds for which a statement that was not answered may still take effect: twice as long
as we wait for an answer."""


class Reconciler:
    """Gives back what a worker holds without knowing; does nothing unless there is doubt."""

    def __init__(self, storage: Storage, log: Any) -> None:
        self._storage, self._log = storage, log
        self._until = 0.0

    def doubt(self) -> None:
        """Note that a statement was not answered."""
        self._until = time.monotonic() + DOUBT

    async def run(self, claimer: Claimer, executor: Executor, finisher: Finisher) -> None:
        """Look once, if there is doubt."""
        if time.monotonic() >= self._until:
            return
        try:
            async with claimer.claiming:  # a claim under way is neither known nor lost
                await self._give_back(claimer.worker, executor, finisher)
        except StorageError as error:
            self.doubt()
            self._log.warning("reconcile.failed", error=str(error))

    async def _give_back(self, worker: int, executor: Executor, finisher: Finisher) -> None:
        # What is known is read first: a job that ends meanwhile is not taken for a lost one.
        known = executor.holds() | {outcome.id for outcome in finisher.unsent()}
        held = await self._storage.held(worker)
        lost = [(job, attempt) for job, attempt in held if job not in known]
        if not lost:
            return
        self._log.warning("claim.recovered", jobs=len(lost))
        # Counted, so that no statement that arrives late can mean the next attempt.
        outcomes = [Outcome(job, attempt, "available") for job, attempt in lost]
        await self._storage.finish(worker, outcomes)
