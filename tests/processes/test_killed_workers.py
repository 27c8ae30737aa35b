from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobManager, PostgresAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)  # each job writes a row, on busy machines too
LEASE, HEARTBEAT = 2.0, 0.5
JOBS = 10_000

APP = f"""
import asyncio, os, sys
import asyncpg
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    adapters={{"main": PostgresAdapter(sys.argv[1])}},
    workers=[
        WorkerGroup(
            adapter="main", concurrency=100, lease={LEASE}, heartbeat_interval={HEARTBEAT}
        )
    ],
)
@jobs.job
async def note(number: int) -> None:
    async with pool.acquire() as connection:
        await connection.execute("insert into runs values ($1, $2)", number, os.getpid())

async def main():
    global pool
    pool = await asyncpg.create_pool(sys.argv[1], min_size=10, max_size=10)
    await jobs.run_worker(0, number=int(sys.argv[2]))

if len(sys.argv) > 3:  # as on another machine: nobody sees that the process is gone
    os.environ["ASYNCJOBS_HOST_ID"] = sys.argv[3]
asyncio.run(main())
"""


class Workers:
    """Worker processes on one database."""

    def __init__(self, script: Path, dsn: str) -> None:
        self.script, self.dsn = script, dsn
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *host: str) -> subprocess.Popen[bytes]:
        number = str(len(self.processes))
        command = [sys.executable, str(self.script), self.dsn, number, *host]
        process = subprocess.Popen(command)
        self.processes.append(process)
        return process


@pytest.fixture
def workers(tmp_path: Path, dsn: str) -> Iterator[Workers]:
    script = tmp_path / "worker.py"
    script.write_text(APP)
    workers = Workers(script, dsn)
    yield workers
    for process in workers.processes:
        process.kill()
        process.wait()


@pytest.fixture
async def database(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table runs (number int not null, pid int not null)")
    yield connection
    await connection.close()


async def schedule_from_fifty_callers(dsn: str) -> None:
    jobs = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def note(number: int) -> None: ...

    async def caller(first: int) -> None:
        for number in range(first, JOBS, 50):
            await later(note(number))

    async with jobs, anyio.create_task_group() as callers:
        for first in range(50):
            callers.start_soon(caller, first)


async def until(database: Any, condition: str, seconds: float = 60) -> None:
    with anyio.fail_after(seconds):
        while not await database.fetchval(f"select {condition}"):
            await asyncio.sleep(0.02)


async def test_every_job_runs_once_on_one_worker(dsn: str, workers: Workers, database: Any) -> None:
    workers.start()
    await schedule_from_fifty_callers(dsn)
    await until(database, f"count(*) >= {JOBS} from runs")
    await until(database, "not exists (select from asyncjobs.jobs)")
    numbers = Counter(row["number"] for row in await database.fetch("select number from runs"))
    assert numbers == Counter(range(JOBS))


@pytest.mark.parametrize("host", [(), ("elsewhere",)], ids=["same_machine", "other_machine"])
async def test_the_jobs_of_a_killed_worker_are_rescued_and_every_one_runs(
    dsn: str, workers: Workers, database: Any, host: tuple[str, ...]
) -> None:
    await schedule_from_fifty_callers(dsn)
    first = workers.start(*host)
    await until(database, f"count(*) > {JOBS // 20} from runs")
    first.kill()
    first.wait()
    held = await database.fetchval("select count(*) from asyncjobs.jobs where state = 'running'")
    assert held > 0
    workers.start()
    await until(database, "exists (select from asyncjobs.workers where id > 1)")  # it is up
    await until(
        database,
        "not exists (select from asyncjobs.jobs where attempt = 1 and locked_by = 1)",
        LEASE + 5,
    )
    await until(database, "not exists (select from asyncjobs.jobs)")
    numbers = [row["number"] for row in await database.fetch("select number from runs")]
    assert set(numbers) == set(range(JOBS))
    assert len(numbers) <= JOBS + held  # twice: only what the killed worker held


async def test_a_container_that_is_started_again_takes_its_jobs_over_at_once(
    dsn: str, workers: Workers, database: Any
) -> None:
    # As seen from the new container: the process of that number is another one, or none.
    await schedule_from_fifty_callers(dsn)
    first = workers.start("container-0")
    await until(database, f"count(*) > {JOBS // 20} from runs")
    first.kill()
    first.wait()
    await database.execute("update asyncjobs.workers set lease = interval '1 hour', pid = 1")
    workers.start("container-0")
    await until(database, "not exists (select from asyncjobs.jobs)")


async def test_a_worker_that_was_paused_for_longer_than_its_lease_records_nothing(
    dsn: str, workers: Workers, database: Any
) -> None:
    import signal

    await schedule_from_fifty_callers(dsn)
    paused = workers.start("elsewhere")
    await until(database, f"count(*) > {JOBS // 20} from runs")
    paused.send_signal(signal.SIGSTOP)
    workers.start()
    await until(database, "not exists (select from asyncjobs.jobs)")
    paused.send_signal(signal.SIGCONT)
    await until(database, "count(*) = 2 from asyncjobs.workers")  # it registered anew
    assert await database.fetchval("select count(*) from asyncjobs.jobs") == 0
