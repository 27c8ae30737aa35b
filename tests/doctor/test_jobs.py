"""What can be wrong with workers, queues, schedules and kept rows, caused for real."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from asyncjobs.doctor.checks import keeping
from asyncjobs.doctor.checks import schedules as of_schedules

if TYPE_CHECKING:
    from patient import Patient


# Workers and queues


async def test_jobs_that_nobody_works_on_are_told_of(patient: Patient) -> None:
    await patient.add_job(queue="email")
    finding = await patient.finding("queues")
    assert finding.level == "bad"
    assert "1 jobs wait in the queue email" in finding.what
    await patient.add_worker()
    assert (await patient.finding("queues")).level == "good"
    await patient.add_job(run_at="now() - interval '5 minutes'")
    finding = await patient.finding("queues")
    assert finding.level == "warning"
    assert "the queue default, the oldest for 5 min" in finding.what


async def test_a_queue_that_no_group_names_is_told_of(patient: Patient) -> None:
    finding = await patient.finding("queues", jobs=patient.manager(queue="email"))
    assert finding.level == "warning"
    assert "names the queue default" in finding.what
    assert (await patient.finding("queues", jobs=patient.manager())).level == "good"


async def test_a_silent_worker_is_told_of(patient: Patient) -> None:
    assert (await patient.finding("leases")).what == "No worker is registered."
    await patient.add_worker(silent="5 minutes")
    finding = await patient.finding("leases")
    assert finding.level == "warning"
    assert "has been silent for 5 min" in finding.what
    assert "longer than its lease of 30 s" in finding.what
    await patient.sql("update asyncjobs.workers set heartbeat_at = clock_timestamp()")
    assert (await patient.finding("leases")).level == "good"


async def test_jobs_of_a_worker_that_is_not_registered_are_told_of(patient: Patient) -> None:
    await patient.add_worker()
    await patient.add_job("running", locked_by=4_711)
    alive, orphans = await patient.findings("leases")
    assert (alive.level, orphans.level) == ("good", "warning")
    assert "for 1 worker that are not registered" in orphans.what


async def test_a_pause_is_told_of(patient: Patient) -> None:
    jobs = patient.manager()
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        await later.pause(queue="email")
    finding = await patient.finding("pauses")
    assert finding.level == "note"
    assert finding.what.startswith("The queue email is paused since 2")


async def test_a_worker_that_somebody_quieted_is_told_of(patient: Patient) -> None:
    await patient.add_worker()
    assert (await patient.finding("pauses")).level == "good"
    await patient.sql("update asyncjobs.workers set quiet_at = now()")
    finding = await patient.finding("pauses")
    assert (finding.level, " is quiet since 2" in finding.what) == ("note", True)
    assert finding.advice.startswith("asyncjobs workers --resume ")


async def test_jobs_that_the_application_does_not_have_are_told_of(patient: Patient) -> None:
    jobs = patient.manager()
    await patient.add_job()
    assert (await patient.finding("unregistered", jobs=jobs)).level == "good"
    await patient.add_job(name="gr\x07eet")
    await patient.add_job("scheduled", name="gr\x07eet")
    finding = await patient.finding("unregistered", jobs=jobs)
    assert finding.level == "bad"
    assert "2 jobs named gr\\x07eet are to run" in finding.what
    assert await patient.findings("unregistered") == []  # without an app nothing is known


# Schedules


async def test_schedules_that_make_no_run_are_told_of(patient: Patient) -> None:
    jobs = patient.manager()
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        for name in ("fine", "tired", "odd", "late", "off"):
            await later(jobs.registry["greet"]("Ada"), cron="@hourly", name=name)
    assert (await patient.finding("schedules", jobs=jobs)).level == "good"
    update = "update asyncjobs.schedules set {} where name = '{}'"
    await patient.sql(update.format("gave_up_at = now(), failures = 24", "tired"))
    await patient.sql(update.format("problem = 'no such cron'", "odd"))
    await patient.sql(update.format("next_at = now() - interval '1 hour'", "late"))
    await patient.sql(update.format("enabled = false, problem = 'whatever'", "off"))
    await patient.sql(update.format("timezone = 'Mars/Base'", "fine"))
    found = {each.what.split()[2]: each for each in await patient.findings("schedules", jobs=jobs)}
    assert {name: each.level for name, each in found.items()} == {
        "tired": "bad",
        "odd": "bad",
        "late": "warning",
    }
    assert "overdue by 1 h" in found["late"].what
    zone = await patient.finding("time_zones")
    assert zone.level == "bad"
    assert "Mars/Base" in zone.what


async def test_a_schedule_of_a_job_that_the_application_does_not_have_is_told_of(
    patient: Patient,
) -> None:
    jobs = patient.manager()
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        await later(jobs.registry["greet"]("Ada"), cron="@hourly", name="greeting")
    other = JobManager(
        adapters={"main": PostgresAdapter(patient.dsn)}, workers=[WorkerGroup(adapter="main")]
    )
    finding = await patient.finding("schedules", jobs=other)
    assert finding.level == "bad"
    assert "for the job greet, which the application does not have" in finding.what


async def test_a_machine_without_time_zones_is_told_of(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_schedules, "available_timezones", set)
    finding = await patient.finding("time_zones")
    assert finding.level == "bad"
    assert "tzdata" in finding.advice


# What is kept


@pytest.mark.parametrize(
    ("succeeded", "failed", "level"),
    [(0, 9, "good"), (1_000, 50, "good"), (80, 20, "warning"), (10, 20, "bad")],
)
async def test_many_failures_are_told_of(
    succeeded: int, failed: int, level: str, patient: Patient
) -> None:
    await patient.sql(
        """insert into asyncjobs.statistics (width, since, queue, name, succeeded, failed, waits,
        runs) values (60, now() - interval '2 minutes', 'default', 'greet', $1, $2, '{}', '{}')""",
        succeeded,
        failed,
    )
    finding = await patient.finding("failures")
    assert finding.level == level
    assert level == "good" or f"greet ({failed})" in finding.what


async def test_rows_that_nobody_removes_are_told_of(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PILE", 3)
    for _ in range(3):
        await patient.add_job("failed", finished_at="now()")
    finding = await patient.finding("unpruned")
    assert finding.level == "warning"
    assert "3+ failed jobs are kept, and nothing says for how long" in finding.what
    jobs = patient.manager(retain=timedelta(days=30))
    assert (await patient.finding("unpruned", jobs=jobs)).level == "good"


async def test_rows_that_were_to_be_removed_are_told_of(patient: Patient) -> None:
    for minutes in (10, 20):
        await patient.add_job(
            "succeeded",
            finished_at=f"now() - interval '{minutes + 1} minutes'",
            retain=timedelta(minutes=1),
        )
    finding = await patient.finding("unpruned")
    assert finding.level == "warning"
    assert finding.what.startswith("1 jobs were to be removed more than 15 minutes ago")


async def test_maintenance_that_fails_or_that_nobody_does_is_told_of(patient: Patient) -> None:
    assert (await patient.finding("maintenance")).level == "good"
    await patient.sql(
        """insert into asyncjobs.maintenance (task, due_at, problem) values
        ('prune statistics', now(), 'no space'), ('late', now() - interval '1 hour', null)"""
    )
    late, failing = await patient.findings("maintenance")
    assert (late.level, failing.level) == ("warning", "warning")
    assert "'late' since 1 h" in late.what
    assert "'prune statistics' fails: no space" in failing.what


# Bounds


async def test_the_doctor_reads_a_bounded_part_of_a_large_table(patient: Patient) -> None:
    await patient.sql(
        """insert into asyncjobs.jobs (position, run_at, state, name, queue, args, finished_at)
        select n, now(), state::asyncjobs.job_state, 'greet', 'default', '{}',
            case when state in ('succeeded', 'failed') then now() end
        from unnest(array['available', 'scheduled', 'succeeded', 'failed']) as state,
            generate_series(1, 20000) as n"""
    )
    await patient.sql("vacuum analyze asyncjobs.jobs")
    from asyncjobs.storage.postgres.statements import Statements

    statements = Statements.load("asyncjobs")
    for statement, values in (
        (statements.examine_names, [100]),
        (statements.examine_kept, [100, timedelta(0)]),
    ):
        async with patient.connection.transaction():
            await patient.sql("set local random_page_cost = 1.1")
            explain = f"explain (analyze, timing off, format json) {statement}"
            [plan] = json.loads(await patient.connection.fetchval(explain, *values))
        scans = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "jobs"]
        assert scans
        assert not [node for node in scans if node["Node Type"] == "Seq Scan"]
        assert sum(node["Actual Rows"] for node in scans) <= 500


def nodes(plan: dict[str, object]) -> list[dict[str, object]]:
    children: list[dict[str, object]] = plan.get("Plans", [])  # type: ignore[assignment]
    return [plan, *(node for child in children for node in nodes(child))]
