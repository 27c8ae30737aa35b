"""The plans of the hot statements, kept, on a table with a million rows.

Each is planned both for the values at hand and for any values, because PostgreSQL goes over
to the second after a few executions. And both with the statistics of these rows and with those
of the table when it was empty, as they are after a night and before the first minute of a rush.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import pytest

from asyncjobs import PostgresAdapter
from asyncjobs.storage.postgres.statements import Statements
from asyncjobs.types import NewJob, Outcome, WorkerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SQL = Statements.load("asyncjobs")
FILL = """
insert into asyncjobs.jobs (
    position, run_at, state, name, queue, priority, args, locked_by, attempt, finished_at
)
select
    number,
    now() + case when state = 'scheduled' then 1 else -1 end * number * interval '1 second',
    state::asyncjobs.job_state, 'note', 'default', 50 + number % 3, '{"number": 1}',
    case when state = 'running' then 1 end, 1,
    case when state = 'succeeded' then now() end
from (values
    ('available', 300000), ('scheduled', 300000), ('succeeded', 400000), ('running', 1000)
) as kind (state, many)
cross join lateral generate_series(1, many) as number
"""
RETAIN = """
update asyncjobs.jobs set retain = interval '1 hour', finished_at = now() - number * interval '1 s'
from (
    select id as number from asyncjobs.jobs where state = 'succeeded' order by id limit 100000
) as old where id = number
"""
FILL_LANES = """
insert into asyncjobs.jobs (
    position, run_at, state, name, queue, priority, args, lane, queue_lane, waits_in, locked_by
)
select
    number, now(), state::asyncjobs.job_state, 'note', 'default', 50, '{}', lane, 'queue:default',
    case when state = 'waiting' then lane end, case when state = 'running' then 1 end
from (values
    ('running', 'key:full', 5), ('waiting', 'key:full', 100000),
    ('running', 'key:free', 4), ('waiting', 'key:free', 1000), ('available', 'key:let_in', 5)
) as kind (state, lane, many)
cross join lateral generate_series(1, many) as number
"""
RUNS = """
insert into asyncjobs.jobs (position, run_at, state, name, queue, args, schedule, tick)
select number, now(), 'succeeded', 'note', 'default', '{}', 'nightly',
    timestamptz '2026-01-01 00:00:00+00' + number * interval '1 minute'
