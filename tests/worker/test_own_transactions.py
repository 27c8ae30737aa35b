"""A job's own transaction commits its writes and its success together, or neither."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from asyncjobs import (
    ConfigError,
    JobCancelledError,
    JobManager,
    LeaseLostError,
    MemoryAdapter,
    PostgresAdapter,
    TransactionError,
    WorkerGroup,
    current_job,
)
from worker.effects import effects, note

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Completion


@pytest.fixture
def adapter(dsn: str) -> Storage:
    return PostgresAdapter(dsn)


@pytest.fixture
async def deaf_bench(make_bench: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bench whose worker learns nothing of its jobs: no heartbeat is answered."""
    bench = await make_bench(lease=1_000, delete_successful_jobs=False)
    monkeypatch.setattr(bench.storage, "heartbeat", never)
    monkeypatch.setattr(bench.storage, "for_thread", lambda: None)  # the other way to beat
    return bench


async def never(*_: object) -> None:
    await asyncio.Event().wait()


async def test_the_writes_and_the_success_are_one_commit(bench: Any, database: Any) -> None:
    seen: list[Any] = []

    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)
            seen.append((await effects(database), await bench.later.get(current_job().id)))
        seen.append((await effects(database), await bench.later.get(current_job().id)))

    stored = await bench.later(pay())
    assert await bench.jobs.workoff() == 1
    (before, running), (after, succeeded) = seen
    assert (before, running.state) == ([], "running")
    assert (after, succeeded.state) == ([stored.id], "succeeded")
    assert not [line for line in bench.log if line["event"] == "finish.superseded"]


async def test_the_row_goes_with_the_commit_where_successes_are_not_kept(
    make_bench: Any, database: Any
) -> None:
    bench = await make_bench()
    rows: list[Any] = []

    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)
        rows.append(await bench.later.get(current_job().id))

    stored = await bench.later(pay())
    assert await bench.jobs.workoff() == 1
    assert rows == [None]
    assert await effects(database) == [stored.id]


async def test_an_exception_inside_undoes_the_writes_and_fails_the_attempt(
    bench: Any, database: Any
) -> None:
    @bench.jobs.job(max_attempts=1)
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)
            raise ValueError("no money")

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("failed", 1)
    assert json.loads(record.errors)[0]["message"] == "no money"
    assert await effects(database) == []


async def test_a_job_may_try_again_after_a_rollback(bench: Any, database: Any) -> None:
    @bench.jobs.job
    async def pay() -> None:
        for is_last in (False, True):
            try:
                async with current_job().transaction() as connection:
                    await note(connection)
                    if not is_last:
                        raise ValueError
            except ValueError:
                continue

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "succeeded"
    assert await effects(database) == [stored.id]


async def test_what_a_commit_refuses_fails_the_attempt(bench: Any, database: Any) -> None:
    await database.execute("create table paid (id int primary key)")
    await database.execute(
        "alter table effects add paid int references paid deferrable initially deferred"
    )
    raised: list[BaseException] = []

    @bench.jobs.job(max_attempts=1)
    async def pay() -> None:
        try:
            async with current_job().transaction() as connection:
                await connection.execute("insert into effects values (1, 7)")
        except BaseException as error:
            raised.append(error)
            raise

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "failed"
    assert isinstance(raised[0], asyncpg.ForeignKeyViolationError)
    assert await effects(database) == []


async def test_an_error_that_the_job_swallows_cannot_be_committed(
    bench: Any, database: Any
) -> None:
    @bench.jobs.job(max_attempts=1)
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await connection.execute("no sql")

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "failed"
    assert await effects(database) == []


async def test_what_follows_the_commit_is_logged_and_not_retried(bench: Any, database: Any) -> None:
    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)
        raise ValueError("too late")

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt, record.errors) == ("succeeded", 1, "[]")
    line = await bench.until_logged("job.failed_late")
    assert (line["job"], line["id"], line["log_level"]) == ("pay", stored.id, "error")
    assert str(line["exc_info"]) == "too late"


