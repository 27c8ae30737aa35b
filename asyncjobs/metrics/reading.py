"""Reads what there is to tell of one storage: seldom, and no longer than a scrape may take."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.errors import StorageError
from asyncjobs.glance.fresh import Fresh
from asyncjobs.glance.glance import AT_ONCE, Glance
from asyncjobs.metrics.rising import Rising
from asyncjobs.statistics import MOST_TOTALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncjobs.schedule_types import Lateness, Standing
    from asyncjobs.statistics import Total
    from asyncjobs.storage.maintenance import MaintenanceTask
    from asyncjobs.storage.overview import Depth, Health, QueueState, WorkerStatus
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Pause

PATIENCE = 5.0
"""Seconds after which a database that has not answered counts as one that does not. A scrape
of Prometheus has ten, if nobody says otherwise."""


class Reading(NamedTuple):
    """What was read of one storage."""

    now: datetime
    seconds: float
    """How long that took."""
    queues: Sequence[QueueState]
    depths: Sequence[Depth]
    pauses: Sequence[Pause]
    workers: Sequence[WorkerStatus]
    totals: Mapping[tuple[str, str], Total]
    are_more: bool
    """Whether there are totals that are not told of."""
    enqueued: int
    standings: Mapping[Standing, int]
    lateness: Lateness
    maintenance: Sequence[MaintenanceTask]
    health: Health | None


class Reader:
    """Reads one storage, at most once a second for all who ask, some of it more seldom."""

    def __init__(self, name: str, storage: Storage, log: Any) -> None:
        self.name, self.storage, self._log = name, storage, log
        self._glance, self._rising = Glance(storage), Rising()
        self._fresh = Fresh(self._read, AT_ONCE)
        self._is_away = False

    async def read(self) -> Reading | None:
        """Return how it stands; None if the database does not tell.

        Raises NotOpenError if nobody has opened the storage.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                reading = await self._fresh.get()
        except (StorageError, TimeoutError) as error:
            if not self._is_away:
                why = str(error) or f"the database has not answered within {PATIENCE:g} s"
                self._log.warning("metrics.failed", adapter=self.name, error=why)
            self._is_away = True
            return None
        self._is_away = False
        return reading

    async def _read(self) -> Reading:
        began, glance, statistics = time.monotonic(), self._glance, self.storage.statistics
        totals = await statistics.totals(MOST_TOTALS + 1)
        told = dict(list(totals.items())[:MOST_TOTALS])
        return Reading(
            queues=await glance.queue_states.get(),
            depths=await glance.depths.get(),
            pauses=await glance.pauses.get(),
            workers=await glance.workers.get(),
            totals=self._rising.totals(told),
            are_more=len(totals) > len(told),
            enqueued=self._rising.enqueued(await statistics.enqueued()),
            standings=await glance.standings.get(),
            lateness=await self.storage.schedules.lateness(),
            maintenance=await glance.maintenance.get(),
            health=await glance.health.get(),
            now=datetime.now(UTC),
            seconds=time.monotonic() - began,
        )
