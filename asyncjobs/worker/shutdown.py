"""How a worker ends: its jobs first, then what they left to record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncjobs.worker.outcome import Interruption

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.worker.bookkeeper import Bookkeeper
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.lease import Lease

CANCEL_GRACE = 5.0
"""Seconds that a cancelled job has to clean up at shutdown."""
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
        kill_stuck: bool,
        is_torn_down: Callable[[], bool],
    ) -> None:
        self._executor, self._finisher, self._bookkeeper = executor, finisher, bookkeeper
        self._lease, self._log = lease, log
        self._timeout, self._kill_stuck = timeout, kill_stuck
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
        ended = await self._wind_down()
        recorded = await self._finisher.drain(RECORD_TIMEOUT)
        self.all_ended = ended and recorded
        await self._bookkeeper.flush()

    async def _wind_down(self) -> bool:
        # What has not started goes back at once. What runs has its time; then it is cancelled,
        # and goes back at no cost.
        executor, running = self._executor, self._executor.running
        executor.close()
        await self._wait_for_running(self._timeout, self._force)
        for attempt in list(running.values()):
            if not attempt.reported:
                self._log.info("job.returned", job=attempt.row.name, id=attempt.row.id)
            attempt.interrupt(Interruption.SHUTDOWN)
        await self._wait_for_running(CANCEL_GRACE)
        for attempt in running.values():
            self._log.error("job.unstoppable", job=attempt.row.name, id=attempt.row.id)
            if self._kill_stuck:
                executor.reporter.report_last(attempt)
        await executor.let_go()
        return not running

    async def _wait_for_running(self, timeout: float, force: asyncio.Event | None = None) -> None:
        # One that is stuck has had its time.
        tasks = {
            attempt.task
            for attempt in self._executor.running.values()
            if attempt.task is not None and (attempt.interruption is None or not attempt.is_stuck)
        }
        if not tasks:
            return
        ended = asyncio.ensure_future(asyncio.wait(tasks))
        forced = asyncio.ensure_future((force or asyncio.Event()).wait())
        await asyncio.wait({ended, forced}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for helper in (ended, forced):
            helper.cancel()
