"""A manager with a worker, on both storages."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
import structlog

from asyncjobs import JobManager, JobRecord, MemoryAdapter, PostgresAdapter, WorkerGroup
from worker.at_work import PATIENCE, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from asyncjobs.scheduler import Scheduler
    from asyncjobs.storage.protocol import Storage


@dataclass
class Bench:
    """An open manager with one worker group, and what tests ask of it."""

    jobs: JobManager
    later: Scheduler
    storage: Storage
    log: list[dict[str, Any]]

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[asyncio.Event]:
        """Run a worker meanwhile; it stops gracefully at the end, or when the event is set."""
        async with working(self.jobs) as stop:
            with anyio.fail_after(PATIENCE):
                yield stop

    async def record(self, job_id: int) -> JobRecord:
        """Return the row of a job that must exist."""
        found = await self.later.get(job_id)
        assert found is not None, f"job {job_id} is gone"
        return found

    async def until(self, job_id: int, *states: str) -> JobRecord:
        """Wait until a job is in one of *states*."""
        with anyio.fail_after(PATIENCE):
            while (record := await self.record(job_id)).state not in states:
                await asyncio.sleep(0.005)
        return record

    async def until_gone(self, job_id: int) -> None:
        """Wait until a row was removed."""
        with anyio.fail_after(PATIENCE):
            while await self.later.get(job_id) is not None:
                await asyncio.sleep(0.005)

    async def until_logged(self, event: str) -> dict[str, Any]:
        """Wait for a log line."""
        with anyio.fail_after(PATIENCE):
            while True:
                for line in self.log:
                    if line["event"] == event:
                        return line
                await asyncio.sleep(0.005)


@pytest.fixture(params=["memory", "postgres"])
def adapter(request: pytest.FixtureRequest) -> Storage:
    """Both storages, in turn."""
    if request.param == "memory":
        return MemoryAdapter()
    return PostgresAdapter(request.getfixturevalue("dsn"))


@pytest.fixture
async def make_bench(adapter: Storage) -> AsyncIterator[Callable[..., Bench]]:
    """A function that makes a bench whose worker group has the given options."""
    opened = contextlib.AsyncExitStack()

    async def make(**options: Any) -> Bench:
        capture = structlog.testing.LogCapture()
        logger = structlog.wrap_logger(
            None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0)
        )
        jobs = JobManager(
            adapters={"main": adapter},
            queues=["default", "email", "slow"],
            workers=[WorkerGroup(adapter="main", **options)],
            logger=logger,
        )
        later = jobs.create_scheduler(adapter="main")
        await opened.enter_async_context(jobs)
        return Bench(jobs, later, adapter, capture.entries)

    async with opened:
        yield make


@pytest.fixture
async def bench(make_bench: Callable[..., Any]) -> Bench:
    """A bench with default options, but that keeps what succeeded."""
    return await make_bench(delete_successful_jobs=False)


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's database, with a table for the effects of jobs."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table effects (job bigint not null)")
    yield connection
    await connection.close()
