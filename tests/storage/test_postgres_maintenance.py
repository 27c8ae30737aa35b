"""What is said of tables and indexes, and what mends them; on real ones, in a small size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
import structlog

from asyncjobs import PostgresAdapter
from asyncjobs.errors import StorageUnavailableError
from asyncjobs.glance.findings import findings
from asyncjobs.storage.postgres import maintenance
from asyncjobs.testing.contract.steps import a_worker
from asyncjobs.worker.maintenance import Maintenance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.storage.maintenance import Ailment

PATIENCE = 60.0
FILL = """
insert into asyncjobs.jobs (id, position, name, queue, args, run_at, state)
select n, n, 'noop', 'default', '{}', now(), 'available' from generate_series(1, 20000) as n
"""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "LEAST_BYTES", 200_000)
    monkeypatch.setattr(maintenance, "LEAST_DEAD", 1_000)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    for table in ("jobs", "workers", "statistics"):
        await connection.execute(f"alter table asyncjobs.{table} set (autovacuum_enabled = false)")
    yield connection
    await connection.close()


async def fill(connection: asyncpg.Connection, dsn: str) -> None:
    await change(dsn, FILL)
    await connection.execute("vacuum analyze asyncjobs.jobs")


async def change(dsn: str, statement: str) -> None:
    # By a connection of its own: its end brings the numbers of rows to the statistics at once,
    # and not after a vacuum, for which the dead rows of a delete would count anew.
    other = await asyncpg.connect(dsn)
    await other.execute(statement)
    await other.close()


async def ailments_named(
    names: set[str], storage: PostgresAdapter, connection: asyncpg.Connection
) -> dict[str, Ailment]:
    """Return what ails by its name, once the server's statistics have come to *names*.

    Before PostgreSQL 15 they may be half a second old, and an idle connection keeps its own.
    """
    with anyio.fail_after(PATIENCE):
        while True:
            found = {ailment.name: ailment for ailment in await storage.maintenance.ailments()}
            if found.keys() == names:
                return found
            await connection.execute("select 1")
            await asyncio.sleep(0.05)


@pytest.fixture
async def storage(dsn: str) -> AsyncIterator[PostgresAdapter]:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    yield adapter
    await adapter.close()


async def look_after(storage: PostgresAdapter, *, mends: bool) -> Any:
    """Have one worker do all there is to do, and return what came of the tables."""
    one = Maintenance(storage, ["default"], None, structlog.get_logger(), mends=mends)
    one.worker = await storage.register(a_worker("worker"))
    assert "look after tables" in await one.do_due()
    found = {task.task: task for task in await storage.maintenance.tasks()}
    return found["look after tables"]


async def sizes(connection: asyncpg.Connection) -> dict[str, int]:
    rows = await connection.fetch(
        "select indexrelname, pg_relation_size(indexrelid) from pg_stat_user_indexes"
    )
    return dict(rows)


async def test_a_new_schema_needs_nothing(storage: PostgresAdapter) -> None:
    assert await storage.maintenance.ailments() == []
    task = await look_after(storage, mends=False)
    assert (task.done, task.report, task.problem) == (0, None, None)


async def test_a_full_index_is_not_bloated(
    storage: PostgresAdapter, connection: asyncpg.Connection, dsn: str
) -> None:
    await fill(connection, dsn)
    assert (await sizes(connection))["jobs_available"] > 200_000
    assert await storage.maintenance.ailments() == []


async def test_a_bloated_index_is_told_of_and_rebuilt_where_that_is_allowed(
    storage: PostgresAdapter, connection: asyncpg.Connection, dsn: str
) -> None:
    await fill(connection, dsn)
    await change(dsn, "delete from asyncjobs.jobs where id > 10")
    await connection.execute("vacuum analyze asyncjobs.jobs")
    before = await sizes(connection)
    found = await ailments_named({"jobs_available", "jobs_pkey"}, storage, connection)
    assert found["jobs_available"].kind == "bloated index"
    remedy = 'reindex index concurrently "asyncjobs"."jobs_available";'
    assert found["jobs_available"].remedy == remedy

    told = await look_after(storage, mends=False)
    assert told.done == 0
    assert remedy in told.report
    [finding] = [
        finding
        for finding in findings(None, [], [], [told], told.ended_at)
        if "look after" in finding.what
    ]
    assert remedy in finding.what
    assert "mend_tables=True" in finding.advice
    untouched = await sizes(connection)
    assert all(untouched[name] == before[name] for name in found)

    await connection.execute("update asyncjobs.maintenance set due_at = now()")
    mended = await look_after(storage, mends=True)
    assert (mended.done, mended.problem) == (2, None)
    assert "Mended:" in mended.report
    after = await sizes(connection)
    assert all(after[name] < before[name] / 10 for name in found)
    with anyio.fail_after(60):
        while await storage.maintenance.ailments():  # autovacuum was at the table just then
            await connection.execute("update asyncjobs.maintenance set due_at = now()")
            await look_after(storage, mends=True)


async def test_dead_rows_are_told_of_and_removed(
    storage: PostgresAdapter, connection: asyncpg.Connection, dsn: str
) -> None:
    await fill(connection, dsn)
    await change(dsn, "delete from asyncjobs.jobs where id > 10")
    [ailment] = (await ailments_named({"jobs"}, storage, connection)).values()
    assert (ailment.kind, ailment.name) == ("dead rows", "jobs")
    assert ailment.remedy == 'vacuum (analyze, skip_locked) "asyncjobs"."jobs";'
    await storage.maintenance.mend(ailment)
    with anyio.fail_after(PATIENCE):
        while any(one.kind == "dead rows" for one in await storage.maintenance.ailments()):
            await asyncio.sleep(0.05)
    assert await connection.fetchval("select pg_relation_size('asyncjobs.jobs')") < 100_000


async def test_what_a_rebuild_left_that_was_cut_off_is_removed(
    storage: PostgresAdapter, connection: asyncpg.Connection, dsn: str
) -> None:
    await fill(connection, dsn)
    for index in ("jobs_x_ccnew1", "jobs_y"):
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(
                f"create unique index concurrently {index} on asyncjobs.jobs (name)"
            )
    found = {ailment.name: ailment for ailment in await storage.maintenance.ailments()}
    assert {ailment.kind for ailment in found.values()} == {"broken index"}
    assert found["jobs_y"].remedy.startswith("reindex index concurrently")
    left = found["jobs_x_ccnew1"]
    assert left.remedy == 'drop index concurrently if exists "asyncjobs"."jobs_x_ccnew1";'
    await storage.maintenance.mend(left)
    assert [ailment.name for ailment in await storage.maintenance.ailments()] == ["jobs_y"]

    task = await look_after(storage, mends=True)  # its rows are as they were
    assert task.done == 0
    assert "jobs_y" in task.problem
    assert "UniqueViolation" in task.problem or "duplicate" in task.problem


async def test_nothing_is_mended_while_an_old_transaction_is_open(
    storage: PostgresAdapter,
    connection: asyncpg.Connection,
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maintenance, "OLD_SNAPSHOT", 0.0)
    await fill(connection, dsn)
    await change(dsn, "delete from asyncjobs.jobs")
    await connection.execute("vacuum analyze asyncjobs.jobs")
    found = await ailments_named({"jobs_available", "jobs_pkey"}, storage, connection)
    first = found["jobs_pkey"]
    old = await asyncpg.connect(dsn)
    await old.execute("begin transaction isolation level repeatable read")
    await old.fetchval("select count(*) from asyncjobs.jobs")
    with pytest.raises(StorageUnavailableError, match="nothing can be mended until it ends"):
        await storage.maintenance.mend(first)
    await old.close()


async def test_jobs_flow_while_an_index_is_rebuilt(
    storage: PostgresAdapter, connection: asyncpg.Connection, dsn: str
) -> None:
    await fill(connection, dsn)
    worker = await storage.register(a_worker("worker"))
    rebuild = storage.maintenance._bloated("jobs_available", 1, 1)
    mending = asyncio.create_task(storage.maintenance.mend(rebuild))
    claimed = 0
    with anyio.fail_after(PATIENCE):
        while not mending.done():
            claimed += len(await storage.claim(worker, ["default"], 10))
        await mending
        while rows := await storage.claim(worker, ["default"], 1_000):
            claimed += len(rows)
    assert claimed == 20_000


async def test_a_rebuild_that_is_cut_off_is_finished_by_the_next_look(
    storage: PostgresAdapter, connection: asyncpg.Connection, dsn: str
) -> None:
    await fill(connection, dsn)
    blocker = await asyncpg.connect(dsn)
    await blocker.execute("begin")
    await blocker.execute("update asyncjobs.jobs set priority = 1 where id = 1")
    rebuild = storage.maintenance._bloated("jobs_available", 1, 1)
    mending = asyncio.create_task(storage.maintenance.mend(rebuild))
    with anyio.fail_after(PATIENCE):  # it waits for the transaction, with a new index half made
        while not await connection.fetchval(
            "select count(*) from pg_class where relname like 'jobs_available_ccnew%'"
        ):
            await asyncio.sleep(0.01)
        mending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await mending
        await blocker.execute("rollback")
        while not (left := await storage.maintenance.ailments()):
            await asyncio.sleep(0.05)
    assert [ailment.kind for ailment in left] == ["broken index"]
    for ailment in left:
        await storage.maintenance.mend(ailment)
    assert await storage.maintenance.ailments() == []
    await blocker.close()
