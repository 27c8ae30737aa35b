"""Transactions of ours, on connections that may stop to answer, and through poolers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from asyncjobs.storage.postgres.borrowed import abort
from asyncjobs.storage.postgres.failures import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

HOT_TIMEOUT = 10.0
"""Seconds after which a silent server counts as gone, for what runs all the time: well below
the lease, so that a new connection is made in time."""
CHARACTER_TIME = 1e-6
"""Seconds more for each character of what a statement stores."""

BEGIN = f"""
begin isolation level read committed;
set local idle_in_transaction_session_timeout = {HOT_TIMEOUT * 1_000:.0f};
"""
"""A server does not hear either that a connection went silent. Without the second line it would
keep the locks of such a transaction for hours."""


@contextlib.asynccontextmanager
async def transaction(connection: asyncpg.Connection, settings: str = "") -> AsyncIterator[None]:
    """Run the block in a transaction that is READ COMMITTED, or in the one there is already.

    *settings* are statements that hold for it, in the same round trip.

    A connection that does not answer is aborted; asyncpg's own transactions would wait for the
    answer to their rollback for ever. So is one whose task is cancelled, while the transaction
    begins or ends too: whoever took the connection next would be inside of it.
    """
    if connection.is_in_transaction():
        if settings:
            await connection.execute(settings, timeout=HOT_TIMEOUT)
        yield
        return
    try:
        await connection.execute(BEGIN + settings, timeout=HOT_TIMEOUT)
        try:
            yield
        except (TimeoutError, asyncio.CancelledError):
            raise
        except BaseException:
            with contextlib.suppress(*UNAVAILABLE):
                await connection.execute("rollback", timeout=HOT_TIMEOUT)
            raise
        await connection.execute("commit", timeout=HOT_TIMEOUT)
    except (TimeoutError, asyncio.CancelledError):
        abort(connection)
        raise


async def ask(connection: asyncpg.Connection, statement: str) -> asyncpg.Record:
    """Return the one row of *statement*, from a server of which nothing is known yet.

    The statement has no name, so it meets no other of that name, and stands in a transaction,
    during which a pooler does not change the server.
    """
    async with transaction(connection):
        prepared = await connection.prepare(statement, name="", timeout=HOT_TIMEOUT)
        row = await prepared.fetchrow(timeout=HOT_TIMEOUT)
    if row is None:
        raise LookupError(f"no row: {statement}")
    return row
