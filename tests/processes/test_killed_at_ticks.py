"""However often workers are killed, each tick of a schedule has exactly one run."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKERS, KILLS = 3, 12
PASSED = 12_000
"""Ticks that the workers make up for while they are killed; a thousand in a transaction."""

APP = """
import asyncio, sys
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    adapters={"main": PostgresAdapter(sys.argv[1])},
    workers=[
        WorkerGroup(
            adapter="main", concurrency=100, lease=2, heartbeat_interval=0.5,
            delete_successful_jobs=False,
        )
    ],
)

@jobs.job(every=1, catch_up="all", overlap="allow")
async def each() -> None: ...

@jobs.job(cron="* * * * * *")
async def skipping() -> None: ...

asyncio.run(jobs.run_worker(0, number=int(sys.argv[2])))
"""


class Workers:
    """Worker processes on one database."""

    def __init__(self, script: Path, dsn: str) -> None:
        self.script, self.dsn, self.started = script, dsn, 0
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        command = [sys.executable, str(self.script), self.dsn, str(self.started)]
        self.processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        self.started += 1

    def kill_one(self) -> None:
        process = self.processes.pop(random.randrange(len(self.processes)))
        process.kill()
        process.wait()


@pytest.fixture
def workers(tmp_path: Path, dsn: str) -> Iterator[Workers]:
    script = tmp_path / "worker.py"
    script.write_text(APP)
    workers = Workers(script, dsn)
    for _ in range(WORKERS):
        workers.start()
    yield workers
    for process in workers.processes:
        process.kill()
        process.wait()


@pytest.fixture
async def database(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def until(database: Any, condition: str, *args: Any) -> None:
    with anyio.fail_after(90):
        while not await database.fetchval(f"select {condition}", *args):
            await asyncio.sleep(0.005)


async def runs(database: Any) -> int:
    count: int = await database.fetchval("select count(*) from asyncjobs.jobs")
    return count


@pytest.mark.timeout(240)
async def test_each_tick_has_one_run(workers: Workers, database: Any) -> None:
    await until(database, "count(*) = 2 from asyncjobs.schedules where last_at is not null")
    await database.execute(
        "update asyncjobs.schedules set starting_at = starting_at - interval '1 day' "
        "where name = 'each'"
    )
    await database.execute(
        "update asyncjobs.schedules set after_at = after_at - $1 * interval '1 second', "
        "next_at = after_at where name = 'each'",
        float(PASSED),
    )
    first = await database.fetchval("select after_at from asyncjobs.schedules where name = 'each'")
    for _ in range(KILLS):
        before = await runs(database)
        await until(database, "count(*) > $1 from asyncjobs.jobs", before)
        await asyncio.sleep(random.uniform(0, 0.05))  # anywhere in the work of a tick
        workers.kill_one()
        workers.start()
    await until(database, "next_at > now() from asyncjobs.schedules where name = 'each'")
    await database.execute("update asyncjobs.schedules set enabled = false")
    await until(
        database,
        "not exists (select from asyncjobs.jobs where state not in ('succeeded', 'failed'))",
    )
    row = await database.fetchrow(
        "select count(*) as runs, count(distinct tick) as ticks, min(tick) as first, "
        "extract(epoch from max(tick) - min(tick)) + 1 as seconds from asyncjobs.jobs "
        "where schedule = 'each' and tick > $1 and state = 'succeeded'",
        first,
    )
    assert row["runs"] == row["ticks"] == row["seconds"]
    assert row["runs"] >= PASSED
    assert (row["first"] - first).total_seconds() <= 1
    assert await database.fetchval(
        "select count(*) = count(distinct tick) from asyncjobs.jobs where schedule = 'skipping'"
    )
    assert await database.fetchval("select bool_and(state = 'succeeded') from asyncjobs.jobs")


@pytest.mark.timeout(120)
async def test_a_worker_that_is_stopped_for_a_while_repeats_no_tick(
    workers: Workers, database: Any
) -> None:
    await until(database, "count(*) = 2 from asyncjobs.schedules where last_at is not null")
    stopped = workers.processes[0]
    stopped.send_signal(signal.SIGSTOP)
    before = await runs(database)
    await until(database, "count(*) >= $1 from asyncjobs.jobs", before + 8)
    stopped.send_signal(signal.SIGCONT)
    await until(database, "count(*) >= $1 from asyncjobs.jobs", before + 14)
    await database.execute("update asyncjobs.schedules set enabled = false")
    row = await database.fetchrow(
        "select count(*) as runs, count(distinct tick) as ticks, "
        "extract(epoch from max(tick) - min(tick)) + 1 as seconds "
        "from asyncjobs.jobs where schedule = 'each'"
    )
    assert row["runs"] == row["ticks"] == row["seconds"]
