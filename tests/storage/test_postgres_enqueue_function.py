"""The SQL function `enqueue`: what other languages, triggers and psql store jobs with."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobExistsError, JobManager, PostgresAdapter, Queue, WorkerGroup
from asyncjobs.storage.embedded import find_bindir
from asyncjobs.storage.postgres.migrate import migrate_database
from asyncjobs.storage.postgres.statements import channel_name, for_schema, sql_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 60.0
ODD_SCHEMAS = ["other", "Jobs of $$ us", 'Odd "schema\' :"schema", $1', "é" * 30]
MOMENT = datetime(2031, 4, 5, 6, 7, 8, 900, UTC)
KEYS = ["user:7", 'é "q" \\ /', "\u20ac \U0001f600 \U00010000", "\t\n\x01\x1f\x7f~\x80", "'"]


@pytest.fixture
async def jobs(dsn: str) -> AsyncIterator[Any]:
    async with a_manager(dsn) as manager:
        yield manager


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


def a_manager(dsn: str, schema: str = "asyncjobs", **group: Any) -> Any:
    manager: Any = JobManager(
        adapters={"main": PostgresAdapter(dsn, schema=schema)},
        queues=["default", "email", Queue("narrow", concurrency=2)],
        workers=[WorkerGroup(adapter="main", **group)],
    )
    manager.ran, manager.heard = [], asyncio.Event()

    @manager.job  # type: ignore[untyped-decorator]
    async def note(number: int, text: str = "") -> None:
        manager.ran.append((number, text))
        manager.heard.set()

    manager.note, manager.later = note, manager.create_scheduler(adapter="main")
    return manager


async def enqueue(
    connection: Any, number: int = 1, *, schema: str = "asyncjobs", name: str = "note", **told: Any
) -> int:
    told = {"args": json.dumps({"number": number})} | told
    options = "".join(f", {key} => ${place}" for place, key in enumerate(told, 2))
    statement = for_schema(f'select :"schema".enqueue($1{options})', schema)
    job: int = await connection.fetchval(statement, name, *told.values())
    return job


async def row_of(connection: Any, job: int) -> dict[str, Any]:
    """The row of *job* without what no two rows share; its times as distances."""
    row = dict(await connection.fetchrow("select * from asyncjobs.jobs where id = $1", job))
    assert row.pop("id") == job
    assert row.pop("position") == job
    created_at = row.pop("created_at")
    for name in ("run_at", "expires_at"):
        if row[name] is not None and row[name] != MOMENT:
            row[name] -= created_at
    row["args"], row["extra"] = json.loads(row["args"]), json.loads(row["extra"] or "null")
    return row


# What is stored


SECONDS = timedelta(seconds=90, microseconds=5)
SAME = [
    ({}, {}),
    ({"queue": None, "priority": None, "on_conflict": None}, {}),
    ({"queue": "email", "priority": -7}, {"queue": "email", "priority": -7}),
    ({"wait": SECONDS}, {"wait": SECONDS}),
    ({"wait": timedelta()}, {"wait": 0}),
    ({"wait_until": MOMENT}, {"wait_until": MOMENT}),
    ({"tags": ["b", "a", "b"]}, {"tags": ["b", "a", "b"]}),
    ({"tags": []}, {"tags": []}),
    ({"meta": '{"tenant": [null, {"x": null}]}'}, {"meta": {"tenant": [None, {"x": None}]}}),
    ({"expires": SECONDS}, {"expires": SECONDS}),
    ({"expires_at": MOMENT}, {"expires": MOMENT}),
    ({"retain": timedelta(days=2.5)}, {"retain": timedelta(days=2.5)}),
    ({"concurrency_key": "tenant:ü"}, {"concurrency_key": "tenant:ü"}),
    (
        {"concurrency_key": "k", "wait": SECONDS, "queue": "narrow"},
        {"concurrency_key": "k", "wait": SECONDS, "queue": "narrow"},
    ),
    (
        {"queue": "narrow", "tags": ["a"], "meta": "{}", "retain": SECONDS},
        {"queue": "narrow", "tags": ["a"], "meta": {}, "retain": SECONDS},
    ),
    (
        {"unique_states": ["available", "scheduled"]},
        {"unique_states": ["available", "scheduled"]},
    ),
    (
        {"unique_states": ["succeeded", "running", "scheduled", "available"]},
        {"unique_states": ["succeeded", "running", "scheduled", "available"]},
    ),
]


@pytest.mark.parametrize(("told", "options"), SAME, ids=lambda told: "-".join(told) or "plain")
@pytest.mark.parametrize("is_unique", [False, True])
async def test_a_row_is_the_one_that_later_stores(
    jobs: Any, sql: Any, told: dict[str, Any], options: dict[str, Any], is_unique: bool
) -> None:
    if "unique_states" in options and not is_unique:
        return
    if is_unique:
        told, options = told | {"unique_key": "k"}, options | {"unique": "k"}
    theirs = await jobs.later(jobs.note(7), **options)
    expected = await row_of(sql, theirs.id)
    if is_unique:
        await sql.execute("delete from asyncjobs.jobs")
    ours = await enqueue(sql, 7, **told)
    assert ours != theirs.id
    assert await row_of(sql, ours) == expected


async def test_the_least_call_takes_a_name_only(sql: Any) -> None:
    job = await sql.fetchval("select asyncjobs.enqueue('note')")
    row = await row_of(sql, job)
    assert (row["name"], row["args"], row["queue"]) == ("note", {}, "default")
    assert (row["priority"], row["state"], row["run_at"]) == (50, "available", timedelta())


async def test_a_key_limits_to_one_at_once_unless_a_program_said_otherwise(sql: Any) -> None:
    await enqueue(sql, concurrency_key="a")
    limit = "select concurrency from asyncjobs.limits where name = 'job:note'"
    assert await sql.fetchval(limit) == 1
    await sql.execute("update asyncjobs.limits set concurrency = 5")
    await enqueue(sql, concurrency_key="b")
    assert await sql.fetchval(limit) == 5


async def test_limited_jobs_from_sql_run(jobs: Any, sql: Any) -> None:
    for number in range(3):
        await enqueue(sql, number, concurrency_key="a")
    stop = asyncio.Event()
    working = asyncio.create_task(jobs.work(stop))
    with anyio.fail_after(PATIENCE):
        while len(jobs.ran) < 3:
            await jobs.heard.wait()
            jobs.heard.clear()
        stop.set()
        await working
    assert [number for number, _ in jobs.ran] == [0, 1, 2]


# Transactions, triggers, workers


async def test_a_job_of_a_transaction_is_there_when_that_commits_and_not_before(
    sql: Any, dsn: str
) -> None:
    other = await asyncpg.connect(dsn)
    count = "select count(*) from asyncjobs.jobs"
    transaction = sql.transaction()
    await transaction.start()
    await enqueue(sql)
    assert await other.fetchval(count) == 0
    await transaction.commit()
    assert await other.fetchval(count) == 1
    await other.close()


TRIGGER = """
create table users (id int primary key, name text);
create function welcome() returns trigger language plpgsql as $$
begin
    perform asyncjobs.enqueue(
        'note', jsonb_build_object('number', new.id, 'text', new.name), queue => 'email'
    );
    return new;
