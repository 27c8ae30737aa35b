"""Jobs that do not end: they block the event loop, swallow their cancellation, or are threads."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from crew import until
from record import overlaps

if TYPE_CHECKING:
    from crew import Crew, Database

GROUP = {
    "lease": 3, "heartbeat_interval": 0.3, "delete_successful_jobs": False,
    "shutdown_timeout": 1, "concurrency": 5,
}  # fmt: skip
FOREVER = 10_000.0
GRACE = "0.5"
STUCK: dict[str, dict[str, Any]] = {
    "stubborn": {}, "blocking": {"seconds": FOREVER}, "stuck_thread": {"seconds": FOREVER},
}  # fmt: skip
EACH = ["stubborn", "blocking", pytest.param("stuck_thread", marks=pytest.mark.long)]
LINES = {
    "stubborn": "await asyncio.sleep(3_600)",
    "blocking": "time.sleep(seconds)",
    "stuck_thread": "time.sleep(seconds)",
}


async def test_a_job_that_blocks_the_loop_for_longer_than_the_lease_keeps_it(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    first = crew.start_worker(CHAOS_ALONE="one")
    [job] = await crew.store("blocking", seconds=5)
    await first.logged("loop.blocked")
    other = crew.start_worker(CHAOS_ALONE="two")
    await first.logged("loop.blocked", count=2)
    said = first.events("loop.blocked")
    assert {(line["job"], line["id"]) for line in said} == {("blocking", job)}
    assert said[0]["seconds"] < said[1]["seconds"]
    assert "in blocking" in said[0]["stack"]
    assert "chaos_app.py" in said[0]["stack"].splitlines()[0]
    await database.until("exists (select from asyncjobs.jobs where state = 'succeeded')")
    assert other.events("job.rescued") == []
    [run] = crew.record().runs[job]
    assert (run.pid, run.how) == (first.process.pid, "succeeded")
    assert (await first.logged("loop.resumed"))["seconds"] > 1.5


@pytest.mark.parametrize("name", EACH)
async def test_a_job_that_does_not_end_is_recorded_and_its_slot_is_reported(
    make_crew: Any, database: Database, name: str
) -> None:
    crew: Crew = make_crew(GROUP)
    worker = crew.start_worker(CHAOS_GRACE=GRACE)
    [job] = await crew.store(name, **STUCK[name])
    line = await worker.logged("job.stuck")
    assert (line["job"], line["id"]) == (name, job)
    assert LINES[name] in line["stack"]
    await database.until("exists (select from asyncjobs.jobs where state = 'failed')")
    row = await database.row(job)
    [error] = json.loads(row.errors or "[]")
    assert (row.attempt, error["error"]) == (1, "JobTimeoutError")
    [run] = crew.record().runs[job]
    assert run.end is None
    assert worker.process.poll() is None  # nobody asked it to end
    if name != "blocking":
        others = await crew.store("quick", count=20, number=1)
        await until(lambda: set(others) <= crew.record().succeeded())


@pytest.mark.parametrize("name", EACH)
async def test_with_kill_stuck_the_process_is_replaced_and_nothing_else_is_lost(
    make_crew: Any, database: Database, name: str
) -> None:
    crew: Crew = make_crew({**GROUP, "kill_stuck": True})
    supervisor = crew.start("work", CHAOS_GRACE=GRACE)
    await until(lambda: len(supervisor.workers()) == 1)
    [first] = supervisor.workers()
    napping = await crew.store("nap", count=2, queue="slow", seconds=30)
    ended = await crew.store("quick", number=1)
    await until(lambda: {*napping, *ended} <= crew.record().runs.keys())
    [job] = await crew.store(name, **STUCK[name])
    died = await supervisor.logged("worker.died")
    assert died["exit_code"] == 70
    await supervisor.logged("worker.started", count=2)
    await until(lambda: all(len(crew.record().runs[nap]) == 2 for nap in napping))
    record = crew.record()
    assert [run.pid for run in record.runs[job]] == [first.pid]
    assert (await database.row(job)).state == "failed"
    assert len(record.runs[ended[0]]) == 1
    for nap in napping:  # cut off, and given back at no cost
        row = await database.row(nap)
        assert (row.state, row.attempt, row.errors) == ("running", 1, None)
        assert record.runs[nap][1].pid != first.pid
    crew.deaths[first.pid] = min(record.runs[nap][1].begin for nap in napping)
    assert overlaps(record, deaths=crew.deaths) == []


async def test_a_stuck_job_that_may_be_tried_again_is_tried_when_its_process_has_ended(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew({**GROUP, "kill_stuck": True})
    worker = crew.start_worker(CHAOS_GRACE=GRACE)
    [job] = await crew.store("stubborn_retried")
    assert await worker.ended() == 70
    row = await database.row(job)
    assert (row.state, row.attempt) == ("scheduled", 1)
    [error] = json.loads(row.errors or "[]")
    assert error["error"] == "JobTimeoutError"


async def test_a_stuck_job_keeps_no_worker_from_its_shutdown(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew({**GROUP, "shutdown_timeout": 600})
    worker = crew.start_worker(CHAOS_GRACE=GRACE)
    await crew.store("stubborn")
    await worker.logged("job.stuck")
    os.kill(worker.process.pid, signal.SIGTERM)
    assert await worker.ended() == 0
    assert await database.value("select leaving from asyncjobs.workers")
