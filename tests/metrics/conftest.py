"""A manager on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import Cancel, JobManager, PostgresAdapter, WorkerGroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def make_manager(adapter: Any) -> JobManager:
    """A manager with a job that ends as its argument says."""
    jobs = JobManager(
        adapters={"main": adapter},
        queues=["default", "email"],
        workers=[WorkerGroup(adapter="main", name="all", heartbeat_interval=0.2)],
    )

    @jobs.job(backoff=lambda attempt, error: 3600, discard_on=LookupError, max_attempts=2)
    async def work(end: str = "succeed") -> None:
        if end != "succeed":
            raise {"cancel": Cancel, "discard": KeyError, "retry": OSError}[end]("no")

    @jobs.job(queue="email", max_attempts=1)
    async def send() -> None:
        raise OSError

    return jobs


@pytest.fixture
async def jobs(dsn: str) -> AsyncIterator[JobManager]:
    """An open manager."""
    jobs = make_manager(PostgresAdapter(dsn))
    async with jobs:
        yield jobs
