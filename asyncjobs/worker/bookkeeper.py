"""Counts what ends, and tells the storage about once a second."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError
from asyncjobs.statistics import Tally, class_of

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob

INTERVAL = 1.0
"""Seconds; spread, so that workers do not come at once."""
MEASURED, EACH = 100, 16
"""Of one tally so many attempts are measured, then each so-manieth: measuring takes a
microsecond, of the fifteen that a small job takes in all."""
MAX_TALLIES = 1_000
"""Queues and names that are counted while the storage is away; others are left out."""


class Bookkeeper:
    """The statistics of one worker. They are an account, not the truth: a crash loses a second."""

    def __init__(self, storage: Storage, log: Any) -> None:
        self._storage, self._log = storage, log
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._flushing = asyncio.Lock()
        self._failing = False
        self.clock_offset = 0.0
        """Seconds that the storage's clock is ahead of this machine's."""

    def note(self, row: ClaimedJob, state: str, began: float) -> None:
        """Count the end of an attempt that *began* at this time and ended now.

        *began* is in seconds since 1970, by this machine's clock; 0 for one that never did.
        Of very many attempts only some are measured, and count for the others.
        """
        tally = self._tallies.get((row.queue, row.name)) or self._new(row.queue, row.name)
        if tally is None:
            return
        if state == "succeeded":
            tally.succeeded += 1
        elif state == "failed":
            tally.failed += 1
        elif state == "cancelled":
            tally.cancelled += 1
        else:
            tally.retried += 1
        tally.seen += 1
        if began and (tally.seen <= MEASURED or tally.seen % EACH == 0):
            weight = 1 if tally.seen <= MEASURED else EACH
            wait = began + self.clock_offset - row.run_at.timestamp()
            ran = time.time() - began
            tally.waits[class_of(wait)] += weight
            tally.runs[class_of(ran)] += weight
            tally.waited += max(wait, 0.0) * weight
            tally.ran += max(ran, 0.0) * weight

    def note_rescued(self, queue: str, name: str) -> None:
        """Count a job that was taken from a worker that fell silent."""
        tally = self._tallies.get((queue, name)) or self._new(queue, name)
        if tally is not None:
            tally.rescued += 1

    def _new(self, queue: str, name: str) -> Tally | None:
        if len(self._tallies) >= MAX_TALLIES:
            return None
        return self._tallies.setdefault((queue, name), Tally())

    async def run(self) -> None:
        """Tell the storage until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            await self.flush()

    async def flush(self) -> None:
        """Tell the storage what was counted; keep it if that does not answer."""
        async with self._flushing:  # the last one waits for one under way, which ends with us
            tallies, self._tallies = self._tallies, {}
            try:
                await self._storage.statistics.record(tallies)
                self._failing = False
            except StorageError as error:
                self._take_back(tallies)
                if not self._failing:
                    self._log.warning("statistics.delayed", error=str(error))
                self._failing = True

    def _take_back(self, tallies: dict[tuple[str, str], Tally]) -> None:
        for key, tally in tallies.items():
            if key in self._tallies:
                self._tallies[key].add(tally)
            else:
                self._tallies[key] = tally
