"""An app that code of any version can run, for the tests of a rolling deploy.

As a program it stores some calls of each kind, and prints their ids, with where its code is
and how many migrations that knows.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from recording import recorded

import asyncjobs
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job
from asyncjobs.storage.postgres.migrate import all_migrations

GROUP = json.loads(os.environ.get("CHAOS_GROUPS", "[{}]"))[0]
HOPELESS_ATTEMPTS = 2

jobs = JobManager(
    adapters={"main": PostgresAdapter(os.environ["ASYNCJOBS_DATABASE_URL"])},
    queues=["default", "urgent"],
    workers=[WorkerGroup(adapter="main", **GROUP)],
)
later = jobs.create_scheduler(adapter="main")


@jobs.job
async def quick(number: int) -> None:
    with recorded():
        await asyncio.sleep(0.005)


@jobs.job(queue="urgent", priority=1, backoff=lambda attempt, error: 0.2)
async def fragile(failures: int) -> None:
    with recorded():
        if current_job().attempt <= failures:
            raise ValueError("not yet")


@jobs.job(max_attempts=HOPELESS_ATTEMPTS, backoff=lambda attempt, error: 0.2)
async def hopeless() -> None:
    with recorded():
        raise ValueError("never")


@jobs.job
async def nap(seconds: float) -> None:
    with recorded():
        await asyncio.sleep(seconds)


@jobs.job
async def endless() -> None:
    with recorded():
        await asyncio.Event().wait()


async def store(count: int) -> dict[str, list[int]]:
    """Store so many quick calls, and some of each other kind; return the ids by kind."""
    async with jobs:
        many = await later.many([quick(number) for number in range(count)])
        single = [await later(fragile(2)) for _ in range(5)]
        failing = [await later(hopeless()) for _ in range(3)]
        delayed = [await later(quick(0), wait=1) for _ in range(5)]
        cancelled = [await later(quick(0), wait=3_600) for _ in range(3)]
        for job in cancelled:
            assert await later.cancel(job.id)
    kinds = {
        "quick": many, "fragile": single, "hopeless": failing,
        "delayed": delayed, "cancelled": cancelled,
    }  # fmt: skip
    return {kind: [job.id for job in stored] for kind, stored in kinds.items()}


if __name__ == "__main__":
    said = {
        "code": asyncjobs.__file__,
        "knows": all_migrations()[-1].version,
        "ids": asyncio.run(store(int(sys.argv[1]))),
    }
    print(json.dumps(said))
