"""Removes jobs that ended and were kept long enough, a few at a time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncjobs.storage.protocol import Storage

INTERVAL = 60.0
"""Seconds between two looks of one worker, more or less."""
BATCH = 500
PAUSE = 0.1
"""Seconds between two batches: whoever has much to remove leaves room for the jobs."""


class Pruner:
    """A timer. Every worker has one; what one removes, no other does.

    Jobs that say themselves how long to keep them are removed by everybody's; with *retain*,
    in seconds, so are all others in *queues* that ended so long ago.
    """

    def __init__(
        self, storage: Storage, queues: Sequence[str], retain: float | None, log: Any
    ) -> None:
        self._storage, self._queues, self._retain, self._log = storage, queues, retain, log

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
            try:
                await self.prune()
            except StorageError as error:
                self._log.warning("prune.failed", error=str(error))

    async def prune(self) -> int:
        """Remove everything that is due, and return how many jobs that was."""
        removed = await _in_batches(self._storage.results.prune_retained)
        if (retain := self._retain) is not None:
            results, queues = self._storage.results, self._queues
            removed += await _in_batches(lambda most: results.prune_ended(queues, retain, most))
        if removed:
            self._log.debug("job.pruned", jobs=removed)
        return removed


async def _in_batches(prune: Callable[[int], Awaitable[int]]) -> int:
    total = 0
    while (removed := await prune(BATCH)) == BATCH:
        total += removed
        await asyncio.sleep(PAUSE)
    return total + removed
