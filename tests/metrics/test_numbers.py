"""The numbers are true, and the same whoever tells them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg

from asyncjobs import JobManager, PostgresAdapter
from asyncjobs.metrics.catalogue import CLUSTER, METRICS, PROCESS
from asyncjobs.statistics import MOST_TOTALS, Tally
from asyncjobs.types import WorkerInfo
from tests.metrics.conftest import make_manager
from tests.metrics.scraping import Scrape, scrape

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0
LAG = "asyncjobs_event_loop_lag_seconds"


async def until(app: Any, is_there: Callable[[Scrape], bool]) -> Scrape:
    """Scrape *app* until it tells what is waited for."""
    with anyio.fail_after(PATIENCE):
        while not is_there(found := await scrape(app)):
            await asyncio.sleep(0.02)
    return found


def told(found: Scrape) -> dict[str, tuple[str, set[str]]]:
    """Kind and labels of each metric that was told, as the catalogue names it."""
    return {
        name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for name, family in found.families.items()
    }


async def test_what_is_told_is_what_the_catalogue_has(jobs: JobManager, dsn: str) -> None:
    later = jobs.create_scheduler(adapter="main")
    app = jobs.metrics()
    async with jobs.lifespan()(None):
        await later(jobs.registry["work"]())
        found = await until(
            app,
            lambda found: {LAG, "asyncjobs_worker_heartbeat_age_seconds"} <= found.families.keys(),
        )
    async with asyncpg.create_pool(dsn, min_size=0, max_size=20) as pool:
        pooled = make_manager(PostgresAdapter(pool=pool))
        async with pooled:
            with_pool = await scrape(pooled.metrics())
            assert with_pool.value("pool_connections", state="used") >= 1
            assert with_pool.value("pool_connections_limit") == 20
    names = {metric.name: (metric.kind, set(metric.labels)) for metric in METRICS}
    assert {**told(with_pool), **told(found)} == names
    helps = {metric.name.removesuffix("_total"): metric.help for metric in METRICS}
    assert {name: family.documentation for name, family in found.families.items()}.items() <= (
        helps.items()
    )


async def test_each_half_can_be_told_alone(jobs: JobManager) -> None:
    cluster = told(await scrape(jobs.metrics(process=False)))
    process = told(await scrape(jobs.metrics(cluster=False)))
    assert cluster.keys() <= {metric.name for metric in CLUSTER}
    assert process.keys() <= {metric.name for metric in PROCESS}
    assert cluster
    assert process


async def test_attempts_are_told_by_queue_name_and_outcome(jobs: JobManager) -> None:
    later = jobs.create_scheduler(adapter="main")
    work, send = jobs.registry["work"], jobs.registry["send"]
    nothing = await scrape(jobs.metrics())
    assert set(nothing.values("attempts_total", "outcome", job_name="send").values()) == {0}
    await later.many([work(end) for end in ("succeed", "succeed", "cancel", "discard", "retry")])
    await later.many([send() for _ in range(4)])
    await jobs.workoff()
    found = await scrape(jobs.metrics())
    outcomes = found.values("attempts_total", "outcome", job_name="work", queue="default")
    assert outcomes == {"succeeded": 2, "failed": 1, "retried": 1, "cancelled": 1}
    assert found.value("attempts_total", job_name="send", queue="email", outcome="failed") == 4
    assert found.value("jobs_enqueued_total") == 9
    assert found.value("job_run_seconds_count", job_name="work") == 5
    assert found.value("job_wait_seconds_count", queue="email") == 4
    assert found.value("job_wait_seconds_sum", queue="email") > 0
    for name, labels in (
        ("job_run_seconds", {"job_name": "work"}),
        ("job_wait_seconds", {"queue": "email"}),
    ):
        buckets = found.values(f"{name}_bucket", "le", **labels)
        assert list(buckets.values()) == sorted(buckets.values())
        assert buckets["+Inf"] == found.value(f"{name}_count", **labels)
        assert [float(bound) for bound in buckets] == sorted(float(bound) for bound in buckets)


async def test_a_duration_is_in_the_first_bucket_that_is_not_less(jobs: JobManager) -> None:
    from asyncjobs.statistics import class_of

    tally = Tally(succeeded=3, ran=2.7)
    for duration in (0.7, 0.9, 1.1):
        tally.runs[class_of(duration)] += 1
    await jobs.adapters["main"].statistics.record({("default", "nap"): tally})
    found = await scrape(jobs.metrics())
    buckets = found.values("job_run_seconds_bucket", "le", job_name="nap")
    assert (buckets["0.5"], buckets["1.0"], buckets["2.0"], buckets["+Inf"]) == (0, 2, 3, 3)
    assert found.value("job_run_seconds_sum", job_name="nap") == 2.7


async def test_what_waits_and_runs_is_told_by_queue(jobs: JobManager) -> None:
    later = jobs.create_scheduler(adapter="main")
    work = jobs.registry["work"]
    storage = jobs.adapters["main"]
    worker = await storage.register(WorkerInfo("w", "all", ["default"], "h", "h", 1, 1.0, 3_600))
    await later.many([work() for _ in range(3)])
    await later(work(), wait=3600)
    await storage.claim(worker, ["default"], 1)
    await later.pause(queue="email")
    found = await scrape(jobs.metrics())
    states = found.values("jobs", "state", queue="default")
    assert (states["available"], states["running"], states["scheduled"]) == (2, 1, 1)
    assert set(found.values("jobs", "state", queue="email").values()) == {0}
    assert 0 < found.value("oldest_available_job_age_seconds", queue="default") < PATIENCE
    assert found.value("oldest_available_job_age_seconds", queue="email") == 0
    assert found.values("queue_paused", "queue") == {"default": 0, "email": 1}
    assert found.values("workers", "state", group="all") == {"alive": 1, "silent": 0}
    assert 0 <= found.value("worker_heartbeat_age_seconds", group="all") < PATIENCE


async def test_silent_workers_are_told_apart(jobs: JobManager) -> None:
    storage = jobs.adapters["main"]
    await storage.register(WorkerInfo("w", "all", ["default"], "h", "h", 1, 1.0, 0.01))
    await asyncio.sleep(0.05)
    found = await scrape(jobs.metrics())
    assert found.values("workers", "state", group="all") == {"alive": 0, "silent": 1}


async def test_schedules_are_told_by_how_they_stand(jobs: JobManager, dsn: str) -> None:
    later = jobs.create_scheduler(adapter="main")
    for name in ("late", "off", "in time"):
        await later(jobs.registry["work"](), every=3600, name=name)
    await later.schedules.disable("off")
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "update asyncjobs.schedules set next_at = now() - interval '2 hours' where name = 'late'"
    )
    await connection.close()
    found = await scrape(jobs.metrics())
    assert found.values("schedules", "standing") == {
        "active": 2, "off": 1, "gave_up": 0, "retired": 0,
    }  # fmt: skip
    assert found.value("schedules_overdue") == 1
    assert 7_200 <= found.value("schedule_lag_seconds") < 7_200 + PATIENCE


async def test_maintenance_that_fails_is_told(jobs: JobManager, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        """insert into asyncjobs.maintenance (task, due_at, problem) values
        ('a', now(), 'no space'), ('b', now() - interval '1 hour', null), ('c', 'infinity', null)"""
    )
    await connection.close()
    found = await scrape(jobs.metrics())
    assert found.values("maintenance_failing", "task") == {"a": 1, "b": 0, "c": 0}
    late = found.values("maintenance_late_seconds", "task")
    assert 3_600 <= late["b"] < 3_600 + PATIENCE
    assert late["c"] == 0


async def test_the_cluster_is_the_same_whoever_tells_of_it(jobs: JobManager, dsn: str) -> None:
    later = jobs.create_scheduler(adapter="main")
    await later.many([jobs.registry["work"]() for _ in range(3)])
    await jobs.workoff()
    other = make_manager(PostgresAdapter(dsn))
    async with other:
        mine = await scrape(jobs.metrics(process=False))
        others = await scrape(other.metrics(process=False))
    assert mine.rising() == others.rising()
    assert mine.value("attempts_total", job_name="work", outcome="succeeded") == 3


async def test_a_worker_tells_of_its_batches(jobs: JobManager) -> None:
    later = jobs.create_scheduler(adapter="main")
    app = jobs.metrics(cluster=False)
    await later.many([jobs.registry["work"]() for _ in range(30)])
    assert "asyncjobs_worker_slots" not in (await scrape(app)).families
    async with jobs.lifespan()(None):
        found = await until(
            app, lambda found: found.values("finish_batch_jobs_sum", "group").get("all") == 30
        )
        assert found.value("worker_slots", group="all") == 10
        assert found.value("worker_started_attempts_total") == 30
        assert found.value("claim_batch_jobs_sum") == 30
        assert found.value("claim_seconds_count") == found.value("claim_batch_jobs_count") > 0
        assert found.value("finish_seconds_count") == found.value("finish_batch_jobs_count") > 0
        assert found.value("worker_unrecorded_outcomes") == 0
        assert found.value("connections", state="idle") >= 3
        assert found.value("job_transactions") == 0
    assert "asyncjobs_worker_slots" not in (await scrape(app)).families


async def test_a_job_in_a_transaction_of_its_own_is_counted(jobs: JobManager) -> None:
    app = jobs.metrics(cluster=False)
    async with jobs.adapters["main"].transaction():
        assert (await scrape(app)).value("job_transactions") == 1
    assert (await scrape(app)).value("job_transactions") == 0


async def test_of_very_many_names_those_that_began_last_are_left_out(
    jobs: JobManager, dsn: str
) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        """insert into asyncjobs.totals (queue, name, since, succeeded, waits, runs)
        select 'default', 'job ' || n, now() + n * interval '1 second', 1,
            array_fill(0, array[72]), array_fill(0, array[72])
        from generate_series(1, $1) as n""",
        MOST_TOTALS + 5,
    )
    await connection.close()
    found = await scrape(jobs.metrics())
    names: dict[str, Any] = found.values("attempts_total", "job_name", outcome="succeeded")
    assert f"job {MOST_TOTALS}" in names
    assert f"job {MOST_TOTALS + 1}" not in names
    assert found.value("job_names_untold") == 1
