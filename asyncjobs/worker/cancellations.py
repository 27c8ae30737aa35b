"""Hears of jobs that are to be cancelled: within a second, whether signals arrive or not.

What is wished of the worker itself comes the same way, by a signal or the next heartbeat.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import AsyncJobsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Heartbeat, Signal
    from asyncjobs.worker.claimer import Claimer
    from asyncjobs.worker.executor import Executor

INTERVAL = 0.75
"""Seconds between two looks while a job runs and no signals are known to arrive. The worker
ticks four times a second, so a cancellation is seen within one. A look is a heartbeat."""


class Cancellations:
    """Asks the storage which running jobs of a worker are to be cancelled."""

    def __init__(
        self,
        storage: Storage,
        claimer: Claimer,
        executor: Executor,
        log: Any,
        *,
        on_answer: Callable[[int, Heartbeat, float], None],
    ) -> None:
        self._storage, self._claimer, self._executor = storage, claimer, executor
        self._log, self._on_answer = log, on_answer
        self._hears = False
        self._looked_at = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._looks_again = False

    def on_signal(self, signal: Signal) -> None:
        """Look if *signal* speaks of us or ours, or of something that we have missed."""
        self._hears = signal.proven or (self._hears and not signal.missed)
        ours = signal.cancel and self._executor.holds().intersection(signal.cancel)
        if signal.missed or ours or self._claimer.worker in signal.workers:
            self._look_soon()

    def tick(self) -> None:
        """Look if nothing else would tell; a heartbeat by itself comes every few seconds."""
        is_due = time.monotonic() >= self._looked_at + INTERVAL
        if is_due and not self._hears and self._executor.running:
            self._look_soon()

    def _look_soon(self) -> None:
        if self._looking is not None:
            self._looks_again = True  # the answer that is awaited may not know of it
            return
        self._looked_at = time.monotonic()
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        # Whoever may connect may notify: the table says whether it is true.
        worker, asked_at = self._claimer.worker, time.monotonic()
        try:
            answer = await self._storage.heartbeat(worker)
        except AsyncJobsError as error:  # the next heartbeat asks again
            self._log.warning("heartbeat.failed", error=str(error))
        else:
            self._on_answer(worker, answer, asked_at)
        finally:
            self._looking = None
            if self._looks_again:
                self._looks_again = False
                self._look_soon()