async def test_max_runtime_after_the_commit_changes_nothing(bench: Any, database: Any) -> None:
    cancelled = asyncio.Event()

    @bench.jobs.job(max_runtime=2)
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert cancelled.is_set()
    assert (await bench.record(stored.id)).state == "succeeded"


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_job_that_lost_its_lease_cannot_commit(
    deaf_bench: Any, database: Any, swallows: bool
) -> None:
    bench = deaf_bench
    raised: list[LeaseLostError] = []

    @bench.jobs.job
    async def pay() -> None:
        if current_job().attempt > 1:
            return
        try:
            async with current_job().transaction() as connection:
                await note(connection)
                # As a rescue does, but so that the worker does not hear of it.
                await database.execute("update asyncjobs.jobs set attempt = 2")
        except LeaseLostError as error:
            raised.append(error)
            if not swallows:
                raise

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert (raised[0].job, raised[0].id, raised[0].attempt) == ("pay", stored.id, 1)
    record = await bench.record(stored.id)
    assert (record.state, record.attempt, record.errors) == ("available", 1, "[]")
    assert await effects(database) == []


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_job_that_was_cancelled_meanwhile_cannot_commit(
    deaf_bench: Any, database: Any, swallows: bool
) -> None:
    bench = deaf_bench
    raised: list[JobCancelledError] = []

    @bench.jobs.job
    async def pay() -> None:
        try:
            async with current_job().transaction() as connection:
                await note(connection)
                # As `later.cancel` does, but so that the worker does not hear of it.
                await database.execute(
                    "update asyncjobs.jobs set cancel_requested = true, interrupt = true"
                )
        except JobCancelledError as error:
            raised.append(error)
            if not swallows:
                raise

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert raised[0].id == stored.id
    assert (await bench.record(stored.id)).state == "cancelled"
    assert await effects(database) == []


async def test_a_cancellation_inside_undoes_the_writes(bench: Any, database: Any) -> None:
    inside = asyncio.Event()

    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)
            inside.set()
            await asyncio.Event().wait()

    async with bench.working():
        stored = await bench.later(pay())
        await inside.wait()
        assert await bench.later.cancel(stored.id)
        await bench.until(stored.id, "cancelled")
    assert await effects(database) == []


async def test_a_worker_that_is_cut_off_before_its_commit_does_not_keep_the_row(
    bench: Any, database: Any
) -> None:
    patience: list[str] = []

    class Watched(PostgresAdapter):
        async def finish_within(self, connection: Any, *asked: Any) -> Completion:
            found = await super().finish_within(connection, *asked)
            patience.append(await connection.fetchval(SHOW))
            return found

    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            patience.append(await connection.fetchval(SHOW))

    bench.storage.__class__ = Watched
    for _ in range(2):
        await bench.later(pay())
        await bench.jobs.workoff()
    default = await database.fetchval(SHOW)
    assert patience == [default, "10s"] * 2


SHOW = "show idle_in_transaction_session_timeout"


async def test_a_successor_is_stored_exactly_if_the_job_commits(bench: Any, database: Any) -> None:
    @bench.jobs.job(backoff=lambda *_: 0)
    async def step(number: int) -> None:
        async with current_job().transaction() as connection:
            if number < 3:
                await bench.later(step(number + 1), connection=connection)
            await note(connection)
            if current_job().attempt == 1:
                raise ValueError("the first attempt never works")

    await bench.later(step(1))
    await bench.jobs.workoff()
    assert len(await effects(database)) == 3
    assert await bench.storage.counts() == {("default", "succeeded"): 3}


async def test_one_inside_another_is_refused(bench: Any, database: Any) -> None:
    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            with pytest.raises(TransactionError, match="inside one already"):
                async with current_job().transaction():
                    pass
            await note(connection)
        with pytest.raises(TransactionError, match="succeeded already"):
            async with current_job().transaction():
                pass

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    assert not [line for line in bench.log if line["event"] == "job.failed_late"]
    assert await effects(database) == [stored.id]


