"""What people ask for waits for the application's open transactions, and holds up nobody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobManager, KeyInDoubtError, PostgresAdapter, Queue
from asyncjobs.testing.contract.steps import a_worker
from asyncjobs.types import Outcome, RunOf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PATIENCE = 30.0
"""Seconds that something may take which should be done at once; well below what is bounded."""


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[Any]:
    jobs: Any = JobManager(adapters={"main": PostgresAdapter(dsn)}, queues=[Queue("default")])

    @jobs.job
    async def note(number: int) -> None: ...

    jobs.note, jobs.later = note, jobs.create_scheduler(adapter="main")
    async with jobs:
        await jobs.later(note(1), cron="@yearly", name="nightly")
        yield jobs


async def lock_job(app: Any, job: int, other: asyncpg.Connection) -> None:
    await app.later(app.note(2), unique="key", on_conflict="replace", wait=600, connection=other)


async def take_key(app: Any, job: int, other: asyncpg.Connection) -> None:
    await app.later.cancel(job)
    await app.later(app.note(2), unique="key", connection=other)


async def change_schedule(app: Any, job: int, other: asyncpg.Connection) -> None:
    await app.later(app.note(2), cron="@monthly", name="nightly", connection=other)


async def pause(app: Any, job: int, other: asyncpg.Connection) -> None:
    await other.execute("insert into asyncjobs.lanes (name) values ('queue:default')")


ACTIONS: dict[str, tuple[Any, Callable[[Any, int], Awaitable[Any]]]] = {
    "cancel": (lock_job, lambda app, job: app.later.cancel(job)),
    "reschedule": (lock_job, lambda app, job: app.later.reschedule(job, wait=60)),
    "delete": (lock_job, lambda app, job: app.later.delete(job)),
    "retry": (take_key, lambda app, job: app.later.retry(job)),
    "store a schedule": (
        change_schedule, lambda app, job: app.later(app.note(3), every=60, name="nightly")
    ),
    "disable": (change_schedule, lambda app, job: app.later.schedules.disable("nightly")),
    "remove": (change_schedule, lambda app, job: app.later.schedules.remove("nightly")),
    "run now": (change_schedule, lambda app, job: app.later.schedules.run_now("nightly")),
    "pause": (pause, lambda app, job: app.later.pause(queue="default")),
}  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS)
async def test_it_waits_and_others_do_not(app: Any, dsn: str, action: str) -> None:
    hold, act = ACTIONS[action]
    job = await app.later(app.note(1), unique="key", wait=600)
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await hold(app, job.id, other)
    acting = asyncio.ensure_future(act(app, job.id))
    with anyio.fail_after(PATIENCE):
        for _ in range(5):
            assert (await app.later.get(job.id)).id == job.id
            await asyncio.sleep(0.05)
        assert not acting.done()
        await transaction.rollback()
        assert await acting
    await other.close()


@pytest.mark.parametrize("action", ["cancel", "store a schedule"])
async def test_it_does_not_wait_for_ever(
    app: Any, dsn: str, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr("asyncjobs.storage.postgres.patience.STATEMENT_TIMEOUT", 0.0)
    hold, act = ACTIONS[action]
    job = await app.later(app.note(1), unique="key", wait=600)
    other = await asyncpg.connect(dsn)
    await other.execute("begin")
    await hold(app, job.id, other)
    with pytest.raises(KeyInDoubtError, match=r"stores or changes (one of these|.* 'nightly')"):
        await act(app, job.id)
    await other.close()


AT_COMMIT = """
create function asyncjobs.wait_at_commit() returns trigger language plpgsql
as $$ begin perform pg_advisory_xact_lock(1); return null; end $$;
create constraint trigger wait_at_commit after insert or update on asyncjobs.{table}
deferrable initially deferred for each row execute function asyncjobs.wait_at_commit();
"""


async def wait_at_commit(doing: Awaitable[Any], table: str, other: asyncpg.Connection) -> Any:
    """Do something while its commit has to wait, as it has for those of others that notify."""
    await other.execute(AT_COMMIT.format(table=table))
    await other.execute("select pg_advisory_lock(1)")
    task = asyncio.ensure_future(doing)
    with anyio.fail_after(PATIENCE):
        while not await other.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        ):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # longer than others' rows are waited for at once
        assert not task.done()
        await other.execute("select pg_advisory_unlock(1)")
        return await task


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_a_commit_that_waits_is_waited_for(app: Any, other: Any) -> None:
    job = await app.later(app.note(1), wait=600)
    assert await wait_at_commit(app.later.cancel(job.id), "jobs", other)


async def test_storing_unique_jobs_waits_for_the_commit(app: Any, other: Any) -> None:
    first = await app.later(app.note(1), unique=True, unique_for=60)
    storing = app.later(app.note(2), unique=True, unique_for=60)
    second = await wait_at_commit(storing, "jobs", other)
    assert second.id == first.id + 1  # by one statement


async def test_noting_how_runs_ended_waits_for_the_commit(app: Any, other: Any) -> None:
    storage = app.adapters["main"]
    worker = await storage.register(a_worker())
    await app.later.schedules.run_now("nightly")
    [run] = await storage.claim(worker, ["default"], 1)
    outcome = Outcome(run.id, run.attempt, "failed", run=RunOf("nightly", 24))
    finishing = storage.finish(worker, [outcome])
    assert await wait_at_commit(finishing, "schedules", other) == [run.id]
    [schedule] = await storage.schedules.get(["nightly"])
    assert schedule.failures == 1
