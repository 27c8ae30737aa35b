"""Makes future jobs available when they are due, by a timer set to the earliest of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.timer import Timer

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Promotion

BATCH = 1_000
LEAST = 0.001
"""Seconds between two looks: the database's clock may be a little behind the timer."""


class Promoter:
    """A timer. Every worker has one, and whoever is first promotes for all."""

    def __init__(self, storage: Storage, interval: float, log: Any) -> None:
        self._storage, self._interval, self._log = storage, interval, log
        self._timer = Timer()
        self._turn = asyncio.Lock()
        """One promotion at a time, so that who settles knows what came of the one under way."""
        self.expect = self._timer.expect

    async def run(self) -> None:
        """Promote until cancelled."""
        delays = growing_delays()
        while True:
            await self._timer.sleep()
            self._timer.reset(self._interval)
            try:
                promotion = await self._promote()
                delays = growing_delays()
            except StorageError as error:
                self._log.warning("promote.failed", error=str(error))
                self.expect(next(delays))
            else:
                if promotion.count:
                    self._log.debug("job.promoted", jobs=promotion.count)
                if promotion.next_in is not None:
                    self.expect(max(promotion.next_in, LEAST))

    async def settle(self) -> int:
        """Promote what is due now; return how many jobs that made available."""
        return (await self._promote()).count

    async def _promote(self) -> Promotion:
        async with self._turn:
            return await self._storage.promote(BATCH)
