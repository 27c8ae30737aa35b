"""A job that kills its process each time it runs."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crew import until
from record import miscounted, overlaps

if TYPE_CHECKING:
    from crew import Crew, Database
    from record import JobRow, Record, Run

GROUP = {
    "lease": 3, "heartbeat_interval": 0.3, "delete_successful_jobs": False, "concurrency": 10,
}  # fmt: skip
NEIGHBOURS = 5
ATTEMPTS = 2
"""Of the deadly job: its second loss is free, so that it kills once more than that."""


async def test_a_job_that_kills_its_process_ends_and_costs_its_neighbours_one_attempt_at_most(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    neighbours = await crew.store("nap", count=NEIGHBOURS, queue="slow", seconds=0.5)
    [poison] = await crew.store("deadly")
    supervisor = crew.start("work")
    await database.until("(select state from asyncjobs.jobs where id = $1) = 'failed'", poison)
    await database.until("count(*) = $1 from asyncjobs.jobs where state = 'succeeded'", NEIGHBOURS)
    assert len(supervisor.events("worker.died")) == ATTEMPTS + 1

    record, rows = crew.record(), await database.rows()
    assert len(record.runs[poison]) == ATTEMPTS + 1
    errors = [error["error"] for error in json.loads((await database.row(poison)).errors or "")]
    assert errors == ["WorkerLost"] * (ATTEMPTS + 1) + ["AttemptsExhaustedError"]
    cost = {row.id: row.attempt - 1 for row in rows if row.id in neighbours}
    assert set(cost.values()) == {1}
    deaths = {run.pid: run.begin for run in record.runs[poison]}
    crew.deaths.update(deaths)
    assert overlaps(record, deaths=deaths) == []
    assert miscounted(record, [row for row in rows if row.id in neighbours]) == []
    assert suspects_at_once(record, rows, deaths) == []


def suspects_at_once(record: Record, rows: list[JobRow], deaths: dict[int, int]) -> list[Run]:
    """Return the runs that began beside another one, both after two losses of their jobs."""
    suspects = [run for row in rows for run in record.runs[row.id][2:]]
    suspects.sort(key=lambda run: (run.pid, run.begin))
    return [
        later
        for earlier, later in pairwise(suspects)
        if earlier.pid == later.pid and later.begin < (earlier.end or deaths[earlier.pid])
    ]


async def test_what_never_killed_anybody_runs_beside_a_suspect(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    [suspect] = await crew.store("nap", queue="slow", seconds=3)
    await mark_as_lost(database, suspect, 2)
    innocent = await crew.store("quick", count=100, number=1)
    crew.start_worker()
    await until(lambda: set(innocent) <= crew.record().succeeded())
    assert suspect not in crew.record().succeeded()
    await until(lambda: suspect in crew.record().succeeded())


async def test_suspects_run_one_at_a_time_and_all_of_them_run(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    suspects = await crew.store("nap", count=6, queue="slow", seconds=0.05)
    for suspect in suspects:
        await mark_as_lost(database, suspect, 2)
    crew.start_worker()
    await until(lambda: set(suspects) <= crew.record().succeeded())
    runs = sorted(crew.record().all(), key=lambda run: run.begin)
    for earlier, later in pairwise(runs):
        assert earlier.end is not None
        assert earlier.end < later.begin


async def mark_as_lost(database: Database, job: int, losses: int) -> None:
    """Make *job* one whose workers were lost so often."""
    await database.fetch(
        "update asyncjobs.jobs set attempt = $2, errors = $3::jsonb where id = $1",
        job, losses - 1, json.dumps([{"error": "WorkerLost"}] * losses),
    )  # fmt: skip
