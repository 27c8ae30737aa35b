"""What a worker looks at without being told: the safety net under NOTIFY and wake-ups."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncjobs.logs import FoldingLog
    from asyncjobs.worker.cancellations import Cancellations
    from asyncjobs.worker.claimer import Claimer
    from asyncjobs.worker.executor import Executor

LOOK = 0.25
"""Seconds between two looks at a buffer that may have become stale."""


class Ticker:
    """Looks for jobs every *sleep_delay* seconds, and more often at what the worker holds."""

    def __init__(
        self,
        sleep_delay: float,
        claimer: Claimer,
        executor: Executor,
        cancellations: Cancellations,
        log: FoldingLog,
    ) -> None:
        self._sleep_delay, self._claimer, self._log = sleep_delay, claimer, log
        self._executor, self._cancellations = executor, cancellations

    async def run(self) -> None:
        """Tick until cancelled."""
        elapsed = 0.0
        pause = min(LOOK, self._sleep_delay)
        while True:
            await asyncio.sleep(pause)
            self._executor.watch()
            self._log.tick()
            self._cancellations.tick()
            elapsed += pause
            if elapsed >= self._sleep_delay:
                elapsed = 0.0
                self._claimer.look()
            elif self._executor.buffered:
                self._claimer.wake()
