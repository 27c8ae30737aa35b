"""Limits hold, and lanes go on, while workers are killed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobManager, PostgresAdapter, Queue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEASE, HEARTBEAT = 2.0, 0.5
LANES, JOBS, KILLS = 4, 60, 4
AT_ONCE, IN_QUEUE = 3, 6

APP = f"""
import asyncio, os, sys
import asyncpg
from asyncjobs import JobManager, PostgresAdapter, Queue, WorkerGroup, current_job

jobs = JobManager(
    adapters={{"main": PostgresAdapter(sys.argv[1])}},
    queues=[Queue("default", concurrency={IN_QUEUE})],
    workers=[
        WorkerGroup(
            adapter="main", concurrency=20, lease={LEASE}, heartbeat_interval={HEARTBEAT},
            sleep_delay=1,
        )
    ],
)

async def note(lane, number):
    run = await pool.fetchval(
        "insert into runs (lane, number, pid) values ($1, $2, $3) returning id",
        lane, number, os.getpid(),
    )
    try:
        await asyncio.sleep(0.005)
        if number % 7 == 0 and current_job().attempt == 1:
            raise OSError("once")
    finally:
        await pool.execute("update runs set ended = clock_timestamp() where id = $1", run)

@jobs.job(backoff=lambda *_: 0.05, strict_order=True, concurrency_key="{{lane}}")
async def in_order(lane: str, number: int) -> None:
    await note(lane, number)

@jobs.job(backoff=lambda *_: 0.05, concurrency={AT_ONCE}, concurrency_key="{{lane}}")
async def some_at_once(lane: str, number: int) -> None:
    await note(lane, number)

async def main():
    global pool
    pool = await asyncpg.create_pool(sys.argv[1], min_size=10, max_size=10)
    await jobs.run_worker(0, number=int(sys.argv[2]))

asyncio.run(main())
"""


@pytest.fixture
async def database(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "create table runs (id serial primary key, lane text, number int, pid int, "
        "began timestamptz default clock_timestamp(), ended timestamptz)"
    )
    yield connection
    await connection.close()


class Workers:
    """Worker processes, of which some are killed."""

    def __init__(self, script: Path, dsn: str) -> None:
        self.script, self.dsn = script, dsn
        self.alive: list[subprocess.Popen[bytes]] = []
        self.started = 0

    def start(self) -> None:
        """Start another one."""
        command = [sys.executable, str(self.script), self.dsn, str(self.started)]
        self.started += 1
        self.alive.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

    def kill_one(self) -> int:
        """Kill the oldest and return its process number."""
        process = self.alive.pop(0)
        process.kill()
        process.wait()
        return process.pid


@pytest.fixture
def workers(tmp_path: Path, dsn: str) -> Iterator[Workers]:
    script = tmp_path / "worker.py"
    script.write_text(APP)
    workers = Workers(script, dsn)
    yield workers
    while workers.alive:
        workers.kill_one()


async def schedule(dsn: str) -> None:
    jobs = JobManager(
        adapters={"main": PostgresAdapter(dsn)}, queues=[Queue("default", concurrency=IN_QUEUE)]
    )
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(strict_order=True, concurrency_key="{lane}")
    async def in_order(lane: str, number: int) -> None: ...

    @jobs.job(concurrency=AT_ONCE, concurrency_key="{lane}")
    async def some_at_once(lane: str, number: int) -> None: ...

    async with jobs:
        for number in range(JOBS):
            calls = [in_order(f"order {lane}", number) for lane in range(LANES)]
            await later.many([*calls, some_at_once("some", number)])


def most_at_once(runs: list[Any]) -> int:
    """Return how many of *runs* overlapped at one moment."""
    steps = sorted([(run["began"], 1) for run in runs] + [(run["ended"], -1) for run in runs])
    inside = most = 0
    for _, step in steps:
        inside += step
        most = max(most, inside)
    return most


async def test_lanes_hold_and_go_on_while_workers_are_killed(
    dsn: str, workers: Workers, database: Any
) -> None:
    await schedule(dsn)
    for _ in range(3):
        workers.start()
    total = JOBS * (LANES + 1)
    with anyio.fail_after(100):
        for kill in range(1, KILLS + 1):
            enough = total * kill // (KILLS + 1)
            while await database.fetchval("select count(*) from runs") < enough:
                await anyio.sleep(0.01)
            before = await database.fetchval("select clock_timestamp()")
            killed = workers.kill_one()
            await database.execute(
                "update runs set ended = greatest(began, $1) where pid = $2 and ended is null",
                *(before, killed),
            )
            workers.start()
        while await database.fetchval("select exists (select from asyncjobs.jobs)"):
            await anyio.sleep(0.05)
    runs = await database.fetch("select * from runs order by began, id")
    assert {(run["lane"], run["number"]) for run in runs} == {
        (lane, number)
        for lane in [*(f"order {lane}" for lane in range(LANES)), "some"]
        for number in range(JOBS)
    }
    for lane in range(LANES):
        own = [run for run in runs if run["lane"] == f"order {lane}"]
        assert most_at_once(own) == 1
        numbers = [run["number"] for run in own]
        assert numbers == sorted(numbers)
    assert most_at_once([run for run in runs if run["lane"] == "some"]) <= AT_ONCE
    assert most_at_once(runs) <= IN_QUEUE
