"""Workers are killed again and again while their jobs are inside transactions of their own."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobManager, PostgresAdapter

if TYPE_CHECKING:
    from pathlib import Path

JOBS, KILLS, PROCESSES = 1_500, 12, 2
PATIENCE = 120.0

APP = """
import asyncio, sys
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job

jobs = JobManager(
    adapters={"main": PostgresAdapter(sys.argv[1])},
    workers=[WorkerGroup(adapter="main", concurrency=30, lease=3, heartbeat_interval=0.5)],
)
later = jobs.create_scheduler(adapter="main")

@jobs.job(delete_successful=False)
async def kept(number: int) -> None:
    await deposit(number)

@jobs.job
async def deposit_once(number: int) -> None:
    await deposit(number)

async def deposit(number):
    async with current_job().transaction() as connection:
        await connection.execute("update accounts set balance = balance + 1 where id = $1", number)
        await connection.execute("select pg_sleep(0.01)")
        if number % 2:  # and a successor, which is there exactly once too
            await later(kept(number + 1), connection=connection)

asyncio.run(jobs.run_worker(0, number=int(sys.argv[2])))
"""


class Workers:
    """Worker processes, one of which is killed at a time."""

    def __init__(self, script: Path, dsn: str) -> None:
        self.script, self.dsn = script, dsn
        self.running: list[subprocess.Popen[bytes]] = []
        self.started = 0

    def start(self) -> None:
        command = [sys.executable, str(self.script), self.dsn, str(self.started)]
        self.started += 1
        self.running.append(subprocess.Popen(command))

    def kill_one(self, number: int) -> None:
        process = self.running.pop(number)
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        while self.running:
            self.kill_one(0)


@pytest.fixture
async def database(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table accounts (id int primary key, balance int not null)")
    await connection.execute("insert into accounts select n, 0 from generate_series(1, $1) n", JOBS)
    yield connection
    await connection.close()


async def schedule_odd_numbers(dsn: str) -> None:
    jobs = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def deposit_once(number: int) -> None: ...

    async with jobs:
        await later.many(deposit_once(number) for number in range(1, JOBS, 2))


async def until_deposited(database: Any, number: int) -> None:
    while await database.fetchval("select count(*) from accounts where balance > 0") < number:
        await asyncio.sleep(0.005)


async def test_every_effect_is_there_exactly_once(dsn: str, tmp_path: Path, database: Any) -> None:
    script = tmp_path / "worker.py"
    script.write_text(APP)
    workers, chance, interrupted = Workers(script, dsn), random.Random(), 0
    thresholds = sorted(chance.sample(range(1, JOBS - 100), KILLS))
    await schedule_odd_numbers(dsn)
    try:
        with anyio.fail_after(PATIENCE):
            for _ in range(PROCESSES):
                workers.start()
            for threshold in thresholds:
                await until_deposited(database, threshold)
                await asyncio.sleep(chance.uniform(0, 0.02))  # anywhere in a transaction
                interrupted += await database.fetchval(RUNNING)
                workers.kill_one(chance.randrange(PROCESSES))
                workers.start()
            await until_deposited(database, JOBS)
            while await database.fetchval(UNFINISHED):
                await asyncio.sleep(0.02)
    finally:
        workers.kill_all()
    balances = await database.fetch("select balance, count(*) from accounts group by balance")
    assert [tuple(row) for row in balances] == [(1, JOBS)]
    kept = await database.fetch("select state::text, count(*) from asyncjobs.jobs group by state")
    assert [tuple(row) for row in kept] == [("succeeded", JOBS // 2)]
    assert interrupted, "no job ran at any kill: the test has shown nothing"


RUNNING = "select count(*) from asyncjobs.jobs where state = 'running'"
UNFINISHED = "select exists (select from asyncjobs.jobs where state <> 'succeeded')"
