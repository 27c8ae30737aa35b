"""Connections with one purpose each.

asyncpg's pool resets a connection by four statements whenever one is returned. What runs
all the time has a connection of its own instead, which also keeps its prepared statements.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import NotOpenError, StorageError, StorageUnavailableError
from asyncjobs.storage.postgres.borrowed import is_closed
from asyncjobs.storage.postgres.capabilities import LACKING
from asyncjobs.storage.postgres.failures import UNAVAILABLE, translate
from asyncjobs.storage.postgres.statements import Statements
from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT, transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import asyncpg

    from asyncjobs.errors import AsyncJobsError
    from asyncjobs.storage.postgres.source import ConnectionSource

STATEMENT_TIMEOUT = 60.0
"""Seconds after which a silent server counts as gone, for what people ask."""
CLOSE_TIMEOUT = 2.0
"""Seconds for the statement that still runs when everything ends."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between a connection that could not be made and the next try, whoever wants one."""
UNREPLICATED = (
    "it was committed on the primary, but somebody cut off the wait for the synchronous "
    "standby: it is lost if the primary is"
)


class Lane:
    """One connection that is made when first used, and again after it broke."""

    def __init__(
        self,
        source: ConnectionSource,
        schema: str,
        purpose: str,
        *,
        timeout: float = HOT_TIMEOUT,
        is_hot: bool = False,
        on_silence: Callable[[], None],
        on_return: Callable[[], None] | None = None,
    ) -> None:
        self._source, self.purpose, self._schema = source, purpose, schema
        self._timeout, self._on_silence, self._on_return = timeout, on_silence, on_return
        self._is_hot = is_hot
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        self._closed = False
        self._lost = False
        self._pause, self._not_before = FIRST_PAUSE, 0.0
        self._unreplicated = False
        self.took = 0.0
        """Seconds for which the connection was last used, without the wait for it."""
        self.read_committed = True
        """Whether a statement by itself is READ COMMITTED; otherwise it gets a transaction."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None and not is_closed(self._connection)

    @property
    def is_busy(self) -> bool:
        """Whether somebody uses it, or waits for it to be made."""
        return self._lock.locked()

    async def fetch(
        self, statement: str, *args: Any, timeout: float | None = None
    ) -> Sequence[asyncpg.Record]:
        """Run *statement* and return its rows.

        Raises StorageUnavailableError, after which the next call tries a new connection.
        """
        timeout = self._timeout if timeout is None else timeout
        # Without `connection`, which costs as much as half of asyncpg's own work.
        async with self._lock:
            try:
                connection = await self._connected()
                began = time.monotonic()
                if self.read_committed:
                    rows = await connection.fetch(statement, *args, timeout=timeout)
                else:
                    async with transaction(connection):
                        rows = await connection.fetch(statement, *args, timeout=timeout)
                self.took = time.monotonic() - began
                self._check_replicated()
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
                connection = await self._connected()
                began = time.monotonic()
                if self.read_committed:
                    yield connection
                else:
                    async with transaction(connection):
                        yield connection
                self.took = time.monotonic() - began
                self._check_replicated()
            except BaseException as error:
                if (known := self._after(error)) is None:
                    raise
                raise known from error

    def suspect(self) -> None:
        """Give up the connection, unless a statement is about to show whether it works."""
        if not self._lock.locked():
            self._drop()

    @contextlib.asynccontextmanager
    async def transaction(
        self, timeout: float | None = None, settings: str = ""
    ) -> AsyncIterator[asyncpg.Connection]:
        """Give the connection for statements that take effect together, with *settings*."""
        async with (
            self.connection() as connection,
            asyncio.timeout(self._timeout if timeout is None else timeout),
            transaction(connection, settings),
        ):
            yield connection

    async def close(self) -> None:
        """Close the connection, after the statement that runs on it."""
        self._closed = True
        await self.release()

    async def release(self) -> None:
        """Let go of the connection; the next call makes another one."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT), self._lock:
                if self._connection is not None:
                    with contextlib.suppress(*UNAVAILABLE):
                        self._connection.remove_log_listener(self._on_log)
                        await self._source.give_back(self._connection)
                    self._connection = None
        except TimeoutError:
            self._drop()
        self._lost = False

    def _check_replicated(self) -> None:
        if self._unreplicated:
            raise StorageUnavailableError(UNREPLICATED)

    def _after(self, error: BaseException) -> AsyncJobsError | None:
        connection = self._connection
        if isinstance(error, StorageError) or connection is None:
            return translate(error, self._schema)
        is_gone = is_closed(connection)
        # In a transaction: cancelled before it could roll back.
        if is_gone or isinstance(error, UNAVAILABLE) or connection.is_in_transaction():
            self._drop()
        if isinstance(error, TimeoutError):
            self._on_silence()
        known = translate(error, self._schema)
        if known is None and is_gone and isinstance(error, Exception):
            # Whatever the driver made of the loss.
            return StorageUnavailableError(f"{type(error).__name__}: {error}")
        return known

    async def _connected(self) -> asyncpg.Connection:
        if self._closed:
            raise NotOpenError
        self._unreplicated = False
        if (connection := self._connection) is not None and (
            is_closed(connection) or connection.is_in_transaction()
        ):
            # The transaction is of somebody who was cancelled: ours would never be committed.
            self._drop()
        if self._connection is None:
            self._connection = await self._connect()
            self._connection.add_log_listener(self._on_log)
            if self._lost and self._on_return is not None:
                self._on_return()
            self._lost = False
        return self._connection

    async def _connect(self) -> asyncpg.Connection:
        # However many callers want something of a database that is away, and however soon they
        # come back, it is asked for a connection about once a second.
        await asyncio.sleep(self._not_before - time.monotonic())
        try:
            connection = await self._source.take(self.purpose)
            if self._is_hot:
                await self._plan_by_index(connection)
        except Exception:
            self._not_before = time.monotonic() + self._pause * random.uniform(0.5, 1.0)  # noqa: S311
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            raise
        self._pause = FIRST_PAUSE
        return connection

    async def _plan_by_index(self, connection: asyncpg.Connection) -> None:
        # In the simple protocol, which knows no parameters: nothing is prepared, in one round trip.
        pid = str(int(connection.get_server_pid()))
        statement = Statements.load(self._schema).plan_by_index.replace("$1", pid)
        try:
            await connection.execute(statement, timeout=self._timeout)
        except BaseException as error:
            if isinstance(error, LACKING):  # a server that has no such settings
                return
            self._source.throw_away(connection)
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._source.throw_away(self._connection)
            self._connection = None
            self._lost = True

    def _on_log(self, _: object, message: Any) -> None:
        # The server cannot take a commit back when the wait for the standby is cut off: it
        # answers as always, and warns. The text may be in any language, its source is not.
        if getattr(message, "server_source_filename", None) == "syncrep.c":
            self._unreplicated = True


