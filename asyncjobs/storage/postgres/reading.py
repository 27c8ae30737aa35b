"""Reading for those who look: planned for indexes, and cut off when it takes too long."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from asyncjobs.storage.postgres.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from asyncjobs.storage.postgres.lanes import Lane

SETTINGS = """
set local random_page_cost = 1.1;
set local jit = off;
set local statement_timeout = '5s';
"""
"""A page that takes longer says so instead of loading the database."""


@asynccontextmanager
async def reading(lane: Lane) -> AsyncIterator[Any]:
    """Give the connection of *lane* for some statements."""
    async with lane.connection() as connection, transaction(connection, SETTINGS):
        yield connection


async def read(lane: Lane, statement: str, *values: Any) -> Sequence[Any]:
    """Return the rows of one statement."""
    async with reading(lane) as connection:
        rows: Sequence[Any] = await connection.fetch(statement, *values)
    return rows
