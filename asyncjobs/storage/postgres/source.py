"""Where the lanes get their connections: a DSN, or the user's own pool."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
import asyncpg

from asyncjobs import settings
from asyncjobs.errors import ConfigError, DatabaseNotConfiguredError
from asyncjobs.storage.postgres.address import has_possible_ports, unreachable, unusable
from asyncjobs.storage.postgres.borrowed import abort
from asyncjobs.storage.postgres.hosts import Host, Primary, alone, several_hosts
from asyncjobs.storage.postgres.sockets import keep_alive

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asyncpg.pool import PoolConnectionProxy

CONNECT_TIMEOUT = 10.0
"""Seconds."""
CANCEL_TIMEOUT = 1.0
LANES = 9
"""Connections that an adapter holds at most: eight lanes and the listener."""
UNCACHED = {"doctor", "health", "listen", "migrate"}
"""Purposes whose few statements are not worth a name, which poolers may forget."""


def check_reach(*, dsn: object, listen_dsn: object, connect: object, pool: object) -> None:
    """Raise ConfigError for what leads to no database. It does not show what may hold secrets."""
    for name, address in (("dsn", dsn), ("listen_dsn", listen_dsn)):
        if not isinstance(address, str | None):
            kind = type(address).__name__
            raise ConfigError(f"{name} must be text, as 'postgresql://app@db/app', got: {kind}")
    if not isinstance(connect, Mapping | None):
        kind = type(connect).__name__
        raise ConfigError(f"connect must be options of asyncpg.connect by name, got: {kind}")
    if pool is not None and not hasattr(pool, "get_max_size"):
        raise ConfigError(f"pool must be an asyncpg.Pool, got {pool!r}")


def find_dsn(dsn: str | None) -> str:
    """Return *dsn*, or what the settings say. Raises DatabaseNotConfiguredError.

    SQLAlchemy's way to write it, ``postgresql+asyncpg://``, is understood.
    """
    found = settings.find("database_url", dsn or None)
    if found is None:
        raise DatabaseNotConfiguredError
    scheme, colon, rest = found.value.partition("://")
    return f"{scheme.partition('+')[0]}{colon}{rest}" if colon else found.value


class ConnectionSource(Protocol):
    """Gives connections to lanes."""

    def keep_no_statements(self) -> bool:
        """Prepare no statement under a name from now on; return whether that changes anything."""
        ...

    async def take(self, purpose: str) -> asyncpg.Connection:
        """Return a connection for *purpose*."""
        ...

    async def give_back(self, connection: asyncpg.Connection) -> None:
        """Take a healthy connection back."""
        ...

    def throw_away(self, connection: asyncpg.Connection) -> None:
        """Take a broken connection back; does not wait."""
        ...


class DsnSource:
    """Opens a connection for each lane; of several hosts, to the one that is the primary.

    *primary* remembers which that is, and may be shared.
    """

    def __init__(
        self, dsn: str | None, options: Mapping[str, Any], primary: Primary | None = None
    ) -> None:
        self._dsn, self._options = dsn, dict(options)
        self._primary = primary or Primary()

    def keep_no_statements(self) -> bool:
        """Prepare none from the next connection on, unless the options say how many."""
        changes = "statement_cache_size" not in self._options
        self._options.setdefault("statement_cache_size", 0)
        return changes

    async def take(self, purpose: str) -> asyncpg.Connection:
        """Open a connection that names its purpose in pg_stat_activity.

        Raises ConfigError for a DSN that makes no sense, StorageUnavailableError or TimeoutError
        where nobody answers.
        """
        session = {
            "application_name": f"asyncjobs {purpose}",
            **self._options.get("server_settings", {}),
        }
        options = {"timeout": CONNECT_TIMEOUT, **self._options, "server_settings": session}
        if purpose in UNCACHED:
            options.setdefault("statement_cache_size", 0)
        dsn = find_dsn(self._dsn)
        if not has_possible_ports(dsn, self._options):
            raise unusable(self._whose(), dsn, self._options)
        try:
            connection = await self._connect(dsn, options)
        except (ValueError, OverflowError, asyncpg.ClientConfigurationError) as error:
            if isinstance(error, ConfigError):
                raise
            del error  # it may quote the password
            raise unusable(self._whose(), dsn, self._options) from None
        except OSError as error:
            told = unreachable(dsn, self._options, error)
            if told is error:
                raise
            raise told from None
        keep_alive(connection)
        return connection

    async def _connect(self, dsn: str, options: Mapping[str, Any]) -> asyncpg.Connection:
        hosts = several_hosts(dsn, options)
        if not hosts:
            return await _connect(dsn, options)

        def connect(host: Host) -> Awaitable[asyncpg.Connection]:
            return _connect(*alone(host, dsn, options))

        return await self._primary.find(hosts, connect)

    def _whose(self) -> str:
        found = settings.find("database_url", self._dsn or None)
        origin = "" if found is None or found.origin == settings.CODE else f" (from {found.origin})"
        return f"the database's address{origin}"

    async def give_back(self, connection: asyncpg.Connection) -> None:
        """Close the connection."""
        await connection.close(timeout=5)

    def throw_away(self, connection: asyncpg.Connection) -> None:
        """Abort the connection."""
        connection.terminate()


async def _connect(dsn: str, options: Mapping[str, Any]) -> asyncpg.Connection:
    # asyncpg complains through the event loop when it is cancelled while it connects: let it
    # come to an end, unless the server is silent.
    task = asyncio.ensure_future(asyncpg.connect(dsn, **options))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT)
        if not task.done():
            task.cancel()
        elif task.exception() is None:
            task.result().terminate()
        raise


class PoolSource:
    """Borrows a connection for each lane from the user's pool, and keeps it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        if pool.get_max_size() <= LANES:
            raise ConfigError(
                f"the pool must allow more than {LANES} connections, because asyncjobs keeps up "
                f"to {LANES} of them; got max_size {pool.get_max_size()}"
            )
        self._pool = pool

    def keep_no_statements(self) -> bool:
        """Do nothing: only whoever made the pool can."""
        return False

    async def take(self, purpose: str) -> asyncpg.Connection:
        """Acquire a connection."""
        return await self._pool.acquire(timeout=CONNECT_TIMEOUT)  # type: ignore[return-value]

    async def give_back(self, connection: asyncpg.Connection) -> None:
        """Release the connection."""
        await self._pool.release(cast("PoolConnectionProxy", connection))

    def throw_away(self, connection: asyncpg.Connection) -> None:
        """Abort the connection; the pool opens another when it needs one."""
        abort(connection)
