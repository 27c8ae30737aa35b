"""How long the dashboard takes with a million jobs stored: ``python -m benchmarks.dashboard``.

Each page is asked for inside of this process, so that what is measured is the time of the
server: its statements, its template, and the packing of its answer. Cold is the first look of
all, for which everything is read anew; warm is that of somebody beside whom others look.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

import httpx

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from asyncjobs.glance.glance import Glance
from asyncjobs.storage.postgres.migrate import migrate_database
from asyncjobs.types import WorkerInfo
from benchmarks.servers import Postgres

if TYPE_CHECKING:
    import asyncpg

    from asyncjobs.dashboard import Dashboard

QUEUES = ("default", "email", "reports", "media", "slow")
NAMES = 60
STATES = {
    "succeeded": 0.55, "available": 0.2, "scheduled": 0.2, "failed": 0.04, "cancelled": 0.009,
    "running": 0.001,
}  # fmt: skip
"""The share of each state."""
WORKERS = 10
REPEAT = 15
JOBS = """
insert into asyncjobs.jobs (
    position, run_at, state, name, queue, priority, args, locked_by, attempt, attempted_at,
    finished_at, created_at, errors, tags, parent_id
)
select
    number,
    now() + case when state = 'scheduled' then 1 else -1 end * number * interval '1 second' / 10,
    state::asyncjobs.job_state,
    'job_' || mod(number, $2),
    ($3::text[])[1 + mod(number, cardinality($3::text[]))],
    50 + mod(number, 3),
    jsonb_build_object('user_id', number, 'text', repeat('x', 60)),
    case when state = 'running' then ($4::bigint[])[1 + mod(number, cardinality($4::bigint[]))] end,
    case when state in ('available', 'scheduled') then 0 else 1 end,
    case when state not in ('available', 'scheduled') then past end,
    case when state in ('failed', 'cancelled', 'succeeded') then past end,
    now() - number * interval '0.2 s',
    case when state = 'failed' then jsonb_build_array(jsonb_build_object(
        'attempt', 1, 'error', 'TimeoutError', 'message', 'no answer of shop ' || mod(number, 900),
        'traceback', repeat('  File "/app/shop.py", line 7, in ask' || chr(10), 30)
    )) end,
    case when mod(number, 50) = 5 then array['tag ' || mod(number, 1000)] end,
    case when mod(number, 20) = 0 then 1 + number / 1000 end
from unnest($1::text[], $5::bigint[]) as kind (state, many)
cross join lateral generate_series(1, many) as number
cross join lateral (select now() - number * interval '0.1 s' as past) as ended
order by random()
"""
COUNTS = """
insert into asyncjobs.statistics
    (width, since, queue, name, succeeded, failed, retried, cancelled, waits, runs)
select
    width, to_timestamp((extract(epoch from now())::bigint / width - span) * width),
    ($2::text[])[1 + mod(number, cardinality($2::text[]))], 'job_' || number, 100, 1, 2, 0,
    array_fill(3, array[72]), array_fill(2, array[72])
from (values (10, 90), (60, 120), (600, 156), (3600, 192)) as kept (width, spans)
cross join lateral generate_series(0, spans) as span
cross join generate_series(0, $1 - 1) as number
"""
PAGES = {
    "overview, last hour": "/?period=hour",
    "overview, last day": "/?period=day",
    "overview, last week": "/?period=week",
    "jobs": "/jobs",
    "jobs that failed": "/jobs?state=failed",
    "jobs that are available": "/jobs?state=available",
    "jobs that are scheduled": "/jobs?state=scheduled",
    "search by name": "/jobs?q=name:job_7",
    "search by argument, none fits": "/jobs?q=args.user_id:-1",
    "search by error": "/jobs?q=state:failed error:shop",
    "search by tag": '/jobs?q=tag:"tag 105"',
    "search by parent": "/jobs?q=parent:700",
    "count of all": "/jobs/count",
    "count by name": "/jobs/count?q=name:job_7",
    "one job": "/jobs/{job}",
    "queues": "/queues",
    "workers": "/workers",
    "schedules": "/schedules",
}


async def fill(connection: asyncpg.Connection, adapter: PostgresAdapter, jobs: int) -> None:
    """Store *jobs* jobs, and a week's counts of what ended."""
    workers = [
        await adapter.register(
            WorkerInfo(f"worker-{n}", "*", list(QUEUES), f"host-{n}", f"id-{n}", n, 1.0, 3_600.0)
        )
        for n in range(WORKERS)
    ]
    many = [round(jobs * share) for share in STATES.values()]
    await connection.execute(JOBS, list(STATES), NAMES, list(QUEUES), workers, many, timeout=None)
    await connection.execute(COUNTS, NAMES, list(QUEUES))
    await adapter.statistics.prune()  # as workers do every few minutes
    await connection.execute("vacuum analyze", timeout=None)


async def measure(dashboard: Dashboard, job: int, repeat: int) -> list[tuple[str, list[float]]]:
    """Return for each page: kB as sent, and ms cold and warm, each as median and worst."""
    found = []
    desk = dashboard.state.desk
    transport = httpx.ASGITransport(dashboard, client=("127.0.0.1", 7))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for name, path in PAGES.items():
            cold, warm, size = [], [], 0
            for _ in range(repeat):
                desk.glance = Glance(desk.storage)
                for times in (cold, warm):
                    began = time.perf_counter()
                    answer = await client.get(path.format(job=job))
                    times.append((time.perf_counter() - began) * 1_000)
                    answer.raise_for_status()
                size = int(answer.headers["content-length"])
            told = [size / 1_000, *(f(t) for t in (cold[1:], warm[1:]) for f in (median, max))]
            found.append((name, told))
            print(line(name, told), flush=True)
    return found


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def line(name: str, told: list[Any]) -> str:
    """Return a row of the table."""
    return f"| {name} | {' | '.join(f'{value:.1f}' for value in told)} |"


async def run(dsn: str, jobs: int, repeat: int) -> None:
    """Fill a database and print the table."""
    async with Postgres.start(dsn) as postgres, postgres.database("bench_dashboard") as database:
        await migrate_database(database.url)
        adapter = PostgresAdapter(database.url)
        manager = JobManager(
            adapters={"main": adapter}, queues=QUEUES, workers=[WorkerGroup(adapter="main")]
        )

        async def perform(user_id: int, text: str) -> None: ...

        for number in range(NAMES):
            manager.job(name=f"job_{number}")(perform)
        async with manager:
            await fill(database.connection, adapter, jobs)
            job = await database.connection.fetchval(
                "select id from asyncjobs.jobs where state = 'failed' limit 1"
            )
            print("| page | kB sent | ms cold, median | worst | ms warm, median | worst |")
            print("| --- | --- | --- | --- | --- | --- |")
            await measure(manager.dashboard(), job, repeat)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--dsn", default="", help="a server to use instead of an embedded one")
    parser.add_argument("--jobs", type=int, default=1_000_000, help="default 1 000 000")
    parser.add_argument("--repeat", type=int, default=REPEAT, help=f"default {REPEAT}")
    options = parser.parse_args()
    asyncio.run(run(options.dsn, options.jobs, options.repeat))


if __name__ == "__main__":
    main()
