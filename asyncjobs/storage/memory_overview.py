"""A glance at jobs in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncjobs.storage.memory_limits import holds
from asyncjobs.storage.overview import (
    COUNTED,
    LANE_COUNTED,
    LAST_TAGGED,
    MOST_TAGS,
    SHOWN,
    Connections,
    Depth,
    Health,
    LanePage,
    LaneStatus,
    QueueState,
    RunningJob,
    RunStatus,
    WorkerStatus,
)
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from asyncjobs.storage.memory_limits import MemoryLimits
    from asyncjobs.storage.memory_rows import Row, WorkerRow
    from asyncjobs.types import Limit


class MemoryOverview:
    """What `OverviewStorage` promises, of dicts."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        rows: Mapping[int, Row],
        workers: Mapping[int, WorkerRow],
        limits: MemoryLimits,
    ) -> None:
        self._clock, self._rows, self._workers = clock, rows, workers
        self._limits = limits

    async def depths(self) -> list[Depth]:
        """Return the queues in which jobs are available."""
        found: dict[str, list[Row]] = {}
        for row in self._rows.values():
            if row.state is JobState.AVAILABLE:
                found.setdefault(row.job.queue, []).append(row)
        now = self._clock()
        return [
            Depth(
                queue,
                min(len(rows), COUNTED),
                max(0.0, (now - min(row.run_at for row in rows)).total_seconds()),
            )
            for queue, rows in sorted(found.items())
        ]

    async def states(self) -> dict[str, int]:
        """Return how many jobs there are by state."""
        counts = Counter(row.state for row in self._rows.values())
        return {state.value: min(counts[state], COUNTED) for state in JobState}

    async def queues(
        self, depths: Callable[[], Awaitable[Sequence[Depth]]] | None = None
    ) -> list[QueueState]:
        """Return how many jobs of each queue are in each state."""
        counts = Counter((row.job.queue, row.state.value) for row in self._rows.values())
        return [QueueState(*key, jobs) for key, jobs in sorted(counts.items())]

    async def lanes(
        self,
        *,
        after: str | None = None,
        kind: str | None = None,
        containing: str | None = None,
        limit: int = 100,
    ) -> LanePage:
        """Return some lanes."""
        paused = {pause.lane: pause.since for pause in await self._limits.pauses()}
        names = {*paused, *(lane for row in self._rows.values() for lane in _lanes_of(row))}
        part, prefix = (containing or "").lower(), "" if kind is None else f"{kind}:"
        fit = sorted(
            name
            for name in names
            if name > (after or "") and name.startswith(prefix) and part in name.lower()
        )[:limit]
        known = {known.limit.name: known.limit for known in await self._limits.known()}
        lanes = [self._lane(name, known, paused.get(name)) for name in fit]
        return LanePage(lanes, fit[-1] if len(fit) == limit else None)

    async def runs(self, schedules: Sequence[str], each: int) -> list[RunStatus]:
        """Return the last runs of schedules."""
        found: dict[str, list[RunStatus]] = {name: [] for name in sorted(schedules)}
        for row in sorted(self._rows.values(), key=lambda row: -row.id):
            extras = row.job.extras
            if extras and extras.schedule in found and len(found[extras.schedule]) < each:
                moments = row.run_at, row.attempted_at, row.finished_at
                run = RunStatus(
                    extras.schedule, row.id, row.state.value, extras.tick, row.attempt, *moments
                )
                found[extras.schedule].append(run)
        return [run for runs in found.values() for run in runs]

    async def tags(self) -> list[str]:
        """Return the tags of the newest jobs."""
        newest = sorted(self._rows.values(), key=lambda row: -row.id)[:LAST_TAGGED]
        found = {tag for row in newest if row.job.extras for tag in row.job.extras.tags}
        return sorted(found)[:MOST_TAGS]

    async def workers(self) -> list[WorkerStatus]:
        """Return the registered workers and what they run."""
        found = [self._status(number, worker) for number, worker in self._workers.items()]
        return sorted(found, key=lambda worker: (worker.group, worker.name, worker.id))

    async def health(self) -> Health | None:
        """Return nothing: there is no database."""
        return None

    def connections(self) -> Connections | None:
        """Return nothing: there are none."""
        return None

    def _lane(
        self, name: str, known: Mapping[str, Limit], paused_at: datetime | None
    ) -> LaneStatus:
        line = [row for row in self._rows.values() if row.waits_in == name]
        let_in = [row for row in self._rows.values() if holds(row, name)]
        rule = name
        if name.startswith("key:"):
            first = min(line, key=lambda row: (row.job.priority, row.id), default=None)
            names = [first.job.name] if first else sorted(row.job.name for row in let_in)
            rule = f"job:{names[0]}" if names else ""
        running = sum(row.state is JobState.RUNNING for row in let_in)
        waiting, held, runs = (
            min(count, LANE_COUNTED) for count in (len(line), len(let_in), running)
        )
        return LaneStatus(name, waiting, held, runs, known.get(rule), paused_at)

    def _status(self, number: int, worker: WorkerRow) -> WorkerStatus:
        now, info = self._clock(), worker.info
        held = sorted(worker.held(), key=lambda row: (row.attempted_at or now, row.id))
        return WorkerStatus(
            number,
            info.name,
            info.group,
            info.queues,
            info.host,
            info.pid,
            worker.started_at,
            (now - worker.seen_at).total_seconds(),
            info.lease,
            len(held),
            [
                RunningJob(
                    row.id,
                    row.job.name,
                    row.job.queue,
                    row.attempt,
                    (now - (row.attempted_at or now)).total_seconds(),
                )
                for row in held[:SHOWN]
            ],
            version=info.version,
            concurrency=info.concurrency,
            quiet_at=worker.quiet_at,
            stop_at=worker.stop_at,
            stopping_at=worker.stopping_at,
            quiet_unheard=worker.quiet_unheard,
        )


def _lanes_of(row: Row) -> list[str]:
    lanes = (row.waits_in, row.lane, row.queue_lane)
    return [
        lane for lane in lanes if lane is not None and (lane == row.waits_in or holds(row, lane))
    ]
