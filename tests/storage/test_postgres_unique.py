"""Unique jobs beside open transactions, other processes and old schemas."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import (
    JobExistsError,
    JobManager,
    NotMigratedError,
    PostgresAdapter,
    StorageUnavailableError,
    WorkerGroup,
)
from asyncjobs.storage.postgres.records import as_record
from asyncjobs.storage.postgres.statements import Statements, sql_folder
from asyncjobs.testing.contract.uniqueness import a_unique_job
from asyncjobs.types import Extras, NewJob

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 60.0


@pytest.fixture
async def jobs(dsn: str) -> AsyncIterator[Any]:
    async with a_manager(dsn) as manager:
        yield manager


@pytest.fixture
async def theirs(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


def a_manager(dsn: str) -> Any:
    manager: Any = JobManager(
        adapters={"main": PostgresAdapter(dsn)}, workers=[WorkerGroup(adapter="main")]
    )

    @manager.job
    async def note(number: int) -> None: ...

    manager.note, manager.later = note, manager.create_scheduler(adapter="main")
    return manager


async def ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def until_somebody_waits_for_a_lock(connection: Any) -> None:
    with anyio.fail_after(PATIENCE):
        while not await connection.fetchval(
            "select count(*) from pg_stat_clear_snapshot(), pg_stat_activity "
            "where datname = current_database() and wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.001)  # it waits for some milliseconds, again and again


@pytest.mark.parametrize("commits", [True, False])
async def test_a_clash_with_an_open_transaction_waits_for_its_end_and_disturbs_nobody(
    jobs: Any, theirs: Any, commits: bool
) -> None:
    transaction = theirs.transaction()
    await transaction.start()
    first = await jobs.later(jobs.note(1), unique="k", connection=theirs)
    assert first.is_new
    waiting = [
        asyncio.create_task(jobs.later(jobs.note(2), unique="k")),
        asyncio.create_task(jobs.later.many([jobs.note(3), jobs.note(4)], unique="k")),
    ]
    with anyio.fail_after(PATIENCE):
        for number in range(20):  # plain ones, and others' unique ones
            assert (await jobs.later(jobs.note(number))).is_new
            assert (await jobs.later(jobs.note(number), unique=f"other {number}")).is_new
        assert not any(task.done() for task in waiting)
        await (transaction.commit() if commits else transaction.rollback())
        one, many = await asyncio.gather(*waiting)
    stored = [one, *many]
    assert len({job.id for job in stored}) == 1
    assert (first.id == one.id) == commits
    assert sum(job.is_new for job in stored) == (0 if commits else 1)


async def calls_in_doubt(jobs: Any, theirs: Any, count: int) -> list[asyncio.Task[Any]]:
    """Callers of so many unique jobs that the transaction of *theirs* stores too."""
    calls = [jobs.note(number) for number in range(count)]
    await jobs.later.many(calls, unique=True, connection=theirs)
    tasks = [asyncio.create_task(jobs.later(jobs.note(n), unique=True)) for n in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_calls_with_many_keys_in_doubt_let_others_through(jobs: Any, theirs: Any) -> None:
    transaction = theirs.transaction()
    await transaction.start()
    waiting = await calls_in_doubt(jobs, theirs, 60)
    with anyio.fail_after(PATIENCE / 3):  # it took minutes
        for number in range(100, 200):
            assert (await jobs.later(jobs.note(number), unique=True)).is_new
    assert not any(task.done() for task in waiting)
    await transaction.rollback()
    with anyio.fail_after(PATIENCE):
        assert all([(await task).is_new for task in waiting])


async def test_callers_that_are_cancelled_in_line_store_nothing(jobs: Any, theirs: Any) -> None:
    transaction = theirs.transaction()
    await transaction.start()
    waiting = await calls_in_doubt(jobs, theirs, 200)
    await jobs.later._storer._gathered_unique._batcher.drain()  # each is in doubt by now
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await transaction.rollback()
    with anyio.fail_after(PATIENCE):
        await jobs.later.drain()
    # One may have been on its way.
    assert await theirs.fetchval("select count(*) from asyncjobs.jobs") <= 1


async def test_a_transaction_waits_for_another_ones_clash(dsn: str, jobs: Any, theirs: Any) -> None:
    other = await asyncpg.connect(dsn)
    with anyio.fail_after(PATIENCE):
        async with theirs.transaction():
            first = await jobs.later(jobs.note(1), unique="k", connection=theirs)
            async with other.transaction():
                task = asyncio.create_task(jobs.later(jobs.note(2), unique="k", connection=other))
                await until_somebody_waits_for_a_lock(theirs)
                await theirs.execute("commit; begin")
                second = await task
    await other.close()
    assert (second.id, second.is_new) == (first.id, False)


async def test_a_cancelled_caller_stops_waiting(jobs: Any, theirs: Any) -> None:
    async with theirs.transaction():
        await jobs.later(jobs.note(1), unique="k", connection=theirs)
        task = asyncio.create_task(jobs.later(jobs.note(2), unique="k"))
        await until_somebody_waits_for_a_lock(theirs)
        task.cancel()
        with anyio.fail_after(PATIENCE):
            await asyncio.wait({task})
            await jobs.later.drain()


async def test_a_clash_leaves_the_users_transaction_alive(jobs: Any, theirs: Any) -> None:
    first = await jobs.later(jobs.note(1), unique="k")
    async with theirs.transaction():
        again = await jobs.later(jobs.note(2), unique="k", connection=theirs)
        assert (again.id, again.is_new) == (first.id, False)
        with pytest.raises(JobExistsError):
            await jobs.later(jobs.note(3), unique="k", on_conflict="raise", connection=theirs)
        with pytest.raises(JobExistsError):
            await jobs.later.many(
                [jobs.note(4), jobs.note(5)], unique="k", on_conflict="raise", connection=theirs
            )
        plain = await jobs.later(jobs.note(6), connection=theirs)
    assert await jobs.later.get(plain.id) is not None
    assert await theirs.fetchval("select count(*) from asyncjobs.jobs") == 2


async def test_an_old_snapshot_that_cannot_see_the_clash_is_told_so(jobs: Any, theirs: Any) -> None:
    transaction = theirs.transaction(isolation="repeatable_read")
    await transaction.start()
    await theirs.fetchval("select 1 from asyncjobs.jobs")
    await jobs.later(jobs.note(1), unique="k")
    with pytest.raises(StorageUnavailableError, match="could not serialize"):
        await jobs.later(jobs.note(2), unique="k", connection=theirs)
    await transaction.rollback()


async def test_a_rolled_back_job_leaves_its_period_unused(jobs: Any, theirs: Any) -> None:
    transaction = theirs.transaction()
    await transaction.start()
    await jobs.later(jobs.note(1), unique="k", unique_for=60, connection=theirs)
    await transaction.rollback()
    assert (await jobs.later(jobs.note(2), unique="k", unique_for=60)).is_new


@pytest.mark.parametrize("period", [None, 3600])
async def test_many_processes_store_each_key_once(dsn: str, theirs: Any, period: Any) -> None:
    async with AsyncExitStack() as stack:
        managers = [await stack.enter_async_context(a_manager(dsn)) for _ in range(8)]
        with anyio.fail_after(PATIENCE):
            answers = await asyncio.gather(
                *[
                    jobs.later(jobs.note(number), unique=f"key {number}", unique_for=period)
                    for number in range(100)
                    for jobs in managers
                ],
                *[
                    jobs.later.many(
                        [jobs.note(number) for number in numbers], unique=True, unique_for=period
                    )
                    for jobs in managers
                    for numbers in (range(1000, 1300), range(1299, 999, -1))
                ],
            )
    singles = answers[:800]
    assert sum(one.is_new for one in singles) == len({one.id for one in singles}) == 100
    bulk = [one for many in answers[800:] for one in many]
    assert sum(one.is_new for one in bulk) == len({one.id for one in bulk}) == 300
    assert await theirs.fetchval("select count(*) from asyncjobs.jobs") == 400


async def test_replacing_beside_workers_loses_no_replacement(dsn: str, theirs: Any) -> None:
    # Whoever replaced a waiting job, or stored a new one, sees his arguments run or replaced.
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    worker = await theirs.fetchval(
        "insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid, "
        "process_started, lease) values ('w', 'g', '{default}', 'h', 'h', 1, 1, '1 hour') "
        "returning id"
    )
    ran: list[int] = []
    stop = asyncio.Event()

    async def work() -> None:
        from asyncjobs.types import Outcome

        while not stop.is_set() or (await adapter.counts()):
            claimed = await adapter.claim(worker, ["default"], 10)
            ran.extend(json.loads(job.args)["n"] for job in claimed)
            done = [Outcome(job.id, job.attempt, "succeeded", delete=True) for job in claimed]
            await adapter.finish(worker, done)
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    taken = 0
    with anyio.fail_after(PATIENCE):
        for number in range(300):
            job = a_unique_job(args=json.dumps({"n": number}), on_conflict="replace")
            [stored] = await adapter.enqueue([job])
            if stored.is_new or stored.state == "available":
                taken = number
        stop.set()
        await working
    await adapter.close()
    assert ran == sorted(set(ran))
    assert ran[-1] == taken


async def test_expired_periods_are_removed(dsn: str, jobs: Any, theirs: Any) -> None:
    await jobs.later(jobs.note(1), unique="old", unique_for=0.001)
    await jobs.later.many([jobs.note(n) for n in range(50)], unique=True, unique_for=0.001)
    await asyncio.sleep(0.01)
    assert await theirs.fetchval("select count(*) from asyncjobs.unique_keys") >= 50
    async with a_manager(dsn) as other:
        await other.later(other.note(1), unique="new", unique_for=60)
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    assert await adapter.maintenance.prune_keys(1_000) >= 50  # what workers do now and then
    await adapter.close()
    assert await theirs.fetchval("select count(*) from asyncjobs.unique_keys") == 1


async def test_on_an_older_schema_unique_jobs_are_refused_and_others_are_not(
    dsn: str, theirs: Any
) -> None:
    await theirs.execute(
        "drop table asyncjobs.unique_keys; alter table asyncjobs.jobs drop column unique_key; "
        "delete from asyncjobs.migrations where version > 3"
    )
    async with a_manager(dsn) as jobs:
        await jobs.later(jobs.note(1), tags=["x"])
        with pytest.raises(NotMigratedError):
            await jobs.later(jobs.note(1), unique=True)
        assert await jobs.clear() == 1


async def test_twenty_thousand_unique_jobs_are_stored_at_once(jobs: Any, theirs: Any) -> None:
    calls = [jobs.note(number) for number in range(20_000)]
    with anyio.fail_after(PATIENCE):
        stored = await jobs.later.many(calls, unique=True)
    assert all(one.is_new for one in stored)
    assert await theirs.fetchval("select count(*) from asyncjobs.jobs") == 20_000


async def test_a_plain_job_is_in_no_unique_index(jobs: Any, theirs: Any) -> None:
    empty = await theirs.fetchval("select pg_relation_size('asyncjobs.jobs_unique')")
    await jobs.later.many([jobs.note(number) for number in range(2_000)])
    assert await theirs.fetchval("select pg_relation_size('asyncjobs.jobs_unique')") == empty


def test_the_statement_for_unique_jobs_takes_what_the_one_for_special_jobs_takes() -> None:
    extras = Extras(("tag",), "{}")
    told = as_record(NewJob("x", "default", 1, "{}", 1.0, None, extras))
    for name in ("enqueue_special", "enqueue_unique"):
        text = (sql_folder() / "queries" / f"{name}.sql").read_text(encoding="utf-8")
        for key in told:
            assert f"{key} " in text.replace(",", " "), (name, key)
    assert "enqueue_unique" in Statements.__dataclass_fields__
