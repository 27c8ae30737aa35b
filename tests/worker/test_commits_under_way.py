"""The answer to a commit is waited for, and looked up when it is lost."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import (
    PostgresAdapter,
    StorageUnavailableError,
    current_job,
)
from worker.effects import effects, note

if TYPE_CHECKING:
    import asyncpg

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Completion


@pytest.fixture
def adapter(dsn: str) -> Storage:
    return PostgresAdapter(dsn)


class SlowCommit:
    """Keeps the commits of jobs under way, by a lock that a deferred trigger waits for."""

    def __init__(self, database: asyncpg.Connection) -> None:
        self._database = database

    async def set_up(self) -> None:
        await self._database.execute("""
            create function wait_for_lock() returns trigger language plpgsql as $$
                begin perform pg_advisory_xact_lock(7); return null; end $$;
            create constraint trigger slow after insert on effects deferrable initially deferred
                for each row execute function wait_for_lock();
        """)
        await self._database.execute("select pg_advisory_lock(7)")

    async def under_way(self) -> int:
        """Wait until a commit is under way and return its connection's process number."""
        while not (pid := await self._database.fetchval(WAITING)):
            await asyncio.sleep(0.01)
        return int(pid)

    async def let_go(self) -> None:
        await self._database.execute("select pg_advisory_unlock(7)")


WAITING = """
    select pid from pg_locks join pg_database on pg_database.oid = pg_locks.database
    where locktype = 'advisory' and not granted and datname = current_database()
"""


@pytest.fixture
async def slow_commit(database: asyncpg.Connection) -> SlowCommit:
    slow = SlowCommit(database)
    await slow.set_up()
    return slow


class Payment:
    """A job whose commit stays under way, and what became of it."""

    def __init__(self, bench: Any, **options: Any) -> None:
        self.task: Any = None
        self.connection: Any = None
        self.ended: list[str] = []

        @bench.jobs.job(**options)
        async def pay() -> None:
            self.task = asyncio.current_task()
            try:
                async with current_job().transaction() as self.connection:
                    await note(self.connection)
            except BaseException as error:
                self.ended.append(type(error).__name__)
                raise
            self.ended.append("went on")

        self.pay = pay

    async def until_interrupted(self) -> None:
        while not self.task.cancelling():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("commits", [True, False])
async def test_max_runtime_waits_for_the_answer_to_a_commit_under_way(
    bench: Any, database: Any, slow_commit: SlowCommit, commits: bool
) -> None:
    payment = Payment(bench, max_runtime=3)
    async with bench.working():
        stored = await bench.later(payment.pay())
        process = await slow_commit.under_way()
        await payment.until_interrupted()
        await asyncio.sleep(0)
        assert not payment.ended
        if commits:
            await slow_commit.let_go()
        else:
            await database.fetch("select pg_terminate_backend($1)", process)
        record = await bench.until(stored.id, "succeeded", "failed")
    assert payment.ended == ["CancelledError"]
    errors = [error["error"] for error in json.loads(record.errors)]
    if commits:
        assert (record.state, errors) == ("succeeded", [])
    else:
        assert (record.state, errors) == ("failed", ["JobTimeoutError"])
    assert await effects(database) == ([stored.id] if commits else [])


async def test_a_shutdown_waits_for_the_answer_to_a_commit_under_way(
    make_bench: Any, database: Any, slow_commit: SlowCommit
) -> None:
    bench = await make_bench(delete_successful_jobs=False, shutdown_timeout=0)
    payment = Payment(bench)
    async with bench.working() as stop:
        stored = await bench.later(payment.pay())
        await slow_commit.under_way()
        stop.set()
        await payment.until_interrupted()
        await slow_commit.let_go()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("succeeded", 1)
    assert await effects(database) == [stored.id]


async def test_a_commit_that_the_server_undid_fails_the_attempt(
    bench: Any, database: Any, slow_commit: SlowCommit
) -> None:
    payment = Payment(bench)
    async with bench.working():
        stored = await bench.later(payment.pay())
        process = await slow_commit.under_way()
        await database.fetch("select pg_terminate_backend($1)", process)
        await bench.until(stored.id, "scheduled")
    assert payment.ended in (["AdminShutdownError"], ["ConnectionDoesNotExistError"])
    assert await effects(database) == []


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_commit_whose_answer_is_lost_is_looked_up(
    make_bench: Any, database: Any, slow_commit: SlowCommit, keeps: bool
) -> None:
    bench = await make_bench(delete_successful_jobs=not keeps)
    payment = Payment(bench)
    async with bench.working():
        stored = await bench.later(payment.pay())
        await slow_commit.under_way()
        payment.connection.terminate()  # for us; the server goes on
        await asyncio.sleep(0)
        await slow_commit.let_go()
        if keeps:
            await bench.until(stored.id, "succeeded")
        else:
            await bench.until_gone(stored.id)
        await bench.until_logged("job.succeeded")
    assert payment.ended == ["went on"]
    assert await effects(database) == [stored.id]


async def test_the_look_is_repeated_until_the_database_answers(
    bench: Any, database: Any, slow_commit: SlowCommit
) -> None:
    payment, look, failures = Payment(bench), bench.storage.completion, [1, 2]

    async def completion(*asked: Any) -> Completion:
        if failures:
            failures.pop()
            raise StorageUnavailableError("no answer")
        return await look(*asked)

    bench.storage.completion = completion
    async with bench.working():
        stored = await bench.later(payment.pay())
        await slow_commit.under_way()
        payment.connection.terminate()
        await slow_commit.let_go()
        await bench.until(stored.id, "succeeded")
        await bench.until_logged("job.succeeded")
    assert len([line for line in bench.log if line["event"] == "commit.unknown"]) == 2
    assert payment.ended == ["went on"]
