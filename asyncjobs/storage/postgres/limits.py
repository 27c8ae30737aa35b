"""The tables of limits and lanes: who waits for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.errors import NotMigratedError
from asyncjobs.storage.postgres.failures import in_doubt
from asyncjobs.storage.postgres.patience import PATIENCE, fetch_patiently
from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT
from asyncjobs.types import Admission, KnownLimit, Limit, Pause, as_pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements

SINCE = 6
"""The version of the schema from which on there are limits."""
FORGET_BATCH = 1_000
PARK_BATCH = 50_000
"""Jobs of a paused name that one statement puts aside."""


class LimitTables:
    """The statements about limits and lanes.

    On a schema from before them nothing is limited and nothing waits. To ask for a limit there
    is a NotMigratedError.
    """

    def __init__(
        self, lanes: Lanes, statements: Statements, schema: str, version: int, channel: str
    ) -> None:
        self._lanes, self._sql = lanes, statements
        self._schema, self._channel = schema, channel
        self._exist = version >= SINCE

    async def declare(self, limits: Sequence[Limit]) -> None:
        """Say what holds; see `LimitStorage.declare`."""
        latest = {limit.name: limit for limit in limits}
        await self._write(list(latest.values()), by_hand=False)

    async def change(self, limit: Limit) -> None:
        """Say what holds for a time; see `LimitStorage.change`."""
        await self._write([limit], by_hand=True)

    async def _write(self, limits: Sequence[Limit], *, by_hand: bool) -> None:
        self._require()
        if not limits:
            return
        columns = [list(column) for column in zip(*limits, strict=True)]
        async with self._lanes.unique.connection() as connection:
            with in_doubt("the same limit"):
                await connection.fetch(
                    self._sql.declare_limits, *columns, by_hand, PATIENCE, timeout=HOT_TIMEOUT
                )

    async def known(self, limit: int = 1_000) -> list[KnownLimit]:
        """Return the limits that hold."""
        if not self._exist:
            return []
        rows = await self._lanes.overview.fetch(self._sql.read_limits, limit)
        return [KnownLimit(Limit(*facts), changed_at) for *facts, changed_at in rows]

    async def admit(self, lanes: Sequence[str], most: int) -> Admission:
        """Let jobs in; see `LimitStorage.admit`."""
        if not self._exist or not lanes:
            return Admission(0)
        [row] = await self._lanes.fleet.fetch(
            self._sql.admit_jobs, list(lanes), most, self._channel
        )
        later = dict(zip(row["later"], row["seconds"], strict=True))
        return Admission(row["jobs"], tuple(row["queues"]), tuple(row["again"]), later)

    async def waiting(self, after: str, limit: int) -> list[str]:
        """Return lanes in which jobs wait."""
        if not self._exist:
            return []
        rows = await self._lanes.fleet.fetch(self._sql.waiting_lanes, after, limit)
        return [row["lane"] for row in rows]

    async def forget(self, unused: float) -> list[str]:
        """Forget lanes that nobody used for long."""
        if not self._exist:
            return []
        rows = await self._lanes.fleet.fetch(self._sql.forget_lanes, unused, FORGET_BATCH)
        return [row["name"] for row in rows]

    async def pause(self, lane: str) -> bool:
        """Pause a lane; see `LimitStorage.pause`."""
        self._require()
        [row] = await self._change(lane, self._sql.pause_lane, lane, self._channel)
        kind, _, name = lane.partition(":")
        if kind == "job":
            parked = PARK_BATCH
            while parked == PARK_BATCH:
                [put] = await self._change(lane, self._sql.park_jobs, name, PARK_BATCH)
                parked = put["jobs"]
        elif kind == "key":
            await self._change(lane, self._sql.park_key, lane)
        changed: bool = row["changed"]
        return changed

    async def resume(self, lane: str) -> bool:
        """End a pause."""
        self._require()
        [row] = await self._change(lane, self._sql.resume_lane, lane, self._channel)
        changed: bool = row["changed"]
        return changed

    async def _change(self, lane: str, statement: str, *args: Any) -> Any:
        what = f"the line {lane!r}, or a job in it"
        return await fetch_patiently(self._lanes.admin, what, statement, *args)

    async def pauses(self) -> list[Pause]:
        """Return what is paused."""
        if not self._exist:
            return []
        rows = await self._lanes.fleet.fetch(self._sql.paused_lanes)
        return [as_pause(row["name"], row["paused_at"]) for row in rows]

    async def park(self, worker: int, jobs: Sequence[tuple[int, int, str]]) -> list[int]:
        """Put jobs that were just claimed into a line; see `LimitStorage.park`."""
        columns = [list(column) for column in zip(*sorted(jobs), strict=True)]
        rows = await self._lanes.claim.fetch(self._sql.park_claimed, worker, *columns)
        return [row["id"] for row in rows]

    def _require(self) -> None:
        if not self._exist:
            raise NotMigratedError(self._schema)
