"""``start``, ``stop`` and ``restart`` with real processes on a real database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sample_project import SampleProject


@pytest.fixture
def detached(project: SampleProject) -> Iterator[SampleProject]:
    """The project, and nothing detached is left of it."""
    yield project
    project.asyncjobs("stop", "--timeout", "0")


def pid_of(project: SampleProject) -> int:
    return json.loads((project.folder / ".asyncjobs" / "supervisor.pid").read_bytes())["pid"]


def test_workers_start_detached_and_stop(detached: SampleProject) -> None:
    started = detached.asyncjobs("start")
    assert started.returncode == 0, started.stderr
    assert f"started with pid {pid_of(detached)}" in started.stdout
    detached.schedule("write_note", "done")
    detached.wait_for_notes("done")
    again = detached.asyncjobs("start")
    assert again.returncode == 1
    assert f"error: already running with pid {pid_of(detached)}" in again.stderr
    stopped = detached.asyncjobs("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert "supervisor.stopped" in (detached.folder / ".asyncjobs/supervisor.log").read_text()


def test_stop_says_that_nothing_runs(detached: SampleProject) -> None:
    done = detached.asyncjobs("stop")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nothing is running")


def test_restart_replaces_the_process_and_starts_one_if_there_is_none(
    detached: SampleProject,
) -> None:
    first = detached.asyncjobs("restart", "--state-dir", ".asyncjobs")
    assert (first.returncode, "nothing was running" in first.stdout) == (0, True), first.stderr
    old = pid_of(detached)
    second = detached.asyncjobs("restart")
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith("stopped\nstarted with pid")
    assert pid_of(detached) != old


def test_a_start_that_fails_shows_the_end_of_the_log(detached: SampleProject) -> None:
    detached.write_app("import nowhere")
    done = detached.asyncjobs("start")
    assert done.returncode == 1
    assert "ended right after its start (exit code 2)" in done.stderr
    assert "No module named 'nowhere'" in done.stderr


def test_stop_uses_force_on_workers_that_do_not_end_in_time(detached: SampleProject) -> None:
    detached.schedule("wait_for_release")
    assert detached.asyncjobs("start").returncode == 0
    detached.wait_for_notes("started")
    done = detached.asyncjobs("stop", "--timeout", "0.1")
    assert (done.returncode, done.stdout) == (0, "stopped by force, after 0.1 s\n")
    assert detached.notes() == ["started", "cancelled"]
    assert detached.rows() == [("available", 0)]


def test_the_pid_file_names_the_process_and_its_start(detached: SampleProject) -> None:
    assert detached.asyncjobs("start").returncode == 0
    record = json.loads((detached.folder / ".asyncjobs" / "supervisor.pid").read_bytes())
    assert psutil.Process(record["pid"]).create_time() == record["started"]
