"""A rolling deploy: workers of older and of newer code on one database, old and new."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from crew import until

from asyncjobs.storage.postgres.migrate import all_migrations
from asyncjobs.storage.postgres.statements import Statements, for_schema

if TYPE_CHECKING:
    from crew import Crew, Database

GROUP = {
    "lease": 3, "heartbeat_interval": 0.5, "delete_successful_jobs": False, "shutdown_timeout": 0,
}  # fmt: skip
NEWEST = all_migrations()[-1].version


async def test_jobs_of_newer_code_wait_for_a_worker_that_knows_them(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    older = crew.start_worker()
    await older.logged("worker.started")
    jobs = await crew.store("newer", count=30)
    known = await crew.store("quick", count=30, number=1)
    await database.until("count(*) = 30 from asyncjobs.jobs where state = 'scheduled'")
    await until(lambda: set(known) <= crew.record().succeeded())
    rows = [row for row in await database.rows() if row.id in jobs]
    assert {(row.attempt, row.errors) for row in rows} == {(0, None)}
    assert [event["job"] for event in older.events("job.unknown")] == ["newer"]

    os.kill(older.process.pid, signal.SIGTERM)
    await older.ended()
    await database.fetch(  # so that they do not come by themselves
        "update asyncjobs.jobs set run_at = now() + interval '50 s' where state = 'scheduled'"
    )
    crew.start_worker(CHAOS_NEWER="1")
    await until(lambda: set(jobs) <= crew.record().succeeded())
    assert not await database.value(
        "select exists (select from asyncjobs.jobs "
        "where attempted_at > created_at + interval '50 s')"
    )
    assert {row.attempt for row in await database.rows()} == {1}


async def test_workers_of_both_kinds_run_everything(make_crew: Any, database: Database) -> None:
    crew: Crew = make_crew(GROUP)
    older, newer = crew.start_worker(), crew.start_worker(CHAOS_NEWER="1")
    for worker in (older, newer):
        await worker.logged("worker.started")
    jobs = await crew.store("newer", count=50)
    jobs += await crew.store("quick", count=50, number=1)
    await until(lambda: len(crew.record().succeeded()) >= 50)
    await database.until("not exists (select from asyncjobs.jobs where state = 'available')")
    os.kill(older.process.pid, signal.SIGTERM)
    await older.ended()
    crew.start_worker(CHAOS_NEWER="1")  # what the older one postponed is offered to it
    await until(lambda: set(jobs) <= crew.record().succeeded())
    assert {row.attempt for row in await database.rows()} == {1}


@pytest.fixture
async def older_dsn(durable_dsn: str, request: pytest.FixtureRequest) -> str:
    """The database with the schema of an earlier version."""
    connection = await asyncpg.connect(durable_dsn)
    await connection.execute("drop schema asyncjobs cascade")
    for step in all_migrations()[: request.param]:
        await connection.execute(for_schema(step.text, "asyncjobs"))
        record = Statements.load("asyncjobs").record_migration
        await connection.execute(record, step.version, step.name, step.checksum, step.needs)
    await connection.close()
    return durable_dsn


@pytest.mark.parametrize("older_dsn", range(1, NEWEST), indirect=True)
async def test_workers_do_all_they_can_on_an_older_schema(
    older_dsn: str, make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    first = crew.start_worker(CHAOS_ALONE="one")
    [job] = await crew.store("endless")
    [unknown] = await crew.store("newer")
    await until(lambda: job in crew.record().runs, first.log.read_text)
    await database.until("exists (select from asyncjobs.jobs where state = 'scheduled')")
    crew.kill(first.process.pid)
    second = crew.start_worker(CHAOS_ALONE="two", CHAOS_NEWER="1", CHAOS_GRACE="0.1")
    await until(lambda: len(crew.record().runs[job]) == 2, second.log.read_text)
    await until(lambda: unknown in crew.record().succeeded())
    [thread] = await crew.store("threaded", seconds=600)
    await until(lambda: thread in crew.record().runs)
    os.kill(second.process.pid, signal.SIGTERM)
    assert await second.ended() == 0
    rows = {row.id: (row.state, row.attempt) for row in await database.rows()}
    assert rows[job] == ("available", 1)
    assert rows[unknown] == ("succeeded", 1)
    assert rows[thread] == ("running", 1)
    assert second.events("worker.unregistered") == []
