"""What is wished of workers, in their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.errors import DeafWorkerError, NotMigratedError, UnknownWorkerError

if TYPE_CHECKING:
    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements

SINCE = 12
"""The version of the schema from which on a worker can be told something."""


class Wishes:
    """The `WishStorage` of PostgresAdapter."""

    def __init__(
        self, lanes: Lanes, statements: Statements, schema: str, version: int, channel: str
    ) -> None:
        self._lanes, self._sql = lanes, statements
        self._schema, self._channel = schema, channel
        self._exist = version >= SINCE

    async def quiet(self, worker: int) -> bool:
        """Let a worker claim nothing more."""
        return await self._wish(self._sql.quiet_worker, worker)

    async def resume(self, worker: int) -> bool:
        """Let a worker claim again."""
        return await self._wish(self._sql.resume_worker, worker)

    async def stop(self, worker: int) -> bool:
        """Let a worker end."""
        return await self._wish(self._sql.stop_worker, worker)

    async def note_stopping(self, worker: int) -> None:
        """Note that a worker ends."""
        if self._exist:
            await self._lanes.fleet.fetch(self._sql.note_stopping, worker)

    async def _wish(self, statement: str, worker: int) -> bool:
        if not self._exist:
            raise NotMigratedError(self._schema)
        rows = await self._lanes.admin.fetch(statement, worker, self._channel)
        if not rows:
            raise UnknownWorkerError(worker)
        if not rows[0]["hears"]:
            raise DeafWorkerError(worker)
        changed: bool = rows[0]["changed"]
        return changed
