"""Whoever is cancelled during a statement of ours leaves no connection inside a transaction."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from asyncjobs import PostgresAdapter
from asyncjobs.storage.postgres.lanes import Lanes
from asyncjobs.storage.postgres.transactions import transaction
from asyncjobs.worker.identity import this_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

TURNS = range(1, 40)
"""Turns of the event loop after which a task is cancelled: some transactions still begin then,
others end."""


@pytest.fixture
async def outside(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def adapter(dsn: str) -> AsyncIterator[PostgresAdapter]:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    yield adapter
    await adapter.close()


async def cancel_after(turns: int, work: Coroutine[Any, Any, object]) -> None:
    task = asyncio.create_task(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("statements", [0, 1])
async def test_what_follows_a_cancelled_transaction_is_committed(
    adapter: PostgresAdapter, outside: asyncpg.Connection, statements: int
) -> None:
    lane = Lanes(adapter._source(), adapter.schema).fleet

    async def work() -> None:
        async with lane.connection() as connection, transaction(connection):
            for _ in range(statements):
                await connection.execute("select 1")

    await outside.execute("create table notes (turns int)")
    for turns in TURNS:
        await cancel_after(turns, work())
        await lane.fetch("insert into notes values ($1)", turns)
        assert await outside.fetchval("select count(*) from notes") == turns
    await lane.close()


async def test_workers_are_registered_and_gone_after_a_cancelled_rescue(
    adapter: PostgresAdapter, outside: asyncpg.Connection
) -> None:
    info = this_process("w", group="g", queues=["default"], lease=60.0, concurrency=1, quiet=False)
    for turns in TURNS:
        await cancel_after(turns, adapter.rescue([]))
        worker = await adapter.register(info)
        seen = "select count(*) from asyncjobs.workers where id = $1"
        assert await outside.fetchval(seen, worker) == 1
        await adapter.deregister(worker)
        assert await outside.fetchval(seen, worker) == 0
