"""The app's own connections, to the same database that its jobs are stored in."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def database_url() -> str:
    """Return the address that PostgresAdapter() finds too: one transaction needs one database.

    Raises RuntimeError if there is none.
    """
    url = os.environ.get("ASYNCJOBS_DATABASE_URL") or os.environ.get("DATABASE_URL")
    if not url:
        raise RuntimeError("set DATABASE_URL, or run demo.py, which starts a PostgreSQL")
    return url


def create_pool() -> asyncpg.Pool:
    """Return the pool of the web process, to be entered with ``async with``."""
    return asyncpg.create_pool(database_url(), min_size=1, max_size=10)


@asynccontextmanager
async def connect() -> AsyncIterator[asyncpg.Connection]:
    """Open a connection for one job: a worker process has no app, and so no pool."""
    connection = await asyncpg.connect(database_url())
    try:
        yield connection
    finally:
        await connection.close()
