"""Workers whose clocks are an hour off change nothing: there is one clock, the database's."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from crew import HERE, ROOT, until
from record import missing, overlaps

if TYPE_CHECKING:
    from crew import Command, Crew, Database

HOUR = 3600
GROUP = {
    "lease": 6, "heartbeat_interval": 0.5, "delete_successful_jobs": False, "concurrency": 4,
    "sleep_delay": 60,
}  # fmt: skip
WORKER = [sys.executable, "-m", "asyncjobs", "worker", "--index", "0", "--id"]


def start(crew: Crew, means: str, offset: int, **environment: str) -> Command:
    """Start a worker whose clock is *offset* seconds off."""
    number = str(len(crew.commands))
    if means == "faketime":
        command = ["faketime", "-f", f"{offset:+d}s", *WORKER, number]
        return crew.run(command, DONT_FAKE_MONOTONIC="1", **environment)
    path = ":".join([str(HERE / "another_hour"), str(ROOT), str(HERE)])
    return crew.run([*WORKER, number], ANOTHER_HOUR=str(offset), PYTHONPATH=path, **environment)


@pytest.mark.parametrize("means", ["patch", "faketime"])
async def test_clocks_an_hour_off_change_nothing(
    make_crew: Any, database: Database, means: str
) -> None:
    if means == "faketime" and shutil.which("faketime") is None:
        pytest.skip("needs the program faketime")
    crew: Crew = make_crew(GROUP)
    early = start(crew, means, -HOUR, CHAOS_ALONE="early")
    late = start(crew, means, HOUR, CHAOS_ALONE="late")
    for worker in (early, late):
        await worker.logged("worker.started")
    hours = {
        event["timestamp"][11:13]
        for worker in (early, late)
        for event in worker.events("worker.started")
    }
    assert len(hours) == 2  # the clocks are off indeed

    jobs = await crew.store("quick", count=100, number=1)
    jobs += await crew.store("fragile", count=10, queue="urgent", failures=2)
    future = await database.fetch(
        "insert into asyncjobs.jobs (position, run_at, state, name, queue, args) select "
        "number, now() + number * interval '0.3 seconds', 'scheduled', 'quick', 'default', "
        """'{"number": 1}' from generate_series(3, 12) as number returning id"""
    )
    await database.fetch("select pg_notify('asyncjobs_asyncjobs', '{\"due\": 0}')")
    jobs += [row["id"] for row in future]
    naps = await crew.store("nap", count=4, queue="slow", seconds=4)
    await until(lambda: set(naps) <= set(crew.record().runs))
    [victim] = {run.pid for run in crew.record().all() if run.job == naps[0]}
    crew.kill(victim)
    killed_at = time.monotonic()
    await database.until("not exists (select from asyncjobs.workers where pid = $1)", victim)
    assert GROUP["lease"] - 1 < time.monotonic() - killed_at
    await database.until("not exists (select from asyncjobs.jobs where state <> 'succeeded')")

    record = crew.record()
    assert not missing(record, [*jobs, *naps])
    assert overlaps(record, deaths=crew.deaths) == []
    assert not await database.value(
        "select exists (select from asyncjobs.jobs where attempted_at < run_at)"
    )
    for worker in (early, late):
        assert worker.events("lease.lost") == []