from generate_series(1, 20000) as number
"""


MAKE_DUE = """
update asyncjobs.jobs set run_at = now() - interval '1 second'
where state = 'scheduled' and run_at < now() + interval '50 seconds'
"""
ROWS_READ = """
select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'jobs'
"""


class Kept(NamedTuple):
    """A statement that is prepared, and values for it."""

    like: str
    values: str


CLAIM = Kept("-- claim_queue:%", "1, 'default', 10")
FINISH = Kept("-- finish_by_delete:%", "1, '{1}', '{1}'")
WORKER = ("w", "*", ["default"], "h", "h", 1, 1.0, 3600.0, "1.0", 10, False)
INDEXES = {
    "claim_queue": {"jobs_available"},
    "claim_jobs": {"jobs_available"},
    "claim_after": {"jobs_available"},
    "claim_by_name": {"jobs_available"},
    "claim_after_by_name": {"jobs_available"},
    "promote_jobs": {"jobs_scheduled"},
    "offer_jobs": {"jobs_scheduled"},
    "admit_jobs": {"jobs_waiting", "jobs_in_lane", "jobs_in_queue_lane", "limits_pkey"},
    "waiting_lanes": {"jobs_waiting"},
    "park_key": {"jobs_in_lane"},
    "park_claimed": {"jobs_pkey"},
    "keep_lanes": {"jobs_pkey"},
    "fence_job": {"jobs_pkey"},
    "find_completion": {"jobs_pkey"},
    "finish_by_delete": {"jobs_pkey"},
    "finish_by_update": {"jobs_pkey"},
    "heartbeat": {"jobs_interrupted"},
    "held_jobs": {"jobs_running"},
    "free_jobs": {"jobs_running"},
    "cancel_jobs": {"jobs_pkey"},
    "get_jobs": {"jobs_pkey"},
    "finish_kept": {"jobs_pkey"},
    "watch_jobs": {"jobs_pkey"},
    "look_at_jobs": {"jobs_pkey"},
    "report_progress": {"jobs_pkey"},
    "prune_retained": {"jobs_retained"},
    "count_expired": {"jobs_retained", "jobs_ended"},
    "prune_ended": {"jobs_ended"},
    "retry_jobs": {"jobs_pkey", "jobs_unique"},
    "reschedule_jobs": {"jobs_pkey"},
    "delete_jobs": {"jobs_pkey"},
    "enqueue_unique": {"jobs_unique", "unique_keys_pkey"},
    "has_run": {"jobs_runs"},
    "advance_schedules": {"jobs_runs", "jobs_ticks"},
}

UNIQUE = [
    {
        "name": "note", "queue": "default", "priority": 50, "args": "{}", "period": 60,
        "unique_key": f"{number:032x}", "unique_states": ["scheduled", "available", "running"],
        "on_conflict": "replace",
    }
    for number in range(50)
]  # fmt: skip


@pytest.fixture(scope="module", params=["analyzed", "analyzed when it was empty"])
def million(migrated_database: Callable[[], Any], request: pytest.FixtureRequest) -> Iterator[str]:
    with migrated_database() as dsn:
        asyncio.run(fill(dsn, is_known=request.param == "analyzed"))
        yield dsn


async def fill(dsn: str, *, is_known: bool) -> None:
    connection = await asyncpg.connect(dsn)
    if not is_known:
        await connection.execute("alter table asyncjobs.jobs set (autovacuum_enabled = false)")
        await connection.execute(FILL.replace("0000)", "000)"))
        await connection.execute("delete from asyncjobs.jobs")
        await connection.execute("analyze asyncjobs.jobs")
    await store(connection)
    if is_known:
        await connection.execute("vacuum analyze asyncjobs.jobs")
    await connection.close()


async def store(connection: Any) -> None:
    await connection.execute("set enable_nestloop = off")  # or it would take minutes
    await connection.execute(FILL)
    await connection.execute(RETAIN)
    await connection.execute(FILL_LANES)
    await connection.execute("insert into asyncjobs.limits values ('job:note', 5)")
    await connection.execute(RUNS)
    await connection.execute(
        "insert into asyncjobs.schedules (name, job, cron) values ($1, $2, $3)",
        "nightly",
        "note",
        "@daily",
    )


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
async def connection(million: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(million)
    await connection.execute(f"set plan_cache_mode = {request.param}")
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def arguments(connection: Any, name: str) -> list[Any]:
    worker = await connection.fetchval(SQL.register_worker, *WORKER)
    ids = [
        row["id"]
        for row in await connection.fetch(
            "update asyncjobs.jobs set locked_by = $1 where id = any(array("
            "select id from asyncjobs.jobs where state = 'running' limit 50)) returning id",
            worker,
        )
    ]
    ones = [1] * len(ids)
    if name == "promote_jobs":
        await connection.execute(MAKE_DUE)
    return {
        "claim_queue": [worker, "default", 50],
        "claim_jobs": [worker, ["default", "email"], 50],
        "claim_after": [worker, ["default"] * 2, [50, 51], [100_000, 90_000], 50],
        "claim_by_name": [worker, ["default", "email"], 50, ["greet", "none"], False],
        "claim_after_by_name": [
            worker, ["default"] * 2, [50, 51], [100_000, 90_000], 50, ["greet", "none"], False,
        ],
        "promote_jobs": [50, "channel"],
        "offer_jobs": [["note", "greet"], "channel"],
        "admit_jobs": [["key:full", "key:free", "key:none"], 50, "channel"],
        "waiting_lanes": ["", 50],
        "park_key": ["key:let_in"],
        "park_claimed": [worker, ids, ones, ["job:note"] * len(ids)],
        "keep_lanes": [ids],
        "fence_job": [worker, ids[0], 1],
        "find_completion": [worker, ids[0], 1],
        "finish_by_delete": [worker, array_text(ids), array_text(ones)],
        "finish_by_update": [
            worker, ids, ones, ["succeeded"] * len(ids), [0.0] * len(ids), [False] * len(ids),
            [None] * len(ids), "channel",
        ],
        "heartbeat": [worker],
        "held_jobs": [worker],
        "free_jobs": [[worker], ["w"], [False], "channel"],
        "cancel_jobs": [ids, True, "channel", None],
        "get_jobs": [ids],
        "finish_kept": [
            worker, ids, ones, ["succeeded"] * len(ids), [0.0] * len(ids), [False] * len(ids),
            [None] * len(ids), ["1"] * len(ids), [None] * len(ids), [True] * len(ids), "channel",
        ],
        "watch_jobs": [ids, "channel"],
        "look_at_jobs": [ids],
        "report_progress": [worker, ids, ones, ['{"done": 0.5}'] * len(ids), ids, "channel"],
        "prune_retained": [50],
        "count_expired": [["default", "email"], 0.0, 50],
        "prune_ended": [["default", "email"], 0.0, 50],
        "retry_jobs": [ids, None, "{}", None, '{"lane": "key:a"}', "channel"],
        "reschedule_jobs": [ids, ["scheduled"], 60.0, None, "channel"],
        "delete_jobs": [ids, None],
        "enqueue_unique": [json.dumps(UNIQUE), "channel", "1s"],
        "has_run": ["nightly"],
        "advance_schedules": [json.dumps([{
            "name": "nightly", "ticks": ["2026-01-01T00:05:00+00:00", "2027-01-01T00:05:00+00:00"],
            "covered_at": "2027-01-01T00:06:00+00:00", "next_at": "2027-01-01T00:07:00+00:00",
        }])],
    }[name]  # fmt: skip


def array_text(numbers: list[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("name", INDEXES)
async def test_a_hot_statement_reads_what_it_changes(connection: Any, name: str) -> None:
    values = await arguments(connection, name)
    statement = await connection.prepare(
        f"explain (analyze, buffers, timing off, format json) {getattr(SQL, name)}"
    )
    [plan] = json.loads(await statement.fetchval(*values))
    found = list(nodes(plan["Plan"]))
    scans = [node for node in found if node.get("Relation Name") == "jobs"]
    assert not [node for node in scans if node["Node Type"] == "Seq Scan"], plan
    used = {node["Index Name"] for node in found if "Index Name" in node}
    assert used >= INDEXES[name], plan
    assert used - INDEXES[name] <= {"jobs_pkey", "workers_pkey", "lanes_pkey"}, plan
    read = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in scans
    )
    assert read <= 50 * 10, plan
    assert not [node for node in found if node.get("Sort Method", "").startswith("external")]


@pytest.mark.parametrize("name", ["finish_by_delete", "finish_by_update", "finish_kept"])
async def test_statistics_from_before_the_claims_do_not_mislead_the_finish(
    dsn: str, name: str
) -> None:
    # Then the planner believes that a worker holds no job at all, and would look for that
    # one row in the whole table, once for each outcome.
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "insert into asyncjobs.jobs (position, run_at, state, name, queue, args) "
        "select n, now(), 'available', 'note', 'default', '{}' from generate_series(1, 30000) n"
    )
    await connection.execute("analyze asyncjobs.jobs")
    worker = await connection.fetchval(SQL.register_worker, *WORKER)
    claimed = await connection.fetch(SQL.claim_queue, worker, "default", 7_000)
    ids = [row["id"] for row in claimed[:1_000]]
    ones = [1] * len(ids)
    values: list[Any] = [worker, ids, ones]
    if name == "finish_by_delete":
        values = [worker, array_text(ids), array_text(ones)]
    else:
        values += [["succeeded"] * 1_000, [0.0] * 1_000, [False] * 1_000, [None] * 1_000]
        if name == "finish_kept":
            values += [["1"] * 1_000, [None] * 1_000, [False] * 1_000]
        values.append("channel")
    statement = await connection.prepare(
        f"explain (analyze, timing off, format json) {getattr(SQL, name)}"
    )
    [plan] = json.loads(await statement.fetchval(*values))
    compared = sum(
        node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
        for node in nodes(plan["Plan"])
    )
    assert compared <= 1_000, plan
    await connection.close()


async def run_twelve(adapter: PostgresAdapter) -> None:
    info = WorkerInfo("test.0", "*", ["default"], "here", "here", 1, 1.0, 3600.0)
    worker = await adapter.register(info)
    for _ in range(12):  # after five a plan is kept
        await adapter.enqueue([NewJob("note", "default", 50, "{}")])
        [job] = await adapter.claim(worker, ["default"], 1)
        outcome = Outcome(job.id, job.attempt, "succeeded", delete=True)
        assert await adapter.finish(worker, [outcome]) == [job.id]


async def test_no_statement_of_the_hot_path_is_planned_twice(dsn: str) -> None:
    # Beside rows by whose statistics a plan for the values at hand looks cheaper each time.
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    await adapter.enqueue([NewJob("note", "default", 50, "{}")] * 1_000)
    lanes = adapter._tables.lanes
    async with lanes.enqueue.connection() as connection:
        await connection.execute("analyze asyncjobs.jobs")
    await run_twelve(adapter)
    for lane in (lanes.enqueue, lanes.claim, lanes.finish):
        async with lane.connection() as connection:
            [planned] = await connection.fetch(
                "select sum(generic_plans) as once, sum(custom_plans) as anew"
                " from pg_prepared_statements where statement like '%asyncjobs%'"
            )
        assert planned["once"] >= 12
        assert planned["anew"] == 0, lane.purpose
    await adapter.close()


async def test_no_plan_from_when_the_table_was_empty_reads_more_than_it_must(
    migrated_database: Callable[[], Any],
) -> None:
    # The plans that our sessions keep, at their worst: made for a table without a page.
    with migrated_database() as dsn:
        connection, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        await other.execute("alter table asyncjobs.jobs set (autovacuum_enabled = false)")
        await connection.fetch(SQL.plan_by_index, connection.get_server_pid())
        await other.execute(FILL.replace("0000)", "0)"))
        values = {}
        for name in INDEXES:
            async with rolled_back(connection):
                values[name] = await arguments(connection, name)
        await other.execute("truncate asyncjobs.jobs")
        await other.execute("analyze asyncjobs.jobs")
        for name in INDEXES:
            async with rolled_back(connection):
                await connection.fetch(getattr(SQL, name), *values[name])
        await store(other)
        await other.close()
        for name in INDEXES:
            async with rolled_back(connection):
                given = await arguments(connection, name)
                before = await connection.fetchval(ROWS_READ)
                await connection.fetch(getattr(SQL, name), *given)
                read = await connection.fetchval(ROWS_READ) - before
            assert read <= 1_000, name
        await connection.close()


@asynccontextmanager
async def rolled_back(connection: Any) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def test_a_plan_from_before_the_rush_does_not_read_the_whole_table(dsn: str) -> None:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    await run_twelve(adapter)
    lanes = adapter._tables.lanes
    for lane, kept in ((lanes.claim, CLAIM), (lanes.finish, FINISH)):
        async with lane.connection() as connection:
            name = await connection.fetchval(
                "select name from pg_prepared_statements where statement like $1", kept.like
            )
            plan = "\n".join(
                row[0] for row in await connection.fetch(f"explain execute {name}({kept.values})")
            )
        assert "jobs_pkey" in plan
        assert "Seq Scan on jobs" not in plan, plan
    await adapter.close()


async def test_every_statement_of_the_hot_path_is_looked_at() -> None:
    rare = {
        "applied_migrations", "await_turn", "call_listener", "clear_jobs", "count_found",
        "count_jobs",
        "current_migration",
        "declare_limits", "enqueue_alike", "enqueue_jobs", "enqueue_one", "enqueue_special",
        "find_available",
        "find_jobs", "find_orphans", "find_scheduled", "forget_lanes", "join_statistics",
        "leave_worker",
        "local_workers", "measure_round_trip", "park_jobs", "pause_lane", "paused_lanes",
        "plan_by_index", "probe_server",
        "prove_listening", "prune_statistics", "prune_unique_keys",
        "read_counts", "read_depths", "read_durations", "read_health", "read_names",
        "read_running", "read_states", "read_workers", "record_migration", "record_statistics",
        "register_worker", "remove_dead_workers", "remove_worker", "resume_lane", "return_jobs",
        # of maintenance, whose tasks are few
        "begin_maintenance", "declare_maintenance", "drop_broken_index", "end_maintenance",
        "inspect_indexes", "inspect_tables", "read_maintenance", "rebuild_index", "vacuum_table",
        # of `asyncjobs doctor`, looked at by its own tests
        "examine_holders", "examine_kept", "examine_local_workers", "examine_names",
        "examine_privileges", "examine_server", "examine_tables",
        # of dashboards, looked at beside a million rows by test_postgres_overview
        "count_schedules", "find_schedules", "read_history", "read_lanes", "read_limits",
        "read_queue_spans", "read_queue_states", "read_runs", "read_tags", "sample_queue_states",
        # of metrics, looked at there too
        "read_enqueued", "read_lateness", "read_totals",
        # of the row of one worker
        "note_stopping", "quiet_worker", "resume_worker", "stop_worker",
        # of schedules, which are few
        "declare_schedules", "due_schedules", "get_schedules", "lock_schedule",
        "lock_schedules", "note_runs", "plan_schedule", "put_schedule", "record_declarations",
        "remove_schedule", "report_orphans", "report_schedule", "retire_schedules",
        "skip_runs", "switch_schedule",
    }  # fmt: skip
    assert INDEXES.keys() | rare == set(Statements.__dataclass_fields__)
