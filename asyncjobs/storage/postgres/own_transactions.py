"""Connections for the jobs' own transactions, a few at once, kept for the next."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncjobs.config import check_whole
from asyncjobs.errors import NotOpenError, TransactionError
from asyncjobs.storage.postgres.borrowed import abort
from asyncjobs.storage.postgres.external import driver_connection
from asyncjobs.storage.postgres.failures import UNAVAILABLE, translated
from asyncjobs.storage.postgres.source import LANES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    import asyncpg
    from asyncpg.transaction import Transaction

    from asyncjobs.storage.postgres.source import ConnectionSource

SHORT_TIMEOUT = 5.0
"""Seconds for a begin, a rollback or a reset, after which the connection counts as dead."""
COMMIT_TIMEOUT = 60.0


class OwnTransactions:
    """The transactions of one adapter: up to *most* at once, the others wait for their turn.

    A connection stays open for the next one. With the user's *pool* it goes back there, and
    there are at most as many as the pool has beyond the lanes. Raises ConfigError.
    """

    def __init__(self, schema: str, most: int, pool: asyncpg.Pool | None) -> None:
        check_whole("transactions", most, 1, 1_000)
        self._schema, self.most, self._pool = schema, most, pool
        self._turns = asyncio.Semaphore(most)
        self._idle: list[asyncpg.Connection] = []
        self.used = 0
        """How many there are at this moment."""
        self._source: ConnectionSource | None = None

    def open(self, source: ConnectionSource) -> None:
        """Take connections from *source* from now on."""
        most = self.most
        if self._pool is not None:
            most = min(most, self._pool.get_max_size() - LANES)
        self._source, self._turns = source, asyncio.Semaphore(most)

    @property
    def pool_usage(self) -> tuple[int, int, int] | None:
        """Connections of the user's pool: in use, not in use, and at most; None without one."""
        if self._pool is None:
            return None
        idle = self._pool.get_idle_size()
        return self._pool.get_size() - idle, idle, self._pool.get_max_size()

    def begin(self, connection: object | None) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction, or join that of *connection*; see `Storage.transaction`."""
        if self._source is None:
            raise NotOpenError
        return self._begin(self._source) if connection is None else _join(connection)

    async def close(self) -> None:
        """Close the connections that nobody uses now, and the others when they come back."""
        source, self._source = self._source, None
        while self._idle and source is not None:
            await source.give_back(self._idle.pop())

    @asynccontextmanager
    async def _begin(self, source: ConnectionSource) -> AsyncIterator[asyncpg.Connection]:
        async with self._turns, self._counted():
            connection, transaction = await self._begun(source)
            try:
                try:
                    yield connection
                except BaseException:
                    await _roll_back(connection, transaction)
                    raise
                await _carried_through(_commit(transaction))
            finally:
                await self._take_back(connection, source)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self.used += 1
        try:
            yield
        finally:
            self.used -= 1

    async def _begun(self, source: ConnectionSource) -> tuple[asyncpg.Connection, Transaction]:
        while True:
            kept = bool(self._idle)
            with translated(self._schema):
                connection = self._idle.pop() if kept else await source.take("transaction")
                try:
                    transaction = connection.transaction()
                    async with asyncio.timeout(SHORT_TIMEOUT):
                        await transaction.start()
                except BaseException as error:
                    source.throw_away(connection)
                    if kept and isinstance(error, UNAVAILABLE):
                        continue  # it broke while nobody used it
                    raise
                return connection, transaction

    async def _take_back(self, connection: asyncpg.Connection, source: ConnectionSource) -> None:
        try:
            if self._pool is None:
                await connection.reset(timeout=SHORT_TIMEOUT)
            if self._pool is None and self._source is source:
                self._idle.append(connection)
            else:
                await source.give_back(connection)
        except BaseException as error:
            source.throw_away(connection)
            if not isinstance(error, Exception):
                raise


@asynccontextmanager
async def _join(connection: object) -> AsyncIterator[object]:
    driver = await driver_connection(connection)
    if not driver.is_in_transaction():
        raise TransactionError("the connection is not inside a transaction: begin one first")
    yield connection


async def _commit(transaction: Transaction) -> None:
    async with asyncio.timeout(COMMIT_TIMEOUT):
        await transaction.commit()


async def _roll_back(connection: asyncpg.Connection, transaction: Transaction) -> None:
    # What the job raised is what counts: a connection that fails here is thrown away.
    try:
        async with asyncio.timeout(SHORT_TIMEOUT):
            await transaction.rollback()
    except BaseException as error:
        abort(connection)
        if not isinstance(error, Exception):
            raise


async def _carried_through(commit: Coroutine[Any, Any, None]) -> None:
    # A commit that was cut off may or may not have happened: we wait for what it says.
    task = asyncio.ensure_future(commit)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    task.result()