async def test_one_that_the_job_ends_itself_is_refused(bench: Any) -> None:
    @bench.jobs.job(max_attempts=1)
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await connection.execute("commit")

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    [error] = json.loads((await bench.record(stored.id)).errors)
    assert error["error"] == "TransactionError"


async def test_there_is_none_in_a_plain_def(bench: Any) -> None:
    @bench.jobs.job(max_attempts=1)
    def pay() -> None:
        current_job().transaction()

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    [error] = json.loads((await bench.record(stored.id)).errors)
    assert (error["error"], "async def" in error["message"]) == ("TransactionError", True)


async def test_there_is_none_outside_of_a_worker(bench: Any) -> None:
    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction():
            pass

    with pytest.raises(LookupError, match="no job is running"):
        await pay()


async def test_memory_has_none() -> None:
    with pytest.raises(TypeError, match="no transactions"):
        MemoryAdapter().transaction()


async def test_jobs_wait_for_their_turn(dsn: str, make_bench: Any, adapter: Any) -> None:
    adapter.__init__(dsn, transactions=2)
    bench = await make_bench(concurrency=20)
    inside, most = 0, 0

    @bench.jobs.job
    async def pay() -> None:
        nonlocal inside, most
        async with current_job().transaction() as connection:
            inside += 1
            most = max(most, inside)
            await connection.execute("select pg_sleep(0.01)")
            inside -= 1

    await bench.later.many([pay() for _ in range(20)])
    assert await bench.jobs.workoff() == 20
    assert most == 2


@pytest.mark.parametrize("number", [0, 1_001, True])
def test_a_number_of_transactions_that_cannot_be_is_refused(number: int) -> None:
    with pytest.raises(ConfigError, match="transactions must be"):
        PostgresAdapter("postgresql://", transactions=number)


CONNECTIONS = """
    select pid from pg_stat_activity
    where datname = current_database() and application_name = 'asyncjobs transaction'
"""


async def test_connections_are_made_when_needed_and_kept_clean(bench: Any, database: Any) -> None:
    used: list[tuple[int, str]] = []

    @bench.jobs.job
    async def nothing() -> None: ...

    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            zone = await connection.fetchval("show time zone")
            used.append((connection.get_server_pid(), zone))
            await connection.execute("set time zone 'Asia/Tokyo'; select pg_advisory_lock(9)")

    await bench.later(nothing())
    await bench.jobs.workoff()
    assert await database.fetch(CONNECTIONS) == []
    for _ in range(2):
        await bench.later(pay())
        await bench.jobs.workoff()
    assert used[0] == used[1]
    assert await database.fetchval("select pg_try_advisory_lock(9)")


async def test_a_connection_that_broke_meanwhile_is_replaced(bench: Any, database: Any) -> None:
    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction() as connection:
            await note(connection)

    stored = []
    for _ in range(2):
        stored.append((await bench.later(pay())).id)
        await bench.jobs.workoff()
        await database.fetch(f"select pg_terminate_backend(pid) from ({CONNECTIONS}) as ours")
    assert await effects(database) == stored
    assert [(await bench.record(job)).attempt for job in stored] == [1, 1]


async def test_the_users_pool_lends_a_connection_and_gets_it_back(dsn: str, database: Any) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=11) as pool:
        jobs = JobManager(
            adapters={"main": PostgresAdapter(pool=pool)},
            workers=[WorkerGroup(adapter="main", concurrency=20)],
        )
        later = jobs.create_scheduler(adapter="main")

        @jobs.job
        async def pay() -> None:
            async with current_job().transaction() as connection:
                await note(connection)
                await connection.execute("set time zone 'Asia/Tokyo'")

        async with jobs:
            stored = await later.many([pay() for _ in range(20)])
            assert await jobs.workoff() == 20
            assert await effects(database) == [job.id for job in stored]
            free = [await pool.acquire(timeout=5) for _ in range(2)]  # beyond the nine connections
            zones = [await connection.fetchval("show time zone") for connection in free]
            assert "Asia/Tokyo" not in zones
            for connection in free:
                await pool.release(connection)
