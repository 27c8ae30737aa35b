"""A worker that is stopped for longer than its lease, and goes on."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from crew import until
from record import missing, overlaps

if TYPE_CHECKING:
    from crew import Crew, Database

LEASE, HEARTBEAT = 3.0, 0.5
JOBS = 40


async def store_naps(crew: Crew) -> set[int]:
    return set(await crew.store("nap", count=JOBS, queue="slow", seconds=0.3))


async def test_a_stopped_worker_that_goes_on_changes_nothing_and_works_again(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew({
        "lease": LEASE, "heartbeat_interval": HEARTBEAT, "delete_successful_jobs": False,
        "concurrency": 10,
    })  # fmt: skip
    stopped = crew.start_worker(CHAOS_ALONE="one")
    await stopped.logged("worker.started")
    acknowledged = await store_naps(crew)
    await until(lambda: len(crew.record().succeeded()) >= 10)
    pid = stopped.process.pid
    os.kill(pid, signal.SIGSTOP)
    held = {
        row["id"]
        for row in await database.fetch(
            "select jobs.id from asyncjobs.jobs join asyncjobs.workers on workers.id = locked_by "
            "where pid = $1", pid,
        )
    }  # fmt: skip
    other = crew.start_worker(CHAOS_ALONE="two")
    await database.until("not exists (select from asyncjobs.workers where pid = $1)", pid)
    lapse = time.monotonic_ns()
    await database.until("not exists (select from asyncjobs.jobs where state <> 'succeeded')")
    before = {row.id: row for row in await database.rows()}

    os.kill(pid, signal.SIGCONT)
    await stopped.logged("lease.lost")
    await database.until("count(*) = 2 from asyncjobs.workers")
    assert {row.id: row for row in await database.rows()} == before
    again = await store_naps(crew)
    await until(lambda: again <= crew.record().succeeded())
    await until(lambda: pid in {run.pid for run in crew.record().all() if run.job in again})

    record = crew.record()
    assert not missing(record, acknowledged | again)
    # A moment before others could run them its lease was over: the rescue comes first.
    crew.lapses[pid] = lapse - int(LEASE * 1e9)
    assert overlaps(record, deaths={}, lapses=crew.lapses) == []
    rescued = {event["id"] for event in other.events("job.rescued")}
    assert rescued == held
    cut_off = {run.job for run in record.all() if run.pid == pid and run.how == "cancelled"}
    assert cut_off <= held
    assert {row.attempt for row in await database.rows() if row.id in held} == {2}


async def test_a_stopped_worker_cancels_what_it_ran_when_it_hears_of_that(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew({"lease": LEASE, "heartbeat_interval": HEARTBEAT})
    stopped = crew.start_worker(CHAOS_ALONE="one")
    [job] = await crew.store("endless")
    await until(lambda: job in crew.record().runs)
    pid = stopped.process.pid
    os.kill(pid, signal.SIGSTOP)
    crew.lapses[pid] = time.monotonic_ns()
    crew.start_worker(CHAOS_ALONE="two")
    await until(lambda: len(crew.record().runs[job]) == 2)
    os.kill(pid, signal.SIGCONT)
    await until(lambda: crew.record().runs[job][0].how == "cancelled")
    await stopped.logged("lease.lost")
    await database.until("count(*) = 2 from asyncjobs.workers")
    first, second = crew.record().runs[job]
    assert (first.pid, second.how) == (pid, None)
    row = await database.row(job)
    assert (row.state, row.attempt) == ("running", 2)
