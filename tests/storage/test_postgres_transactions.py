from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from asyncjobs import ConnectionKindError, JobManager, PostgresAdapter, WorkerGroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine


@pytest.fixture
async def manager(dsn: str) -> AsyncIterator[JobManager]:
    jobs = JobManager(
        adapters={"main": PostgresAdapter(dsn)}, workers=[WorkerGroup(adapter="main")]
    )
    async with jobs:
        yield jobs


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"))
    yield engine
    await engine.dispose()


@pytest.fixture
def note(manager: JobManager) -> Any:
    ran: list[str] = []

    @manager.job
    async def note(name: str) -> None:
        ran.append(name)

    note.ran = ran
    return note


async def test_a_job_of_a_rolled_back_transaction_never_runs(
    dsn: str, manager: JobManager, note: Any
) -> None:
    later = manager.create_scheduler(adapter="main")
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    stored = await later(note("x"), connection=connection)
    assert await later.get(stored.id) is None  # not yet
    await transaction.rollback()
    await connection.close()
    assert await manager.workoff() == 0
    assert await later.get(stored.id) is None


async def test_a_job_of_a_committed_transaction_runs_at_its_commit(
    dsn: str, manager: JobManager, note: Any
) -> None:
    later = manager.create_scheduler(adapter="main")
    stop = asyncio.Event()
    worker = asyncio.create_task(manager.work(stop))
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        await later(note("a"), connection=connection)
        await later.many([note("b"), note("c")], connection=connection)
        await asyncio.sleep(0.1)
        assert not note.ran
    while len(note.ran) < 3:
        await asyncio.sleep(0.005)
    stop.set()
    await worker
    await connection.close()


async def test_a_pooled_connection_is_accepted(dsn: str, manager: JobManager, note: Any) -> None:
    later = manager.create_scheduler(adapter="main")
    async with (
        asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        await later(note("pooled"), connection=connection)
    await manager.workoff()
    assert note.ran == ["pooled"]


async def test_a_connection_that_converts_json_itself_is_accepted(
    dsn: str, manager: JobManager, note: Any
) -> None:
    later = manager.create_scheduler(adapter="main")
    connection = await asyncpg.connect(dsn)
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=repr, decoder=repr, schema="pg_catalog")
    await later(note("x"), connection=connection)
    await connection.close()
    await manager.workoff()
    assert note.ran == ["x"]


async def test_a_wait_counts_from_the_call_and_not_from_the_transactions_start(
    dsn: str, manager: JobManager, note: Any
) -> None:
    later = manager.create_scheduler(adapter="main")
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        before = await connection.fetchval("select now()")
        await connection.execute("select pg_sleep(0.2)")
        stored = await later(note("x"), wait=1, connection=connection)
    await connection.close()
    assert (stored.run_at - before).total_seconds() >= 1.2


@pytest.mark.parametrize("commits", [True, False])
async def test_an_sqlalchemy_session_is_a_transaction_from_its_first_word(
    manager: JobManager, note: Any, engine: AsyncEngine, commits: bool
) -> None:
    later = manager.create_scheduler(adapter="main")
    async with AsyncSession(engine) as session:
        stored = await later(note("x"), connection=session)  # nothing was said before
        assert await later.get(stored.id) is None
        await session.execute(text("select 1"))
        await (session.commit() if commits else session.rollback())
    assert await manager.workoff() == int(commits)


@pytest.mark.parametrize("commits", [True, False])
async def test_an_sqlalchemy_connection_is_accepted(
    manager: JobManager, note: Any, engine: AsyncEngine, commits: bool
) -> None:
    later = manager.create_scheduler(adapter="main")
    async with engine.connect() as connection:
        await later.many([note("x"), note("y")], connection=connection)
        await (connection.commit() if commits else connection.rollback())
    assert await manager.workoff() == (2 if commits else 0)


async def test_other_connections_are_refused_by_name(manager: JobManager, note: Any) -> None:
    later = manager.create_scheduler(adapter="main")
    with pytest.raises(ConnectionKindError, match=r"asyncpg.*got builtins\.dict"):
        await later(note("x"), connection={})


async def test_the_error_of_a_bad_row_leaves_the_users_transaction_to_the_user(
    dsn: str, manager: JobManager, note: Any
) -> None:
    later = manager.create_scheduler(adapter="main")
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        with pytest.raises(TypeError):
            await later(note(7), connection=connection)
        await later(note("x"), connection=connection)
    await connection.close()
    assert await manager.workoff() == 1
