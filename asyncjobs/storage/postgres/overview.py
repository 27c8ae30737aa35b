"""A glance at the tables, for dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from asyncjobs.storage.postgres.reading import read, reading
from asyncjobs.types import Limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.own_transactions import OwnTransactions
    from asyncjobs.storage.postgres.statements import Statements

COUNTED_BY_QUEUE = ("scheduled", "waiting", "running", "succeeded", "failed", "cancelled")
"""States, as read_queue_states has them. Of those that are available the depths tell."""
NEWEST = 1_000
"""Jobs that are looked at of a state that has more than are counted: a queue that is seldom there
may be missed by the sample."""
SAMPLED = 500
"""Pages of the table from which it is told about how many jobs there are."""
LOOKED_AT = 1_000
"""Names of lanes that one page looks at."""


class PostgresOverview:
    """The `OverviewStorage` of PostgresAdapter."""

    def __init__(
        self,
        lanes: Lanes,
        statements: Statements,
        schema: str,
        *,
        own: OwnTransactions,
        notifies: bool,
    ) -> None:
        self._lanes = lanes
        self._sql, self._schema, self._own = statements, schema, own
        self._notifies = notifies

    async def depths(self) -> list[Depth]:
        """Return the queues in which jobs are available."""
        return [
            Depth(*row) for row in await read(self._lanes.to_look(), self._sql.read_depths, COUNTED)
        ]

    async def states(self) -> dict[str, int]:
        """Return how many jobs there are by state."""
        return {
            row["state"]: row["jobs"]
            for row in await read(self._lanes.to_look(), self._sql.read_states, COUNTED, COUNTED)
        }

    async def queues(
        self, depths: Callable[[], Awaitable[Sequence[Depth]]] | None = None
    ) -> list[QueueState]:
        """Return how many jobs of each queue are in each state; see `OverviewStorage.queues`."""
        async with reading(self._lanes.to_look()) as connection:
            counts = dict(await connection.fetch(self._sql.read_states, COUNTED, 0))
            many = {state for state in COUNTED_BY_QUEUE if counts.get(state, 0) >= COUNTED}
            counted = await connection.fetch(
                self._sql.read_queue_states,
                *(NEWEST if state in many else COUNTED for state in COUNTED_BY_QUEUE),
            )
        # Not before the connection is free: they may be read by it.
        found = await (depths or self.depths)()
        is_much = many or any(depth.available >= COUNTED for depth in found)
        sample = self._sql.sample_queue_states
        about = await read(self._lanes.to_look(), sample, SAMPLED) if is_much else []
        return _queue_states(counted, many, found, about)

    async def lanes(
        self,
        *,
        after: str | None = None,
        kind: str | None = None,
        containing: str | None = None,
        limit: int = 100,
    ) -> LanePage:
        """Return some lanes; see `OverviewStorage.lanes`."""
        prefix = None if kind is None else f"{kind}:"
        part = containing.lower() if containing else None
        rows = await read(
            self._lanes.to_look(),
            self._sql.read_lanes,
            (prefix or "") if after is None else after,
            prefix,
            part,
            limit,
            LOOKED_AT,
            LANE_COUNTED,
        )
        lanes = [_lane_of(row) for row in rows if row["matches"]]
        is_cut_short = bool(rows) and rows[-1]["place"] == LOOKED_AT and len(lanes) < limit
        goes_on = is_cut_short or (bool(rows) and len(lanes) == limit)
        return LanePage(lanes, rows[-1]["name"] if goes_on else None, is_cut_short)

    async def runs(self, schedules: Sequence[str], each: int) -> list[RunStatus]:
        """Return the last runs of schedules; see `OverviewStorage.runs`."""
        rows = await read(
            self._lanes.to_look(), self._sql.read_runs, list(dict.fromkeys(schedules)), each
        )
        return [RunStatus(*row) for row in rows]

    async def tags(self) -> list[str]:
        """Return the tags of the newest jobs."""
        rows = await read(self._lanes.to_look(), self._sql.read_tags, LAST_TAGGED, MOST_TAGS)
        return [row["tag"] for row in rows]

    async def workers(self) -> list[WorkerStatus]:
        """Return the registered workers and what they run."""
        async with reading(self._lanes.to_look()) as connection:
            workers = await connection.fetch(self._sql.read_workers)
            running = await connection.fetch(self._sql.read_running, SHOWN)
        jobs: dict[int, list[RunningJob]] = {}
        counts: dict[int, int] = {}
        for row in running:
            counts[row["worker"]] = row["running"]
            jobs.setdefault(row["worker"], []).append(
                RunningJob(row["id"], row["name"], row["queue"], row["attempt"], row["seconds"])
            )
        return [
            WorkerStatus(**row, running=counts.get(row["id"], 0), jobs=jobs.get(row["id"], []))
            for row in workers
        ]

    async def health(self) -> Health | None:
        """Return how the database is."""
        rows = await read(self._lanes.to_look(), self._sql.read_health, self._schema)
        return Health(**rows[0], notifies=self._notifies) if rows else None

    def connections(self) -> Connections | None:
        """Return what connections there are in this process."""
        lanes = [lane for lane in self._lanes.all if lane.is_open]
        busy = sum(lane.is_busy for lane in lanes)
        return Connections(
            busy, len(lanes) - busy, self._own.used, self._own.most, self._own.pool_usage
        )


def _lane_of(row: Any) -> LaneStatus:
    name = row["limited_by"]
    limit = None if name is None else Limit(name, row["concurrency"], row["burst"], row["gap"])
    counts = row["waiting"], min(row["let_in"], LANE_COUNTED), min(row["running"], LANE_COUNTED)
    return LaneStatus(row["name"], *counts, limit, row["paused_at"])


def _queue_states(
    counted: Sequence[Any], many: Collection[str], depths: Sequence[Depth], about: Sequence[Any]
) -> list[QueueState]:
    found = {
        (queue, state): QueueState(queue, state, jobs, is_exact=state not in many)
        for queue, state, jobs in counted
    }
    for queue, jobs, _ in depths:
        found[queue, "available"] = QueueState(queue, "available", jobs, jobs < COUNTED)
    for queue, state, jobs in about:
        known = found.get((queue, state))
        if known is not None and not known.is_exact:
            found[queue, state] = known._replace(jobs=max(known.jobs, jobs))
        elif known is None and state in many:
            found[queue, state] = QueueState(queue, state, jobs, is_exact=False)
    return [found[key] for key in sorted(found)]
