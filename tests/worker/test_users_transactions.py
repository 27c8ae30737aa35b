"""A job may write its success into a transaction of the user's own session or connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from asyncjobs import (
    PostgresAdapter,
    TransactionError,
    current_job,
)
from worker.effects import effects, note

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.storage.protocol import Storage


@pytest.fixture
def adapter(dsn: str) -> Storage:
    return PostgresAdapter(dsn)


@pytest.fixture
async def sessions(dsn: str) -> AsyncIterator[Any]:
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"))
    yield lambda: AsyncSession(engine)
    await engine.dispose()


INSERT = text("insert into effects values (:job)")


async def test_a_session_of_the_job_commits_its_success(
    bench: Any, database: Any, sessions: Any
) -> None:
    @bench.jobs.job
    async def pay() -> None:
        async with (
            sessions() as session,
            session.begin(),
            current_job().transaction(connection=session) as same,
        ):
            assert same is session
            await session.execute(INSERT, {"job": current_job().id})

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("succeeded", 1)
    assert await effects(database) == [stored.id]
    assert not [line for line in bench.log if line["event"] == "finish.superseded"]


async def test_a_session_that_is_rolled_back_after_the_block_fails_the_attempt(
    bench: Any, database: Any, sessions: Any
) -> None:
    @bench.jobs.job(max_attempts=1)
    async def pay() -> None:
        async with sessions() as session, session.begin():
            async with current_job().transaction(connection=session):
                await session.execute(INSERT, {"job": current_job().id})
            raise ValueError("after all")

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "failed"
    assert json.loads(record.errors)[0]["message"] == "after all"
    assert await effects(database) == []


async def test_a_session_that_nobody_commits_fails_the_attempt(
    bench: Any, database: Any, sessions: Any
) -> None:
    @bench.jobs.job(max_attempts=1)
    async def pay() -> None:
        async with sessions() as session, current_job().transaction(connection=session):
            await session.execute(INSERT, {"job": current_job().id})

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "failed"
    assert json.loads(record.errors)[0]["error"] == "NotCommittedError"
    assert await effects(database) == []


async def test_an_exception_after_the_sessions_commit_is_logged_and_not_retried(
    bench: Any, database: Any, sessions: Any
) -> None:
    @bench.jobs.job
    async def pay() -> None:
        async with sessions() as session:
            async with current_job().transaction(connection=session):
                await session.execute(INSERT, {"job": current_job().id})
            await session.commit()
        raise ValueError("too late")

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "succeeded"
    assert await effects(database) == [stored.id]
    await bench.until_logged("job.failed_late")


async def test_a_session_of_a_job_that_was_taken_over_is_rolled_back(
    bench: Any, database: Any, sessions: Any
) -> None:
    @bench.jobs.job
    async def pay() -> None:
        if current_job().attempt > 1:
            return
        async with (
            sessions() as session,
            session.begin(),
            current_job().transaction(connection=session),
        ):
            await session.execute(INSERT, {"job": current_job().id})
            await database.execute("update asyncjobs.jobs set attempt = 2")

    await bench.later(pay())
    await bench.jobs.workoff()
    assert await effects(database) == []


async def test_a_connection_of_the_job_has_to_be_inside_a_transaction(
    dsn: str, bench: Any, database: Any
) -> None:
    @bench.jobs.job
    async def pay() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            with pytest.raises(TransactionError, match="begin one first"):
                async with current_job().transaction(connection=connection):
                    pass
            async with (
                connection.transaction(),
                current_job().transaction(connection=connection) as same,
            ):
                await note(same)
        finally:
            await connection.close()

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "succeeded"
    assert await effects(database) == [stored.id]


async def test_a_call_in_a_transaction_that_was_aborted_raises_what_any_statement_does(
    bench: Any, sessions: Any, database: Any
) -> None:
    @bench.jobs.job
    async def note() -> None: ...

    storing = [{}, {"unique": True}, {"every": 60}]
    for options in storing:
        async with sessions() as session:
            with pytest.raises(DBAPIError):
                await session.execute(text("select 1 / 0"))
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                await bench.later(note(), connection=session, **options)
        transaction = database.transaction()
        await transaction.start()
        with pytest.raises(asyncpg.DivisionByZeroError):
            await database.execute("select 1 / 0")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await bench.later.many([note(), note()], connection=database)
        await transaction.rollback()
    assert await bench.storage.counts() == {}
