"""Worker processes that are told to stop, by another one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sample_project import BOUND

if TYPE_CHECKING:
    from sample_project import SampleProject


def the_worker(project: SampleProject) -> str:
    """The id of the only worker."""
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        rows = project.ask("select id from asyncjobs.workers")
        if len(rows) == 1:
            return str(rows[0][0])
        time.sleep(0.05)
    raise AssertionError("there is no worker")


def test_a_worker_is_told_to_stop_lets_its_job_end_and_is_not_replaced(
    project: SampleProject,
) -> None:
    project.schedule("wait_for_release")
    with project.running("work") as command:
        project.wait_for_notes("started")
        told = project.asyncjobs("workers", "--stop", the_worker(project))
        assert told.returncode == 0, told.stderr
        command.wait_for("worker.stopping")
        project.release()
        assert command.wait_for_end() == 0  # it was the only one
        command.wait_for("worker.gone")
    assert project.notes() == ["started", "ended"]
    assert project.rows() == []
    assert project.ask("select 1 from asyncjobs.workers") == []


def test_a_worker_of_another_monitor_ends_well(project: SampleProject) -> None:
    with project.running("worker", "--index", "0", "--id", "0") as command:
        command.wait_for("worker.started")
        assert project.asyncjobs("workers", "--stop", the_worker(project)).returncode == 0
        assert command.wait_for_end() == 0
