"""How an adapter reaches its database, for tools that look at it by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncjobs.settings import Resolved
    from asyncjobs.storage.postgres.capabilities import Capabilities
    from asyncjobs.storage.postgres.source import ConnectionSource


class Access(NamedTuple):
    """What a PostgresAdapter was told, and where it gets connections."""

    source: ConnectionSource
    listening: ConnectionSource
    """Where the connection that listens comes from."""
    address: Resolved | None
    """The database's address and who said it; None for a pool, or if nobody said any."""
    connect: Mapping[str, Any]
    """More options of `asyncpg.connect`."""
    listens: bool
    wanted: Capabilities
    """What may be asked of the server."""
    transactions: int
    """How many jobs may be inside their own transaction at once."""
    has_pool: bool
