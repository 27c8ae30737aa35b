"""Reads how things stand, as seldom as it may for all who look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from asyncjobs.glance.findings import findings
from asyncjobs.glance.fresh import Fresh, in_turn
from asyncjobs.glance.overview import (
    LINES,
    PACE_SPANS,
    PACE_WIDTH,
    PERIODS,
    Overview,
    chart_of,
    lines_of,
    pace_of,
    queue_lines_of,
)
from asyncjobs.glance.queues import views_of
from asyncjobs.glance.sparks import HOUR, WEEK, spark_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from asyncjobs.glance.overview import Line, Period
    from asyncjobs.glance.queues import History, QueueView
    from asyncjobs.glance.sparks import Spark
    from asyncjobs.schedule_types import Standing
    from asyncjobs.statistics import Span
    from asyncjobs.storage.maintenance import MaintenanceTask
    from asyncjobs.storage.overview import Depth, Health, LanePage, QueueState, WorkerStatus
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import KnownLimit, Pause

AT_ONCE = 0.9
"""Seconds for which one answer serves everybody who looks."""
SOON = 5.0
"""The same for what changes slowly."""
SELDOM = 60.0
"""The same for what takes longer to read: a week has many rows."""
MOST_QUEUES = 500
"""Queues with a limit that are told of."""
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
        self.tags = Fresh(self._read_tags, SOON)
        self.queue_states = Fresh(self._read_queue_states, SOON)
        self.queue_lanes = Fresh(self._read_queue_lanes, AT_ONCE)
        self.pauses = Fresh(self._read_pauses, AT_ONCE)
        self.limits = Fresh(self._read_limits, SOON)
        self.standings = Fresh(self._read_standings, SOON)
        self._pace = Fresh(self._read_pace, AT_ONCE)
        self._last_minute = Fresh(self._read_last_minute, AT_ONCE)
        self._last_hour = Fresh(self._read_last_hour, SOON)
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
        # Side by side, because each takes about as long.
        ((lines, queues), spans, recent), (depths, workers, health, tasks) = await asyncio.gather(
            in_turn(self._lines[period], self._spans[period], self._pace),
            in_turn(self.depths, self.workers, self.health, self.maintenance),
        )
        now = datetime.now(UTC)
        return Overview(
            now=now,
            period=PERIODS[period],
            pace=pace_of(recent, now),
            ended=sum(line.ended for line in queues),
            failed=sum(line.failed for line in queues),
            retried=sum(line.retried for line in queues),
            chart=chart_of(spans, PERIODS[period], now),
            lines=lines,
            queues=queues[:LINES],
            depths=depths,
            workers=workers,
            findings=findings(health, workers, depths, tasks, now),
        )

    async def queues(self, known: Collection[str]) -> list[QueueView]:
        """Return how it stands with each queue, the *known* ones and those that have jobs."""
        states, others = await asyncio.gather(
            self.queue_states.get(),
            in_turn(
                self.depths, self.workers, self._last_hour, self._last_minute, self.queue_lanes,
                self.pauses, self.limits,
            ),
        )  # fmt: skip
        depths, workers, last_hour, last_minute, page, pauses, limits = others
        return views_of(
            known,
            states=states,
            depths=depths,
            lanes=page.lanes,
            pauses=pauses,
            limits=limits,
            workers=workers,
            last_minute=last_minute,
            last_hour=last_hour,
            now=datetime.now(UTC),
        )

    async def weeks(self, jobs: Collection[str]) -> dict[str, Spark]:
        """Return what ended of some *jobs* in the last week, by name."""
        now = datetime.now(UTC)
        spans: dict[str, list[Span]] = {}
        history = await self.storage.statistics.history(WEEK.width, WEEK.spans, sorted({*jobs}))
        for (_, name), found in history.items():
            spans.setdefault(name, []).extend(found)
        return {name: spark_of(spans.get(name, []), WEEK, now) for name in jobs}

    def changed(self) -> None:
        """Read anew what an action may have changed."""
        for kept in (
            self.workers,
            self.depths,
            self.states,
            self.queue_states,
            self.queue_lanes,
            self.pauses,
            self.limits,
            self.standings,
        ):
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

    async def _read_tags(self) -> list[str]:
        return await self.storage.overview.tags()

    async def _read_queue_states(self) -> list[QueueState]:
        return await self.storage.overview.queues(self.depths.get)

    async def _read_queue_lanes(self) -> LanePage:
        return await self.storage.overview.lanes(kind="queue", limit=MOST_QUEUES)

    async def _read_pauses(self) -> list[Pause]:
        return await self.storage.limits.pauses()

    async def _read_limits(self) -> list[KnownLimit]:
        return await self.storage.limits.known()

    async def _read_standings(self) -> dict[Standing, int]:
        return await self.storage.schedules.counts()

    async def _read_pace(self) -> list[Span]:
        return await self.storage.statistics.spans(PACE_WIDTH, PACE_SPANS + 1)

    async def _read_last_minute(self) -> History:
        return await self.storage.statistics.queue_spans(PACE_WIDTH, PACE_SPANS + 1)

    async def _read_last_hour(self) -> History:
        return await self.storage.statistics.queue_spans(HOUR.width, HOUR.spans)

    async def _read_spans(self, period: Period) -> list[Span]:
        return await self.storage.statistics.spans(period.width, period.spans)

    async def _read_lines(self, period: Period) -> tuple[list[Line], list[Line]]:
        tallies = await self.storage.statistics.tallies(period.width, period.spans)
        return lines_of(tallies, LINES), queue_lines_of(tallies)
