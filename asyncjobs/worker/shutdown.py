"""How a worker ends: its jobs first, then what they left to record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.worker.bookkeeper import Bookkeeper
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.lease import Lease

RECORD_TIMEOUT = 10.0
"""Seconds at shutdown to record what ended. What cannot be recorded is rescued and runs again."""


class Shutdown:
    """Winds one worker down: what runs has *timeout* seconds, or until somebody is in a hurry."""

    def __init__(
        self,
        executor: Executor,
        finisher: Finisher,
        bookkeeper: Bookkeeper,
        lease: Lease,
        log: Any,
        *,
        timeout: float,
        is_torn_down: Callable[[], bool],
    ) -> None:
        self._executor, self._finisher, self._bookkeeper = executor, finisher, bookkeeper
        self._lease, self._log, self._timeout = lease, log, timeout
        self._is_torn_down, self._force = is_torn_down, asyncio.Event()
        self.all_ended = False
        """Whether nothing runs here any more, and everything is recorded."""

    def hurry(self) -> None:
        """Cancel what runs at once."""
        self._force.set()

    async def run(self) -> None:
        """Wait for what runs, and record it; if something goes on running, so does the lease."""
        self._log.info("worker.stopping", running=len(self._executor.running))
        try:
            if self._is_torn_down():
                self._force.set()
            await self._end_jobs()
        except asyncio.CancelledError:
            # asyncio.run ends by cancelling every task, ours and those of the jobs, once.
            self._force.set()
            await self._end_jobs()
            raise
        finally:
            if not self.all_ended:
                self._lease.linger(self._executor.still_runs)

    async def _end_jobs(self) -> None:
        ended = await self._executor.wind_down(self._timeout, self._force)
        recorded = await self._finisher.drain(RECORD_TIMEOUT)
        self.all_ended = ended and recorded
        await self._bookkeeper.flush()
