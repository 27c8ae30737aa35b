"""``asyncjobs work`` with real processes on a real database."""

from __future__ import annotations

import signal

import psutil
from sample_project import SampleProject, until


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_jobs_are_run_and_the_first_sigterm_lets_them_end(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("work") as command:
        project.wait_for_notes("started")
        command.send(signal.SIGTERM)
        command.wait_for("worker.stopping")
        project.release()
        assert command.wait_for_end() == 0
    assert project.notes() == ["started", "ended"]
    assert project.rows() == []


def test_a_second_ctrl_c_returns_running_jobs_at_no_cost(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("work") as command:
        project.wait_for_notes("started")
        command.send(signal.SIGINT)
        command.wait_for("worker.stopping")
        command.send(signal.SIGINT)
        assert command.wait_for_end() == 0
    assert project.notes() == ["started", "cancelled"]
    [(state, attempt)] = project.rows()
    assert (state, attempt) == ("available", 0)


def test_a_service_manager_that_signals_every_process_cuts_no_job_off(
    project: SampleProject,
) -> None:
    project.schedule("wait_for_release")
    with project.running("work") as command:
        project.wait_for_notes("started")
        worker = command.the_worker()
        worker.send_signal(signal.SIGTERM)
        command.wait_for("worker.stopping")
        command.send(signal.SIGTERM)
        command.wait_for("supervisor.stopping")
        worker.send_signal(signal.SIGTERM)
        project.release()
        assert command.wait_for_end() == 0
    assert project.notes() == ["started", "ended"]


def test_a_killed_worker_is_replaced_and_its_job_runs_again(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("work") as command:
        project.wait_for_notes("started")
        command.the_worker().kill()
        died = command.wait_for("worker.died")
        assert (died["signal"], died["restart_in"]) == ("SIGKILL", 0.1)
        project.wait_for_notes("started", "started")
        project.release()
        project.wait_for_notes("started", "started", "ended")
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0


def test_workers_end_gracefully_when_their_supervisor_is_killed(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("work") as command:
        project.wait_for_notes("started")
        worker = command.the_worker()
        command.process.kill()
        command.wait_for("worker.stopping")
        project.release()
        psutil.wait_procs([worker], timeout=20)
        assert gone(worker)
    assert project.notes() == ["started", "ended"]


def test_a_stuck_thread_does_not_keep_a_worker_alive(project: SampleProject) -> None:
    project.write_app(shutdown_timeout=0.2)
    project.schedule("hang_for_ever")
    with project.running("work") as command:
        project.wait_for_notes("hanging")
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0


def test_a_worker_that_finds_no_database_configured_ends_the_command_with_2(
    project: SampleProject,
) -> None:
    project.dsn = None
    done = project.asyncjobs("work")
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "ASYNCJOBS_DATABASE_URL" in done.stderr


def test_an_app_without_worker_groups_is_refused(project: SampleProject) -> None:
    project.write_app('from asyncjobs import *\njobs = JobManager(adapters={"m": MemoryAdapter()})')
    done = project.asyncjobs("work")
    assert done.returncode == 2
    assert "sample:jobs has no worker processes" in done.stderr


def test_workers_wait_for_a_database_that_is_not_migrated_yet(
    project: SampleProject, empty_dsn: str
) -> None:
    project.dsn = empty_dsn
    with project.running("work") as command:
        assert command.wait_for("worker.died")["exit_code"] == 1
        assert project.asyncjobs("migrate").returncode == 0
        command.wait_for("worker.started")
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0
    assert "run `asyncjobs migrate`" in command.output


def test_lines_of_log_are_json_without_a_terminal_and_pretty_if_asked_for(
    project: SampleProject,
) -> None:
    with project.running("work", "--log-format", "pretty") as command:
        until(lambda: "worker.started" in command.output, command)
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0
    assert not command.events("worker.started")
