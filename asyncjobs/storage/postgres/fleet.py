"""The table of workers: leases, heartbeats, and what happens to the jobs of the dead."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT, transaction
from asyncjobs.storage.postgres.wishes import SINCE as WISHES_SINCE
from asyncjobs.types import Heartbeat, LocalWorker, Rescued, WorkerInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements

FIRST_FACTS = 8
"""Those of a WorkerInfo that a schema has room for that is older than wishes."""

HEARTBEAT_TIMEOUT = 5.0
"""Seconds: a silent connection must be given up long before the lease runs out."""
DEREGISTER_TIMEOUT = 10.0
LEAVE_TIMEOUT = 5.0
LONG = 1e6
"""Seconds; longer than any lease, and an interval can hold it."""
ORPHANS_INTERVAL = 300.0
"""Seconds between two looks for jobs of workers that nobody has registered."""


class Fleet:
    """The statements about workers."""

    def __init__(self, lanes: Lanes, statements: Statements, version: int, channel: str) -> None:
        self._lane, self._sql, self._channel = lanes.fleet, statements, channel
        self._facts = len(WorkerInfo._fields) if version >= WISHES_SINCE else FIRST_FACTS
        self._next_look = 0.0

    async def register(self, worker: WorkerInfo) -> int:
        """Add a worker and return its id."""
        [row] = await self._lane.fetch(self._sql.register_worker, *worker[: self._facts])
        worker_id: int = row["id"]
        return worker_id

    async def heartbeat(self, worker: int) -> Heartbeat:
        """Renew a lease."""
        rows = await self._lane.fetch(self._sql.heartbeat, worker, timeout=HEARTBEAT_TIMEOUT)
        if not rows:
            return Heartbeat(False, [])
        [row] = rows
        wishes = row.get("quiet", False), row.get("stop", False)
        return Heartbeat(True, row["cancel"], row["now"] - time.time(), *wishes)

    async def deregister(self, worker: int) -> None:
        """Remove a worker and give back what it holds."""
        async with (
            self._lane.connection() as connection,
            asyncio.timeout(DEREGISTER_TIMEOUT),
            transaction(connection),
        ):
            if await connection.fetch(self._sql.remove_worker, worker):
                await connection.fetch(self._sql.return_jobs, worker, self._channel)

    async def leave(self, worker: int) -> None:
        """Note that a worker ends with jobs that still run."""
        await self._lane.fetch(self._sql.leave_worker, worker, timeout=LEAVE_TIMEOUT)

    async def local_workers(self, host_id: str) -> list[LocalWorker]:
        """Return the workers of one machine."""
        rows = await self._lane.fetch(self._sql.local_workers, host_id)
        return [LocalWorker(*row) for row in rows]

    async def held(self, worker: int) -> list[tuple[int, int]]:
        """Return id and attempt of the jobs that a worker holds."""
        return [tuple(row) for row in await self._lane.fetch(self._sql.held_jobs, worker)]

    async def rescue(self, dead: Sequence[int], watched: float) -> list[Rescued]:
        """Declare workers dead and free their jobs, in one transaction of two statements."""
        async with (
            self._lane.connection() as connection,
            asyncio.timeout(HOT_TIMEOUT),
            transaction(connection),
        ):
            removed = await connection.fetch(
                self._sql.remove_dead_workers, list(dead), min(watched, LONG)
            )
            lost = {row["id"]: (row["name"], row.get("leaving", False)) for row in removed}
            if time.monotonic() >= self._next_look:
                orphans = await connection.fetch(self._sql.find_orphans)
                lost = {row["id"]: (f"number {row['id']}", False) for row in orphans} | lost
                self._next_look = time.monotonic() + ORPHANS_INTERVAL
            if not lost:
                return []
            workers = sorted(lost)
            names, leaving = zip(*(lost[worker] for worker in workers), strict=True)
            rows = await connection.fetch(
                self._sql.free_jobs, workers, list(names), list(leaving), self._channel
            )
            return [Rescued(*row) for row in rows]
