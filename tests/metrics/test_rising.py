"""Counters never fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
import structlog

from asyncjobs import PostgresAdapter
from asyncjobs.statistics import CLASSES
from tests.metrics.conftest import make_manager
from tests.metrics.scraping import scrape

if TYPE_CHECKING:
    from asyncjobs import JobManager


@pytest.fixture(autouse=True)
def unkept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scrape reads anew."""
    monkeypatch.setattr("asyncjobs.metrics.reading.AT_ONCE", -1.0)


async def run_some(jobs: JobManager, count: int) -> None:
    later = jobs.create_scheduler(adapter="main")
    await later.many([jobs.registry["work"]() for _ in range(count)])
    await jobs.workoff()


async def test_they_go_on_over_workers_pruning_and_exporters(jobs: JobManager, dsn: str) -> None:
    app = jobs.metrics(process=False)
    connection = await asyncpg.connect(dsn)
    before = (await scrape(app)).rising()
    for _ in range(3):
        await run_some(jobs, 5)  # each time by workers of its own
        await connection.execute(
            "update asyncjobs.statistics set since = since - interval '9 days'"
        )
        await jobs.adapters["main"].statistics.prune()
        assert await connection.fetchval("select count(*) from asyncjobs.statistics") == 0
        after = (await scrape(app)).rising()
        assert all(after[key] >= value for key, value in before.items())
        before = after
    await jobs.clear()
    other = make_manager(PostgresAdapter(dsn))
    async with other:
        found = await scrape(other.metrics(process=False))
    await connection.close()
    assert found.rising() == before
    assert found.value("attempts_total", job_name="work", outcome="succeeded") == 15
    assert found.value("job_run_seconds_count", job_name="work") == 15


async def test_what_a_crash_of_the_server_took_is_not_taken_back(
    jobs: JobManager, dsn: str
) -> None:
    app = jobs.metrics(process=False)
    await run_some(jobs, 5)
    before = await scrape(app)
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        f"""update asyncjobs.totals set succeeded = 3, waited = 0, ran = 0,
        waits = array_fill(0, array[{CLASSES}]), runs = array_fill(0, array[{CLASSES}])"""
    )
    assert (await scrape(app)).rising() == before.rising()
    await run_some(jobs, 4)
    after = await scrape(app)
    assert after.value("attempts_total", job_name="work", outcome="succeeded") == 7
    await connection.execute("delete from asyncjobs.totals")
    await run_some(jobs, 1)
    await connection.close()
    anew = await scrape(app)
    assert anew.value("attempts_total", job_name="work", outcome="succeeded") == 1


async def test_a_schema_without_totals_counts_on_and_tells_none(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "drop table asyncjobs.totals; delete from asyncjobs.migrations where version >= 14"
    )
    await connection.close()
    jobs = make_manager(PostgresAdapter(dsn))
    async with jobs:
        await run_some(jobs, 2)
        found = await scrape(jobs.metrics())
        [tally] = (await jobs.adapters["main"].statistics.tallies(60, 3)).values()
    assert tally.succeeded == 2
    assert found.value("database_up") == 1
    assert found.value("attempts_total", job_name="work", outcome="succeeded") == 0


async def test_a_database_that_is_away_is_told_once(server_dsn: str, dsn: str) -> None:
    with structlog.testing.capture_logs() as lines:
        jobs = make_manager(PostgresAdapter(dsn))
        async with jobs:
            app = jobs.metrics()
            assert (await scrape(app)).value("database_up") == 1
            server = await asyncpg.connect(server_dsn)
            name = dsn.rpartition("/")[2]
            await server.execute(f'drop database "{name}" with (force)')
            await server.close()
            for _ in range(2):
                found = await scrape(app)
                assert found.value("database_up") == 0
                assert "asyncjobs_jobs" not in found.families
                assert "asyncjobs_connections" in found.families
    assert [line["event"] for line in lines].count("metrics.failed") == 1
