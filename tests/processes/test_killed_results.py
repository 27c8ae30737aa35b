"""Whoever waits for a result gets it, though the worker that would have said so was killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from asyncjobs import JobManager, JobState, PostgresAdapter, current_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

APP = """
import asyncio, sys
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job

jobs = JobManager(
    adapters={"main": PostgresAdapter(sys.argv[1])},
    workers=[WorkerGroup(adapter="main", concurrency=20, heartbeat_interval=0.3, lease=2)],
)

@jobs.job(retain=3600)
async def square(number: int) -> int:
    for step in range(10):
        current_job().progress(step / 10)
        await asyncio.sleep(0.01)
    return number * number

@jobs.job(retain=3600)
async def stay() -> str:
    current_job().progress(0.5, f"attempt {current_job().attempt}")
    if current_job().attempt == 1:
        await asyncio.sleep(3600)
    return "done"

asyncio.run(jobs.run_worker(0))
"""
MANY = 300
PATIENCE = 60


@pytest.fixture
def start_worker(tmp_path: Path, dsn: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    script = tmp_path / "worker.py"
    script.write_text(APP)
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, str(script), dsn]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


jobs = JobManager(adapters={"main": PostgresAdapter("postgresql://replaced.invalid/app")})


@jobs.job(retain=3600)
async def square(number: int) -> int:
    return number


@jobs.job(retain=3600)
async def stay() -> str:
    return current_job().name


async def test_every_result_arrives_though_workers_are_killed(
    dsn: str, start_worker: Callable[[], subprocess.Popen[bytes]]
) -> None:
    manager = JobManager(adapters={"main": PostgresAdapter(dsn)})
    manager.registry.add(square)
    later = manager.create_scheduler(adapter="main")
    async with manager:
        stored = await later.many([square(number) for number in range(MANY)])
        waiting = asyncio.create_task(later.wait_all(stored, timeout=PATIENCE))
        for done in (MANY // 10, MANY // 2):
            worker = start_worker()
            with anyio.fail_after(PATIENCE):
                while sum(job.state is JobState.SUCCEEDED for job in stored) < done:
                    await asyncio.sleep(0.01)
            worker.kill()
            worker.wait()
        start_worker()
        assert await waiting == [number * number for number in range(MANY)]


async def test_the_events_of_a_job_go_on_with_the_next_worker(
    dsn: str, start_worker: Callable[[], subprocess.Popen[bytes]]
) -> None:
    manager = JobManager(adapters={"main": PostgresAdapter(dsn)})
    manager.registry.add(stay)
    later = manager.create_scheduler(adapter="main")
    async with manager:
        job = await later(stay())
        worker = start_worker()
        told = []
        with anyio.fail_after(PATIENCE):
            async for event in job.events():
                told.append(event)
                if event.message == "attempt 1" and worker.poll() is None:
                    worker.kill()
                    worker.wait()
                    start_worker()
        assert told[-1].state is JobState.SUCCEEDED
        assert (told[-1].attempt, told[-1].message) == (2, "attempt 2")
        assert await job.result(PATIENCE) == "done"
