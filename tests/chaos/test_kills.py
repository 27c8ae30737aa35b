"""SIGKILL of workers, again and again."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from record import miscounted, missing, overlaps

from asyncjobs import JobManager, PostgresAdapter

if TYPE_CHECKING:
    from crew import Crew, Database

JOBS = 20_000
KILLS = 6
LEASE, HEARTBEAT = 3.0, 0.5
GROUP = {
    "concurrency": 50, "lease": LEASE, "heartbeat_interval": HEARTBEAT,
    "delete_successful_jobs": False, "count": 2,
}  # fmt: skip
BYSTANDER = {**GROUP, "queue": "urgent", "count": 1}
"""It has no jobs, so it is not killed: somebody must be there to see who fell silent."""


async def store(dsn: str, jobs: int) -> set[int]:
    """Store so many jobs by calls of ten callers, and return the ids that were acknowledged."""
    manager = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later = manager.create_scheduler(adapter="main")

    @manager.job
    async def quick(number: int) -> None: ...

    acknowledged: set[int] = set()

    async def caller(first: int) -> None:
        for number in range(first, jobs, 100 * 10):
            stored = await later.many([quick(number + each) for each in range(100)])
            acknowledged.update(job.id for job in stored)

    async with manager, anyio.create_task_group() as callers:
        for first in range(0, 1_000, 100):
            callers.start_soon(caller, first)
    return acknowledged


class Killer:
    """Kills a worker that holds jobs, now and then, and times the rescue of its jobs."""

    def __init__(self, crew: Crew, database: Database) -> None:
        self.crew, self.database = crew, database
        self.kills = 0
        self.rescues: list[float] = []
        """Seconds until nothing was held by the killed worker any more."""

    async def run(self, kills: int) -> None:
        async with anyio.create_task_group() as tasks:
            while self.kills < kills and (victim := await self.find()):
                worker, pid = victim
                self.crew.kill(pid)
                self.kills += 1
                tasks.start_soon(self.time_rescue, worker, time.monotonic())
                await asyncio.sleep(random.uniform(0.3, 1.2))

    async def find(self) -> tuple[int, int] | None:
        """Return a worker that holds jobs, and its process; None if all jobs have ended."""
        query = """
            select workers.id, workers.pid from asyncjobs.workers
            where exists (select from asyncjobs.jobs where locked_by = workers.id)
            order by random()
        """
        while await self.database.value(
            "select exists (select from asyncjobs.jobs where state in ('available', 'running'))"
        ):
            for worker, pid in await self.database.fetch(query):
                if pid not in self.crew.deaths:
                    return worker, pid
            await asyncio.sleep(0.01)
        return None

    async def time_rescue(self, worker: int, killed_at: float) -> None:
        await self.database.until(
            "not exists (select from asyncjobs.jobs where locked_by = $1)", worker
        )
        self.rescues.append(time.monotonic() - killed_at)


@pytest.mark.parametrize(
    "alone",
    [
        pytest.param(False, marks=pytest.mark.long, id="same_machine"),
        pytest.param(True, id="other_machines"),
    ],
)
async def test_every_job_succeeds_and_is_counted_exactly_whatever_is_killed(
    make_crew: Any, database: Database, *, alone: bool
) -> None:
    crew: Crew = make_crew(GROUP, BYSTANDER)
    acknowledged = crew.acknowledged = await store(crew.dsn, JOBS)
    assert len(acknowledged) == JOBS
    crew.start("work", **({"CHAOS_ALONE": "1"} if alone else {}))
    killer = Killer(crew, database)
    await killer.run(KILLS)
    assert killer.kills >= 2
    await database.until("not exists (select from asyncjobs.jobs where state <> 'succeeded')")
    record, rows = crew.record(), await database.rows()
    assert len(rows) == JOBS
    assert not missing(record, acknowledged)
    assert overlaps(record, deaths=crew.deaths) == []
    assert miscounted(record, rows) == []
    assert max(row.attempt for row in rows) <= 1 + killer.kills
    assert max(killer.rescues) < (LEASE if alone else 0) + 5
