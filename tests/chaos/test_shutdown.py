"""Shutdown: what was running, prefetched or blocked is neither lost nor counted."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from crew import until
from record import overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crew import Command, Crew, Database

GROUP = {
    "lease": 3, "heartbeat_interval": 0.3, "delete_successful_jobs": False,
    "shutdown_timeout": 0.5, "concurrency": 5,
}  # fmt: skip
FLOOD = 4_000
INT, TERM = signal.SIGINT, signal.SIGTERM
UVICORN = [sys.executable, "-m", "uvicorn", "--port", "0", "--log-level", "warning"]
WAYS = {
    "worker": [sys.executable, "-m", "asyncjobs", "worker", "--index", "0", "--id", "0"],
    "program": [sys.executable, "-m", "chaos_program"],
    "web": [*UVICORN, "chaos_web:app"],
}


async def flooded(crew: Crew) -> list[int]:
    """Store jobs that do not end, and more quick ones than can run before the shutdown."""
    endless = await crew.store("endless", count=2)
    await crew.store("quick", count=FLOOD, number=1)
    return endless


async def assert_nothing_lost_or_counted(
    crew: Crew, database: Database, endless: list[int]
) -> None:
    record = crew.record()
    for row in await database.rows():
        assert row.errors is None
        done = row.id in record.succeeded()
        assert (row.state, row.attempt) == (("succeeded", 1) if done else ("available", 0)), row
    for job in endless:
        assert [run.how for run in record.runs[job]] == ["cancelled"]
    assert await database.worker_pids() == []


async def signalled(command: Command, *numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(command.process.pid, number)
    await command.ended()


def each_way() -> Iterator[Any]:
    """Yield every way to work with every way to end it; those that say most are in `make test`."""
    short = {("worker", (TERM,)), ("program", (INT, INT)), ("web", (INT, INT))}
    for way in WAYS:
        for numbers in [(TERM,), (INT,), (INT, INT)]:
            if (way, numbers) == ("program", (TERM,)):
                continue  # without a handler, SIGTERM ends a program as SIGKILL does
            marks = [] if (way, numbers) in short else [pytest.mark.long]
            names = "_".join(number.name for number in numbers)
            yield pytest.param(way, numbers, marks=marks, id=f"{way}_{names}")


@pytest.mark.parametrize(("way", "numbers"), [*each_way()])
async def test_running_and_prefetched_jobs_go_back_uncounted(
    make_crew: Any, database: Database, way: str, numbers: tuple[signal.Signals, ...]
) -> None:
    crew: Crew = make_crew(GROUP)
    endless = await flooded(crew)
    command = crew.run(WAYS[way])
    await until(lambda: len(crew.record().runs) > 200, command.log.read_text)
    await signalled(command, *numbers)
    await assert_nothing_lost_or_counted(crew, database, endless)


async def test_a_program_that_is_interrupted_as_it_shuts_down_counts_nothing(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew({**GROUP, "shutdown_timeout": 60})
    endless = await flooded(crew)
    command = crew.run(WAYS["program"])
    await until(lambda: len(crew.record().runs) > 200, command.log.read_text)
    os.kill(command.process.pid, INT)
    await until(lambda: "worker.stopping" in command.log.read_text())
    await signalled(command, INT)
    assert command.process.returncode != 0
    await assert_nothing_lost_or_counted(crew, database, endless)


async def test_a_blocked_worker_ends_when_it_can(make_crew: Any, database: Database) -> None:
    crew: Crew = make_crew(GROUP)
    worker = crew.start_worker()
    [blocking] = await crew.store("blocking", seconds=2.5)
    await worker.logged("loop.blocked")
    endless = await crew.store("endless", count=20)
    await signalled(worker, INT, INT)
    assert worker.process.returncode == 0
    rows = {row.id: row for row in await database.rows()}
    assert rows[blocking].state == "succeeded"
    assert {(rows[job].state, rows[job].attempt) for job in endless} == {("available", 0)}


async def test_a_function_that_outlasts_the_shutdown_of_a_worker_costs_no_attempt(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    worker = crew.start_worker(CHAOS_GRACE="0.2")
    [job] = await crew.store("threaded", seconds=600)
    await until(lambda: job in crew.record().runs)
    await signalled(worker, TERM)
    assert (await worker.logged("job.unstoppable"))["id"] == job
    row = await database.row(job)
    assert (row.state, row.attempt) == ("running", 1)
    crew.start_worker()  # sees that the process is gone
    await until(lambda: len(crew.record().runs[job]) == 2)
    row = await database.row(job)
    assert (row.state, row.attempt, row.errors) == ("running", 1, None)


@pytest.mark.parametrize("way", [pytest.param("program", marks=pytest.mark.long), "web"])
async def test_a_function_that_outlasts_its_worker_keeps_its_job_until_the_process_ends(
    make_crew: Any, database: Database, way: str
) -> None:
    crew: Crew = make_crew(GROUP)
    command = crew.run(WAYS[way], CHAOS_GRACE="0.2", CHAOS_ALONE="one")
    [job] = await crew.store("threaded", seconds=5)
    await until(lambda: job in crew.record().runs, command.log.read_text)
    os.kill(command.process.pid, INT)
    await until(lambda: "worker.stopped" in command.log.read_text(), command.log.read_text)
    crew.start_worker(CHAOS_ALONE="two")
    await command.ended()
    await until(lambda: len(crew.record().runs[job]) == 2)
    first, second = crew.record().runs[job]
    assert first.end is not None
    assert first.end < second.begin
    row = await database.row(job)
    assert (row.attempt, row.errors) == (1, None)


async def test_two_web_processes_work_and_end_together(make_crew: Any, database: Database) -> None:
    crew: Crew = make_crew(GROUP)
    endless = await crew.store("endless", count=10)
    command = crew.run([*UVICORN, "--workers", "2", "chaos_web:app"])
    await until(lambda: set(crew.record().runs) == set(endless), command.log.read_text)
    pids = {run.pid for run in crew.record().all()}
    assert pids == set(await database.worker_pids())
    assert len(pids) == 2
    await signalled(command, TERM)
    await assert_nothing_lost_or_counted(crew, database, endless)


async def test_a_web_process_that_reloads_gives_its_jobs_to_the_next(
    make_crew: Any, database: Database
) -> None:
    crew: Crew = make_crew(GROUP)
    source = crew.folder / "reloaded.py"
    source.write_text("from chaos_web import app\n")
    endless = await crew.store("endless", count=2)
    command = crew.run([
        *UVICORN, "--reload", "--reload-dir", str(crew.folder), "--reload-include", "*.py",
        "reloaded:app",
    ])  # fmt: skip
    await until(lambda: set(crew.record().runs) == set(endless), command.log.read_text)
    source.write_text("from chaos_web import app  # again\n")
    await until(
        lambda: {len(runs) for runs in crew.record().runs.values()} == {2}, command.log.read_text
    )
    record = crew.record()
    assert overlaps(record, deaths={}) == []
    assert {run.attempt for run in record.all()} == {1}
    assert len({run.pid for run in record.all()}) == 2
    await signalled(command, INT)
    assert {row.attempt for row in await database.rows()} == {0}
