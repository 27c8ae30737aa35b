"""A glance at the tables, for dashboards."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from asyncjobs.storage.overview import (
    COUNTED,
    SHOWN,
    Depth,
    Health,
    RunningJob,
    WorkerStatus,
)
from asyncjobs.storage.postgres.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements

TIMEOUT = "5s"
"""For a statement. A page that takes longer says so instead of loading the database."""
SETTINGS = """
select
    set_config('random_page_cost', '1.1', true),
    set_config('jit', 'off', true),
    set_config('statement_timeout', $1, true)
"""


class PostgresOverview:
    """The `OverviewStorage` of PostgresAdapter."""

    def __init__(
        self, lanes: Lanes, statements: Statements, schema: str, *, notifies: bool
    ) -> None:
        self._lane, self._sql, self._schema = lanes.overview, statements, schema
        self._notifies = notifies

    async def depths(self) -> list[Depth]:
        """Return the queues in which jobs are available."""
        return [Depth(*row) for row in await self._read(self._sql.read_depths, COUNTED)]

    async def states(self) -> dict[str, int]:
        """Return how many jobs there are by state."""
        return {
            row["state"]: row["jobs"] for row in await self._read(self._sql.read_states, COUNTED)
        }

    async def workers(self) -> list[WorkerStatus]:
        """Return the registered workers and what they run."""
        async with self._reading() as connection:
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
            WorkerStatus._make([*row, counts.get(row["id"], 0), jobs.get(row["id"], [])])
            for row in workers
        ]

    async def health(self) -> Health | None:
        """Return how the database is."""
        rows = await self._read(self._sql.read_health, self._schema)
        return Health(**rows[0], notifies=self._notifies) if rows else None

    async def _read(self, statement: str, *values: Any) -> Sequence[Any]:
        async with self._reading() as connection:
            rows: Sequence[Any] = await connection.fetch(statement, *values)
        return rows

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        async with (
            self._lane.connection() as connection,
            transaction(connection),
        ):
            await connection.fetch(SETTINGS, TIMEOUT)
            yield connection
