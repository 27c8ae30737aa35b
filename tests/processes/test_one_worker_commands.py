"""``workoff`` and ``worker`` with real processes on a real database."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sample_project import SampleProject


def test_workoff_runs_what_is_due_and_says_how_much(project: SampleProject) -> None:
    for number in range(3):
        project.schedule("write_note", f"note {number}")
    done = project.asyncjobs("workoff")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 jobs run\n"
    assert sorted(project.notes()) == ["note 0", "note 1", "note 2"]


def test_workoff_without_jobs_ends_at_once(project: SampleProject) -> None:
    assert project.asyncjobs("workoff").stdout == "0 jobs run\n"


def test_ctrl_c_in_workoff_returns_running_jobs(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("workoff") as command:
        project.wait_for_notes("started")
        command.send(signal.SIGINT)
        assert command.wait_for_end() == 130
    assert project.rows() == [("available", 0)]


def test_one_worker_runs_until_sigterm(project: SampleProject) -> None:
    with project.running("worker", "--index", "0", "--id", "3") as command:
        assert command.wait_for("worker.started")["worker"].endswith(".3")
        project.schedule("write_note", "done")
        project.wait_for_notes("done")
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0


def test_a_second_sigterm_cuts_a_worker_without_supervisor_off(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("worker", "--index", "0", "--id", "0") as command:
        project.wait_for_notes("started")
        command.send(signal.SIGTERM)
        command.wait_for("worker.stopping")
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0
    assert project.notes() == ["started", "cancelled"]
    assert project.rows() == [("available", 0)]


def test_one_worker_works_off_or_clears(project: SampleProject) -> None:
    project.schedule("write_note", "done")
    done = project.asyncjobs("worker", "--index", "0", "--id", "0", "--workoff")
    assert (done.returncode, project.notes()) == (0, ["done"]), done.stderr
    project.schedule("write_note", "never")
    done = project.asyncjobs("worker", "--index", "0", "--id", "0", "--clear")
    assert (done.returncode, done.stdout) == (0, "removed 1 jobs from postgres\n")
    assert project.notes() == ["done"]


def test_a_worker_group_that_does_not_exist_is_wrong_usage(project: SampleProject) -> None:
    done = project.asyncjobs("worker", "--index", "1", "--id", "0")
    assert done.returncode == 2
    assert done.stderr == "error: there is no worker group 1: they go from 0 to 0\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb", ["workoff", "worker --index 0 --id 0 --workoff"])
def test_standard_streams_that_are_closed_are_in_nobodys_way(
    project: SampleProject, verb: str, closed: str
) -> None:
    project.schedule("write_note", "done")
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m asyncjobs {verb} {closed}', sys.executable],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, project.notes()) == (0, ["done"]), done.stderr
