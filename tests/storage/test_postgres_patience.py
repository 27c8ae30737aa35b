"""What people ask for waits for the application's open transactions, and holds up nobody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobManager, KeyInDoubtError, PostgresAdapter, Queue

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
create constraint trigger wait_at_commit after update on asyncjobs.jobs
deferrable initially deferred for each row execute function asyncjobs.wait_at_commit();
"""


async def test_a_commit_that_waits_is_waited_for(app: Any, dsn: str) -> None:
    job = await app.later(app.note(1), wait=600)
    other = await asyncpg.connect(dsn)
    await other.execute(AT_COMMIT)
    await other.execute("select pg_advisory_lock(1)")
    cancelling = asyncio.ensure_future(app.later.cancel(job.id))
    with anyio.fail_after(PATIENCE):
        while not await other.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        ):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # longer than others' rows are waited for at once
        assert not cancelling.done()
        await other.execute("select pg_advisory_unlock(1)")
        assert await cancelling
    await other.close()
