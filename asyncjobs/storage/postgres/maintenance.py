"""Maintenance in PostgreSQL: the table of tasks, and tables and indexes that need care."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC
from typing import TYPE_CHECKING

import anyio

from asyncjobs.errors import StorageUnavailableError
from asyncjobs.storage.maintenance import Ailment, MaintenanceTask
from asyncjobs.storage.postgres.failures import UNAVAILABLE, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements

SINCE = 11
"""The version of the schema from which on there is a table of tasks."""
SINCE_KEYS = 7
FORGOTTEN = 30 * 86_400.0
"""Seconds after which the row of a task that nobody does any more goes."""
LEAST_BYTES, TIMES = 64 * 2**20, 5.0
"""An index is bloated if it is larger than this and needs so many times less. It is an estimate:
a btree that fills up and empties again has some room to spare, rightly."""
LEAST_DEAD = 500_000
"""Dead rows from which on a table is looked at: long after autovacuum should have come."""
MEND_TIMEOUT = 2 * 3_600.0
"""Seconds."""
CLOSE_TIMEOUT = 5.0
"""Seconds to end a statement that is cut off, and the connection."""
OLD_SNAPSHOT = 300.0
"""Seconds. While a transaction is that old nothing can be mended: it keeps the dead rows, and a
rebuild would wait for it."""
LEFT_BEHIND = ("_ccnew", "_ccold")
"""How the names end that a rebuild gives to indexes while it goes on."""


class PostgresMaintenance:
    """See `MaintenanceStorage`. On a schema from before it every process does all by itself."""

    def __init__(self, lanes: Lanes, statements: Statements, schema: str, version: int) -> None:
        self._lanes, self._sql, self._schema = lanes, statements, schema
        self._exists, self._has_keys = version >= SINCE, version >= SINCE_KEYS
        self._due: dict[str, float] = {}

    async def declare(self, tasks: Sequence[str]) -> None:
        """Have rows for tasks."""
        if self._exists:
            await self._lanes.fleet.fetch(self._sql.declare_maintenance, list(tasks), FORGOTTEN)

    async def begin(self, worker: int, tasks: Sequence[str]) -> str | None:
        """Give a worker a task that is due."""
        if not self._exists:
            now = time.monotonic()
            return next((task for task in tasks if self._due.get(task, now) <= now), None)
        rows = await self._lanes.fleet.fetch(self._sql.begin_maintenance, worker, list(tasks))
        return rows[0]["task"] if rows else None

    async def end(
        self,
        worker: int,
        task: str,
        *,
        every: float,
        done: int = 0,
        report: str | None = None,
        problem: str | None = None,
    ) -> bool:
        """Record what came of a task."""
        if not self._exists:
            self._due[task] = time.monotonic() + every
            return True
        arguments = (worker, task, every, done, report, problem)
        return bool(await self._lanes.fleet.fetch(self._sql.end_maintenance, *arguments))

    async def tasks(self) -> list[MaintenanceTask]:
        """Return all tasks."""
        if not self._exists:
            return []
        rows = await self._lanes.overview.fetch(self._sql.read_maintenance)
        return [
            # 'infinity', which leaves a task alone, comes as a moment without a zone.
            MaintenanceTask(task, due_at.replace(tzinfo=UTC), *rest)
            for task, due_at, *rest in rows
        ]

    async def prune_keys(self, limit: int) -> int:
        """Remove keys whose period is over."""
        if not self._has_keys:
            return 0
        [row] = await self._lanes.fleet.fetch(self._sql.prune_unique_keys, limit)
        removed: int = row[0]
        return removed

    async def ailments(self) -> list[Ailment]:
        """Look at the tables and indexes of our schema."""
        lane = self._lanes.overview
        indexes = await lane.fetch(self._sql.inspect_indexes, self._schema, LEAST_BYTES, TIMES)
        tables = await lane.fetch(self._sql.inspect_tables, self._schema, LEAST_DEAD)
        found = [
            self._broken(row["name"])
            if row["broken"]
            else self._bloated(row["name"], row["bytes"], row["needed"])
            for row in indexes
        ]
        return found + [self._full_of_dead(row["name"], row["live"], row["dead"]) for row in tables]

    async def mend(self, ailment: Ailment) -> None:
        """Carry the remedy out, on a connection of its own, outside of a transaction."""
        health = await self._lanes.overview.fetch(self._sql.read_health, self._schema)
        if health and (health[0]["snapshot"] or 0) > OLD_SNAPSHOT:
            raise StorageUnavailableError(
                f"a transaction of process {health[0]['snapshot_pid']} has been open for "
                f"{health[0]['snapshot']:.0f} s; nothing can be mended until it ends"
            )
        connection = await self._lanes.source.take("maintenance")
        try:
            with translated(self._schema):
                await connection.execute(ailment.remedy, timeout=MEND_TIMEOUT)
        finally:
            # Also when that was cut off: then the driver tells the server first.
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await self._give_back(connection)

    async def _give_back(self, connection: asyncpg.Connection) -> None:
        try:
            await self._lanes.source.give_back(connection)
        except asyncio.CancelledError:
            self._lanes.source.throw_away(connection)
            raise
        except UNAVAILABLE:
            self._lanes.source.throw_away(connection)

    def _broken(self, name: str) -> Ailment:
        what = f"The index {name} is not used: it was not built to the end."
        left = name.rstrip("0123456789").endswith(LEFT_BEHIND)
        statement = self._sql.drop_broken_index if left else self._sql.rebuild_index
        return Ailment("broken index", name, what, _of(statement, name))

    def _bloated(self, name: str, size: int, needed: int) -> Ailment:
        what = f"The index {name} has {_megabytes(size)}, and needs about {_megabytes(needed)}."
        return Ailment("bloated index", name, what, _of(self._sql.rebuild_index, name))

    def _full_of_dead(self, name: str, live: int, dead: int) -> Ailment:
        what = f"The table {name} has {live:,} rows, and {dead:,} dead ones."
        return Ailment("dead rows", name, what, _of(self._sql.vacuum_table, name))


def _of(statement: str, name: str) -> str:
    # Without the comment: it is shown to people.
    lines = [line for line in statement.splitlines() if line and not line.startswith("--")]
    return "\n".join(lines).replace(':"name"', '"' + name.replace('"', '""') + '"')


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
