"""`asyncjobs health` tells live workers from dead, stopped and other people's ones."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import asyncpg
from sample_project import APP, until

if TYPE_CHECKING:
    import pytest
    from sample_project import SampleProject

OPTIONS = "name='main', lease=1, heartbeat_interval=0.3, sleep_delay=0.2, shutdown_timeout="
IMPATIENT = APP.replace("shutdown_timeout=", OPTIONS)
IN_MEMORY = """
from asyncjobs import JobManager, MemoryAdapter, WorkerGroup
jobs = JobManager(adapters={"memory": MemoryAdapter()}, workers=[WorkerGroup(adapter="memory")])
"""
ELSEWHERE = """insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid,
    process_started, lease) values ('w', 'main', '{default}', 'h', 'another container', 1, 1, '1 h')
"""


def execute(dsn: str | None, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def code(project: SampleProject, *arguments: str) -> int:
    return project.asyncjobs("health", *arguments).returncode


def test_health_is_that_of_this_machines_workers(project: SampleProject) -> None:
    project.write_app(IMPATIENT)
    execute(project.dsn, ELSEWHERE)  # lives, and is not ours
    done = project.asyncjobs("health")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "ready: the database answers, and its schema fits",
        "0 workers of this machine or container where there must be 1",
    ]
    with project.running("--log-format", "json", "work") as command:
        command.wait_for("worker.started")
        worker = command.the_worker()
        assert code(project) == 0
        assert code(project, "--live", "--group", "main", "--pid", str(worker.pid)) == 0
        assert code(project, "--live", "--group", "other") == 1
        assert code(project, "--live", "--pid", str(command.process.pid)) == 1
        assert code(project, "--live", "--workers", "2") == 1

        worker.send_signal(signal.SIGSTOP)
        until(lambda: code(project, "--live") == 1, command)
        assert code(project, "--ready") == 0
        done = project.asyncjobs("health", "--live")
        assert "has been silent for" in done.stdout
        worker.send_signal(signal.SIGCONT)
        until(lambda: code(project, "--live") == 0, command)

        worker.kill()  # its row stays until its lease is over: it does not count meanwhile
        until(lambda: worker.pid not in [child.pid for child in command.children()], command)
        assert code(project, "--live", "--pid", str(worker.pid)) == 1
        until(lambda: code(project, "--live") == 0, command)  # the next one
        command.send(signal.SIGTERM)
        command.wait_for_end()
    assert code(project, "--live") == 1


def test_another_host_id_is_another_machine(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project.running("--log-format", "json", "work") as command:
        command.wait_for("worker.started")
        assert code(project, "--live") == 0
        monkeypatch.setenv("ASYNCJOBS_HOST_ID", "another container")
        assert code(project, "--live") == 1


def test_a_database_that_is_away_makes_workers_unready_but_not_dead(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = ("--dsn", "postgresql://me:hunter2@127.0.0.1:1/x")
    assert code(project, "--ready", *nowhere) == 1
    assert code(project, "--live", *nowhere) == 0
    done = project.asyncjobs("health", *nowhere)
    assert done.returncode == 1
    assert "hunter2" not in done.stdout + done.stderr


def test_a_schema_that_does_not_fit_is_not_ready(project: SampleProject, empty_dsn: str) -> None:
    done = project.asyncjobs("health", "--ready", "--dsn", empty_dsn)
    assert done.returncode == 1
    assert "run `asyncjobs migrate`" in done.stdout
    execute(project.dsn, "insert into asyncjobs.migrations values (900, '0900', 'x', 900)")
    assert code(project, "--ready") == 1


def test_without_an_address_that_makes_sense_nobody_is_asked(bare_project: SampleProject) -> None:
    for which in ("--live", "--ready", "--live --ready"):  # what it was not told it does not guess
        done = bare_project.asyncjobs("health", *which.split())
        assert (done.returncode, done.stdout) == (2, "")
        assert "no database is configured" in done.stderr
    for senseless in ("not:hunter2", "postgresql://me:hunter2@x:99999/x"):
        done = bare_project.asyncjobs("health", "--live", "--dsn", senseless)
        assert (done.returncode, done.stdout) == (2, "")
        assert "hunter2" not in done.stderr


def test_what_has_to_be_changed_first_is_told_apart_from_no(project: SampleProject) -> None:
    def refusal(*arguments: str) -> str:
        done = project.asyncjobs(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    assert "concurrency must be" in refusal("--set", "concurrency=0", "health", "--live")
    assert "--schema goes with --dsn" in refusal("health", "--schema", "other")
    assert "is not of the form module:attribute" in refusal("--app", "a/b.c", "health", "--live")
    assert "no module 'nowhere'" in refusal("--app", "nowhere", "health", "--live")
    project.write_app("import not_there")  # a deploy that is half done
    assert "ModuleNotFoundError" in refusal("health", "--live")
    assert code(project, "--ready", "--dsn", str(project.dsn)) == 0  # imports nothing
    project.write_app(IN_MEMORY)
    assert "a MemoryAdapter tells other processes nothing" in refusal("health")
