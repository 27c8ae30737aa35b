"""Lets a critical part of a job end before the job is cancelled."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncjobs.config import check_between
from asyncjobs.worker.outcome import Interruption

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.worker.attempt import Attempt

AT_SHUTDOWN = 4.0
"""Seconds that a block has at most once a shutdown cancels jobs. Together with what the job
needs to clean up it fits into the shutdown's CANCEL_GRACE."""


class Shield:
    """The critical blocks of one attempt, and the interruption that waits for their end."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._open: list[float] = []
        self._waiting: Interruption | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_broken = False

    @asynccontextmanager
    async def block(self, timeout: float) -> AsyncIterator[None]:
        """Hold interruptions back during the block, each for up to *timeout* seconds."""
        check_between("timeout", timeout, 0, 86_400, " s")
        self._open.append(timeout)
        try:
            yield
        finally:
            self._open.remove(timeout)
            if not self._open and self._waiting is not None and not self._is_broken:
                self._deliver()
                await asyncio.sleep(0)  # here, if this is the job's own task

    def holds_back(self, reason: Interruption) -> bool:
        """Return whether to interrupt for *reason* has to wait; then it will be done later.

        Never when the lease is lost: the job runs somewhere else already.
        """
        if not self._open or self._is_broken or reason is Interruption.LEASE_LOST:
            return False
        patience = max(self._open)
        if reason is Interruption.SHUTDOWN:
            patience = min(patience, AT_SHUTDOWN)
        loop = asyncio.get_running_loop()
        ends = loop.time() + patience
        if self._timer is None or ends < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(ends, self._give_up)
        if self._waiting is None:
            self._waiting = reason
            row = self._attempt.row
            self._attempt.log.info("job.shielded", job=row.name, id=row.id, reason=reason.value)
        return True

    def _give_up(self) -> None:
        row = self._attempt.row
        self._attempt.log.warning("shield.broken", job=row.name, id=row.id)
        self._deliver()

    def _deliver(self) -> None:
        self._is_broken = True
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting is not None:
            self._attempt.interrupt(self._waiting)
