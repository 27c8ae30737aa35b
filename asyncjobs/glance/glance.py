"""Reads how things stand, as seldom as it may for all who look."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from asyncjobs.glance.findings import findings
from asyncjobs.glance.fresh import Fresh
from asyncjobs.glance.overview import LINES, PERIODS, Overview, chart_of, lines_of, pace_of

if TYPE_CHECKING:
    from asyncjobs.glance.overview import Line, Period
    from asyncjobs.statistics import Span
    from asyncjobs.storage.maintenance import MaintenanceTask
    from asyncjobs.storage.overview import Depth, Health, WorkerStatus
    from asyncjobs.storage.protocol import Storage

AT_ONCE = 0.9
"""Seconds for which one answer serves everybody who looks."""
SOON = 5.0
"""The same for what changes slowly."""
SELDOM = 60.0
"""The same for what takes longer to read: a week has many rows."""
AGES = {"now": AT_ONCE, "hour": SOON, "day": SELDOM / 2, "week": SELDOM}


class Glance:
    """How it stands with one storage, which is open while this is asked."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.workers = Fresh(self._read_workers, AT_ONCE)
        self.depths = Fresh(self._read_depths, AT_ONCE)
        self.states = Fresh(self._read_states, AT_ONCE)
        self.health = Fresh(self._read_health, SOON)
        self.maintenance = Fresh(self._read_maintenance, SOON)
        self.names = Fresh(self._read_names, SELDOM)
        self._spans = {
            key: Fresh(partial(self._read_spans, period), AT_ONCE)
            for key, period in PERIODS.items()
        }
        self._lines = {
            key: Fresh(partial(self._read_lines, period), AGES[key])
            for key, period in PERIODS.items()
        }

    async def overview(self, period: str) -> Overview:
        """Return how things stand, over one of `PERIODS`."""
        lines = await self._lines[period].get()
        workers, depths = await self.workers.get(), await self.depths.get()
        recent, spans = await self._spans["now"].get(), await self._spans[period].get()
        now = datetime.now(UTC)
        return Overview(
            now=now,
            period=PERIODS[period],
            pace=pace_of(recent, now),
            ended=sum(line.ended for line in lines),
            failed=sum(line.failed for line in lines),
            retried=sum(line.retried for line in lines),
            chart=chart_of(spans, PERIODS[period], now),
            lines=lines[:LINES],
            depths=depths,
            workers=workers,
            findings=findings(
                await self.health.get(), workers, depths, await self.maintenance.get(), now
            ),
        )

    def changed(self) -> None:
        """Read anew what an action may have changed."""
        for kept in (self.workers, self.depths, self.states):
            kept.forget()

    # What a storage offers is there only while it is open: it is looked up at each read.

    async def _read_workers(self) -> list[WorkerStatus]:
        return await self.storage.overview.workers()

    async def _read_depths(self) -> list[Depth]:
        return await self.storage.overview.depths()

    async def _read_states(self) -> dict[str, int]:
        return await self.storage.overview.states()

    async def _read_health(self) -> Health | None:
        return await self.storage.overview.health()

    async def _read_maintenance(self) -> list[MaintenanceTask]:
        return await self.storage.maintenance.tasks()

    async def _read_names(self) -> list[str]:
        return await self.storage.statistics.names()

    async def _read_spans(self, period: Period) -> list[Span]:
        return await self.storage.statistics.spans(period.width, period.spans)

    async def _read_lines(self, period: Period) -> list[Line]:
        return lines_of(await self.storage.statistics.tallies(period.width, period.spans))
