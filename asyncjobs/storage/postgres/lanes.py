"""Connections with one purpose each.

asyncpg's pool resets a connection by four statements whenever one is returned. What runs
all the time has a connection of its own instead, which also keeps its prepared statements.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import NotOpenError
from asyncjobs.storage.postgres.failures import UNAVAILABLE, translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import asyncpg

    from asyncjobs.errors import AsyncJobsError
    from asyncjobs.storage.postgres.source import ConnectionSource

STATEMENT_TIMEOUT = 60.0
"""Seconds after which a silent server counts as gone."""

CLOSE_TIMEOUT = 2.0
"""Seconds for the statement that still runs when everything ends."""


class Lane:
    """One connection that is made when first used, and again after it broke."""

    def __init__(self, source: ConnectionSource, purpose: str, schema: str) -> None:
        self._source, self._purpose, self._schema = source, purpose, schema
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    async def fetch(
        self, statement: str, *args: Any, timeout: float = STATEMENT_TIMEOUT
    ) -> Sequence[asyncpg.Record]:
        """Run *statement* and return its rows.

        Raises StorageUnavailableError, after which the next call tries a new connection.
        """
        # Without `connection`, which costs as much as half of asyncpg's own work.
        async with self._lock:
            try:
                connection = await self._connected()
                rows: Sequence[asyncpg.Record] = await connection.fetch(
                    statement, *args, timeout=timeout
                )
            except BaseException as error:
                if (known := self._after(error)) is None:
                    raise
                raise known from error
            return rows

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Give the connection to one task at a time."""
        async with self._lock:
            try:
                yield await self._connected()
            except BaseException as error:
                if (known := self._after(error)) is None:
                    raise
                raise known from error

    async def close(self) -> None:
        """Close the connection, after the statement that runs on it."""
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT), self._lock:
                if self._connection is not None:
                    with contextlib.suppress(*UNAVAILABLE):
                        await self._source.give_back(self._connection)
                    self._connection = None
        except TimeoutError:
            self._drop()

    def _after(self, error: BaseException) -> AsyncJobsError | None:
        connection = self._connection
        # In a transaction: cancelled before it could roll back.
        is_broken = isinstance(error, UNAVAILABLE)
        if is_broken or (connection is not None and connection.is_in_transaction()):
            self._drop()
        return translate(error, self._schema)

    async def _connected(self) -> asyncpg.Connection:
        if self._closed:
            raise NotOpenError
        if self._connection is not None and self._connection.is_closed():
            self._drop()
        if self._connection is None:
            self._connection = await self._source.take(self._purpose)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._source.throw_away(self._connection)
            self._connection = None


class Lanes:
    """The lanes of one adapter."""

    def __init__(self, source: ConnectionSource, schema: str) -> None:
        self.source = source
        self.enqueue = Lane(source, "enqueue", schema)
        """Gathered calls of `later`."""
        self.claim = Lane(source, "claim", schema)
        self.finish = Lane(source, "finish", schema)
        self.fleet = Lane(source, "fleet", schema)
        """Heartbeats, rescue and promotion: short, and never behind the jobs themselves."""
        self.admin = Lane(source, "admin", schema)
        """What people ask for; it may take long."""

    async def close(self) -> None:
        """Close all connections."""
        for lane in (self.enqueue, self.claim, self.finish, self.fleet, self.admin):
            await lane.close()