class Lanes:
    """The lanes of one adapter. *on_return* is called when claims work again after a loss."""

    def __init__(
        self, source: ConnectionSource, schema: str, on_return: Callable[[], None] | None = None
    ) -> None:
        self.source = source
        make = partial(Lane, source, schema, on_silence=self.suspect)
        hot = partial(make, is_hot=True)
        self.enqueue = hot("enqueue")
        """Gathered calls of `later`."""
        self.unique = hot("unique")
        """The same for unique jobs, which may wait for a transaction of somebody else."""
        self.claim = hot("claim", on_return=on_return)
        self.finish = hot("finish")
        self.fleet = hot("fleet")
        """Heartbeats, rescue and promotion: short, and never behind the jobs themselves."""
        self.admin = make("admin", timeout=STATEMENT_TIMEOUT)
        """What people ask for; it may take long."""
        self.watch = make("watch", timeout=STATEMENT_TIMEOUT)
        """What waits for jobs: short, and never behind what takes long."""
        self.overview = make("overview", timeout=STATEMENT_TIMEOUT)
        """What dashboards ask for all the time; it never waits behind what takes long."""
        self.all = (
            self.enqueue,
            self.unique,
            self.claim,
            self.finish,
            self.fleet,
            self.admin,
            self.watch,
            self.overview,
        )

    def to_look(self) -> Lane:
        """Return the lane of dashboards, or that of people's questions if only this one is free."""
        return self.admin if self.overview.is_busy and not self.admin.is_busy else self.overview

    def suspect(self) -> None:
        """Make new connections: one of ours went silent, as all do when a router forgets them."""
        for lane in self.all:
            lane.suspect()

    def isolate(self) -> None:
        """Put every statement into a transaction that is READ COMMITTED."""
        for lane in self.all:
            lane.read_committed = False

    async def close(self) -> None:
        """Close all connections."""
        for lane in self.all:
            await lane.close()