end $$;
create trigger welcome after insert on users for each row execute function welcome();
"""


async def test_a_trigger_wakes_a_worker_by_its_commit_and_not_by_its_rollback(
    dsn: str, sql: Any
) -> None:
    await sql.execute(TRIGGER)
    stop = asyncio.Event()
    # A worker that looks by itself once in an hour would not run the second within the test.
    async with a_manager(dsn, sleep_delay=3600.0) as jobs:
        working = asyncio.create_task(jobs.work(stop))
        with anyio.fail_after(PATIENCE):
            await sql.execute("insert into users values (1, 'Ada')")
            await jobs.heard.wait()
            jobs.heard.clear()
            transaction = sql.transaction()
            await transaction.start()
            await sql.execute("insert into users values (2, 'Bob')")
            await transaction.rollback()
            await sql.execute("insert into users values (3, 'Böb')")
            await jobs.heard.wait()
            stop.set()
            await working
    assert jobs.ran == [(1, "Ada"), (3, "Böb")]


async def test_temporary_tables_and_settings_of_the_session_lead_nowhere_else(
    jobs: Any, sql: Any
) -> None:
    await sql.execute("create temp table jobs (id int); create temp table limits (name text)")
    await sql.execute("set search_path = pg_temp, public; set standard_conforming_strings = off")
    await enqueue(sql, unique_key=KEYS[1])
    assert await sql.fetchval("show search_path") == "pg_temp, public"
    assert not (await jobs.later(jobs.note(2), unique=KEYS[1])).is_new


async def test_it_needs_and_gives_no_right_that_its_caller_lacks(sql: Any) -> None:
    assert not await sql.fetchval(
        "select bool_or(prosecdef) from pg_proc where pronamespace = 'asyncjobs'::regnamespace"
    )


# Schemas


@pytest.mark.parametrize("schema", ODD_SCHEMAS)
async def test_it_works_in_a_schema_of_any_name(empty_dsn: str, schema: str) -> None:
    await migrate_database(empty_dsn, schema)
    connection = await asyncpg.connect(empty_dsn)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with a_manager(empty_dsn, schema) as jobs:
        channel = channel_name(schema)
        await connection.add_listener(channel, lambda *told: heard.put_nowait(told[-1]))
        job = await enqueue(connection, 1, schema=schema, priority=3)
        told = {"first": job, "ready": ["default"], "priority": 3}
        with anyio.fail_after(PATIENCE):
            assert json.loads(await heard.get()) == told
        await enqueue(connection, 2, schema=schema, unique_key="é", concurrency_key="k")
        assert not (await jobs.later(jobs.note(3), unique="é")).is_new
        assert await jobs.workoff() == 2
    await connection.close()


async def test_the_files_of_the_migrations_run_in_psql_as_they_stand(empty_dsn: str) -> None:
    psql = shutil.which("psql") or str(find_bindir() / "psql")
    command = [psql, "-q", "-d", empty_dsn, "-v", "ON_ERROR_STOP=1", "-v", "schema=By hand"]
    for path in sorted((sql_folder() / "migrations").glob("*.sql")):
        run = await asyncio.to_thread(
            subprocess.run, [*command, "-1", "-f", str(path)], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
    connection = await asyncpg.connect(empty_dsn)
    assert await enqueue(connection, schema="By hand") == 1
    await connection.close()


async def test_it_tells_of_what_waits_for_a_moment_and_of_what_stands_in_a_line(sql: Any) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await sql.add_listener("asyncjobs_asyncjobs", lambda *told: heard.put_nowait(told[-1]))
    await enqueue(sql, wait_until=MOMENT)
    await enqueue(sql, concurrency_key="k")
    with anyio.fail_after(PATIENCE):
        assert json.loads(await heard.get()) == {"due": pytest.approx(MOMENT.timestamp())}
        assert json.loads(await heard.get()) == {"lanes": ["key:k"]}


# Unique jobs


async def test_jobs_of_more_queues_than_a_notification_names_become_available(
    jobs: Any, sql: Any
) -> None:
    names = ["default", *(f'{number} "{"q" * 900}"' for number in range(12))]
    for queue in names:
        await enqueue(sql, queue=queue, wait=timedelta(hours=1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(jobs.work)
        with anyio.fail_after(PATIENCE):
            while not await sql.fetchval("select count(*) from asyncjobs.workers"):
                await asyncio.sleep(0.01)
            await sql.execute("update asyncjobs.jobs set run_at = now()")
            await enqueue(sql, 2, wait=timedelta(milliseconds=1))
            await jobs.heard.wait()
        tasks.cancel_scope.cancel()
    counts = await sql.fetch("select state, count(*) from asyncjobs.jobs group by state")
    assert [tuple(row) for row in counts] == [("available", 12)]


@pytest.mark.parametrize("key", KEYS)
async def test_sql_and_python_keep_each_other_out(jobs: Any, sql: Any, key: str) -> None:
    first = await enqueue(sql, unique_key=key)
    assert (await jobs.later(jobs.note(2), unique=key)).id == first
    assert await enqueue(sql, 3, unique_key=key) == first
    assert await jobs.workoff() == 1
    second = await jobs.later(jobs.note(4), unique=key)
    assert second.is_new
    assert await enqueue(sql, 5, unique_key=key) == second.id


async def test_a_key_is_that_of_one_job_name(sql: Any) -> None:
    assert await enqueue(sql, unique_key="k") != await enqueue(sql, name="nöte", unique_key="k")


async def test_raise_is_a_unique_violation_that_names_the_job(jobs: Any, sql: Any) -> None:
    first = await jobs.later(jobs.note(1), unique="k")
    with pytest.raises(asyncpg.UniqueViolationError, match=f"unique key: {first.id}\n") as caught:
        await enqueue(sql, unique_key="k", on_conflict="raise")
    assert (caught.value.detail, caught.value.constraint_name) == (str(first.id), "jobs_unique")
    await enqueue(sql, unique_key="other", on_conflict="raise")
    with pytest.raises(JobExistsError):
        await jobs.later(jobs.note(1), unique="other", on_conflict="raise")


@pytest.mark.parametrize("on_conflict", ["replace", "reschedule"])
@pytest.mark.parametrize("queue", ["default", "narrow"])
@pytest.mark.parametrize("wait", [None, SECONDS])
@pytest.mark.parametrize("before", [{}, {"wait": SECONDS}, {"concurrency_key": "k"}])
async def test_a_waiting_job_is_changed_as_later_changes_it(
    jobs: Any,
    sql: Any,
    on_conflict: str,
    queue: str,
    wait: timedelta | None,
    before: dict[str, Any],
) -> None:
    told: dict[str, Any] = {"queue": queue, "wait": wait, "priority": 3}
    told |= {"tags": ["new"], "retain": SECONDS}
    rows = []
    for by_sql in (False, True):
        await sql.execute("delete from asyncjobs.jobs")
        first = await jobs.later(jobs.note(1), unique="k", tags=["old"], **before)
        await sql.execute(
            "update asyncjobs.jobs set attempt = 2, schedule = 'daily', tick = '20300102', "
            "parent_id = 1, lane_kept = lane is not null"
        )
        if by_sql:
            found = await enqueue(sql, 2, unique_key="k", on_conflict=on_conflict, **told)
        else:
            again = await jobs.later(jobs.note(2), unique="k", on_conflict=on_conflict, **told)
            found = again.id
        assert found == first.id
        row = await sql.fetchrow("select *, position = id as is_in_place from asyncjobs.jobs")
        rows.append({k: v for k, v in row.items() if k not in {"id", "position", "created_at"}})
        rows[-1]["run_at"] = rows[-1]["run_at"] - row["created_at"] > timedelta(seconds=80)
    assert rows[0] == rows[1]


async def test_a_running_job_is_left_as_it_is(jobs: Any, sql: Any) -> None:
    first = await jobs.later(jobs.note(1), unique="k")
    await sql.execute("update asyncjobs.jobs set state = 'running', locked_by = 1")
    assert await enqueue(sql, 2, unique_key="k", on_conflict="replace") == first.id
    assert (await row_of(sql, first.id))["args"] == {"number": 1}


async def test_a_period_refuses_also_what_has_ended(jobs: Any, sql: Any) -> None:
    hour = timedelta(hours=1)
    first = await enqueue(sql, unique_key="k", unique_for=hour)
    assert await jobs.workoff() == 1
    assert await enqueue(sql, unique_key="k", unique_for=hour) == first
    refused = await jobs.later(jobs.note(2), unique="k", unique_for=hour)
    assert (refused.id, refused.is_new) == (first, False)
    with pytest.raises(asyncpg.UniqueViolationError):
        await enqueue(sql, unique_key="k", unique_for=hour, on_conflict="raise")
    await sql.execute("update asyncjobs.unique_keys set expires_at = now()")
    second = await enqueue(sql, unique_key="k", unique_for=hour)
    assert second != first
    assert await sql.fetchval("select job from asyncjobs.unique_keys") == second


@pytest.mark.parametrize("period", [None, timedelta(hours=1)])
@pytest.mark.parametrize("commits", [True, False])
async def test_a_clash_with_an_open_transaction_waits_for_its_end(
    sql: Any, dsn: str, commits: bool, period: timedelta | None
) -> None:
    other = await asyncpg.connect(dsn)
    transaction = sql.transaction()
    await transaction.start()
    first = await enqueue(sql, unique_key="k")
    waiting = asyncio.create_task(enqueue(other, unique_key="k", unique_for=period))
    with anyio.fail_after(PATIENCE):
        while not await sql.fetchval(
            "select count(*) from pg_stat_clear_snapshot(), pg_stat_activity "
            "where datname = current_database() and wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.005)
        await (transaction.commit() if commits else transaction.rollback())
        second = await waiting
    assert (second == first) == commits
    assert await sql.fetchval("select array_agg(id) from asyncjobs.jobs") == [second]
    if period is not None:
        assert await sql.fetchval("select job from asyncjobs.unique_keys") == second
    await other.close()


async def test_of_many_at_once_from_both_sides_one_is_stored(jobs: Any, dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=5) as pool:
        with anyio.fail_after(PATIENCE):
            found = await asyncio.gather(
                *[enqueue(pool, n, unique_key="k", unique_for=SECONDS) for n in range(20)],
                *[jobs.later(jobs.note(n), unique="k", unique_for=SECONDS) for n in range(20)],
            )
        ids = {job if isinstance(job, int) else job.id for job in found}
        stored = await pool.fetchval("select array_agg(id) from asyncjobs.jobs")
    assert [*ids] == stored


# What is refused


DAY = timedelta(days=1)
BAD = [
    ({"name": ""}, "name must be that of a job"),
    ({"name": None}, "name must be that of a job"),
    ({"args": "[7]"}, r"args must be a JSON object, .* got array: \[7\]"),
    ({"args": "null"}, "got null"),
    ({"queue": ""}, "queue must be the name of a queue, got nothing"),
    ({"queue": "*"}, "queue must be the name of a queue, got *"),
    ({"queue": "é" * 501}, "queue must have at most 1000 bytes, got 1002"),
    ({"priority": 32_768}, "priority must be a whole number from -32767 to 32767, got 32768"),
    ({"wait": -DAY}, "wait must be from 0 to 31536000000 s, got -1 days"),
    ({"wait": DAY, "wait_until": MOMENT}, "give wait or wait_until, not both"),
    ({"wait_until": datetime.max.replace(tzinfo=UTC)}, "wait_until must be in a year from 2"),
    ({"expires": timedelta()}, "expires must be more than 0 s"),
    ({"expires": DAY, "expires_at": MOMENT}, "give expires or expires_at, not both"),
    ({"expires": DAY, "wait": DAY}, "expires after 1 day, but waits for 1 day"),
    ({"expires_at": datetime.max.replace(tzinfo=UTC)}, "expires_at must be in a year from 2"),
    ({"retain": timedelta(seconds=0.5)}, "retain must be from 1 to 3153600000 s"),
    ({"tags": [str(number) for number in range(51)]}, "at most 50 tags, got 51"),
    ({"tags": ["fine", "x" * 201]}, "a tag must have 1 to 200 characters, got 201"),
    ({"tags": [""]}, "a tag must have 1 to 200 characters, got 0"),
    ({"tags": ["a\nb"]}, "a tag must be printable"),
    ({"tags": [None]}, "tags must be texts, got null"),
    ({"tags": [["a"], ["b"]]}, "tags must be a plain list, got {{a},{b}}"),
    ({"meta": "7"}, "meta must be a JSON object, got number: 7"),
    ({"concurrency_key": ""}, "concurrency_key must have 1 to 200 characters, got 0"),
    ({"concurrency_key": "x" * 201}, "concurrency_key must have 1 to 200 characters, got 201"),
    ({"unique_key": ""}, "unique_key must have 1 to 1000 characters, got 0"),
    ({"unique_key": "x" * 1001}, "unique_key must have 1 to 1000 characters, got 1001"),
    ({"unique_key": "k", "on_conflict": "explode"}, "on_conflict must be one of ignore, replace"),
    ({"on_conflict": "replace"}, "on_conflict need unique_key"),
    ({"unique_for": DAY}, "need unique_key"),
    ({"unique_key": "k", "unique_for": -DAY}, "unique_for must be from 0 to"),
    ({"unique_key": "k", "unique_states": ["lost"]}, "unique_states must be of scheduled"),
    ({"unique_key": "k", "unique_states": [None]}, "unique_states must be of scheduled"),
    ({"unique_key": "k", "unique_states": [["scheduled"]]}, "unique_states must be a plain list"),
    ({"unique_key": "k", "unique_states": ["running"]}, "must hold scheduled and available"),
    (
        {"unique_key": "k", "unique_states": ["scheduled", "available", "failed"]},
        "must hold running",
    ),
]


@pytest.mark.parametrize(("told", "problem"), BAD)
async def test_what_is_no_job_is_refused_in_words(
    sql: Any, told: dict[str, Any], problem: str
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match=problem) as caught:
        await enqueue(sql, **told)
    assert str(caught.value).startswith("asyncjobs.enqueue: ")
    assert await sql.fetchval("select count(*) from asyncjobs.jobs") == 0
