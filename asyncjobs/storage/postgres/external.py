"""A user's own connection, down to asyncpg's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from asyncjobs.errors import ConnectionKindError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Driver: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"

ACCEPTED = "an asyncpg connection, or an SQLAlchemy AsyncSession or AsyncConnection on asyncpg"


async def driver_connection(connection: object) -> Driver:
    """Return the asyncpg connection that *connection* is or wraps, inside its transaction.

    Raises ConnectionKindError for everything else.
    """
    if isinstance(connection, asyncpg.Connection | PoolConnectionProxy):
        return connection
    # Whoever has one of SQLAlchemy's objects has imported it: it is never imported for a check.
    sqlalchemy: Any = sys.modules.get("sqlalchemy.ext.asyncio")
    if sqlalchemy is not None:
        if isinstance(connection, sqlalchemy.AsyncSession | sqlalchemy.async_scoped_session):
            session: Any = connection
            return await _inside(await session.connection())
        if isinstance(connection, sqlalchemy.AsyncConnection):
            return await _inside(cast("AsyncConnection", connection))
    raise ConnectionKindError(f"connection must be {ACCEPTED}, got {_kind(connection)}")


async def _inside(connection: AsyncConnection) -> Driver:
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    if not isinstance(driver, asyncpg.Connection | PoolConnectionProxy):
        raise ConnectionKindError(
            f"connection must be {ACCEPTED}; this one's driver is {_kind(driver)}"
        )
    if not driver.is_in_transaction():
        # SQLAlchemy sends its BEGIN with the first statement. Without this, the job would be
        # committed at once, whatever becomes of the transaction.
        await connection.exec_driver_sql("select 1")
    return driver


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
