"""Waiting for rows that somebody's open transaction has locked, without holding up others.

A connection that several callers share is not kept by one of them for as long as a transaction
of the application lasts, which may be one that this caller has to end first.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

from asyncjobs.errors import KeyInDoubtError
from asyncjobs.storage.postgres.failures import in_doubt
from asyncjobs.storage.postgres.lanes import STATEMENT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import asyncpg

    from asyncjobs.storage.postgres.lanes import Lane

T = TypeVar("T")
PATIENCE = "100ms"
"""How long the connection is kept for a wait."""
PATIENT = f"set local lock_timeout = '{PATIENCE}';"
DONE = "set local lock_timeout to default"
"""For the commit, which waits for those of all who notify, too: that is a matter of load."""
THESE_JOBS = "one of these jobs"
PAUSE = 0.05
"""Seconds between two waits, in which others have it."""


async def patiently(lane: Lane, what: str, ask: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Return what *ask* does in a transaction of *lane*, as soon as nobody else holds *what*.

    Raises KeyInDoubtError about that after `STATEMENT_TIMEOUT`.
    """
    give_up_at = time.monotonic() + STATEMENT_TIMEOUT
    while True:
        try:
            async with lane.transaction(settings=PATIENT) as connection:
                with in_doubt(what):
                    found = await ask(connection)
                await connection.execute(DONE)
            return found
        except KeyInDoubtError:
            if time.monotonic() >= give_up_at:
                raise
        await asyncio.sleep(PAUSE)


async def fetch_patiently(
    lane: Lane, what: str, statement: str, *args: Any
) -> Sequence[asyncpg.Record]:
    """Return the rows of one *statement*, as `patiently` does."""

    async def ask(connection: asyncpg.Connection) -> Sequence[asyncpg.Record]:
        rows: Sequence[asyncpg.Record] = await connection.fetch(statement, *args)
        return rows

    return await patiently(lane, what, ask)
