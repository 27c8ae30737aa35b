"""What a person at a terminal sees and does."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
from sample_project import BOUND, Command, SampleProject, kill_tree, until

if TYPE_CHECKING:
    from collections.abc import Iterator

# The tests may run under nohup, but what is typed in a terminal does not.
TERMINAL = """
import os, pty, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""
CTRL_C = b"\x03"
CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
ENDED = """
insert into asyncjobs.jobs (position, run_at, finished_at, state, name, queue, args)
select n, now() - interval '2 h', now() - interval '2 h', 'succeeded', 'write_note', 'default', '{}'
  from generate_series(1, 2500) n
"""


@contextmanager
def typed(
    project: SampleProject, *arguments: str, term: str = "xterm-256color"
) -> Iterator[Command]:
    """Run the command in a terminal of its own; what is written to its stdin is typed."""
    output = project.folder / "screen"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", TERMINAL, sys.executable, "-m", "asyncjobs", *arguments],
            cwd=project.folder,
            env=project.environment | {"TERM": term},
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        )
    try:
        yield Command(process, output)
    finally:
        if process.poll() is None:
            kill_tree(process.pid)
        process.wait(BOUND)
        if process.stdin is not None:
            process.stdin.close()


def press(command: Command, key: bytes) -> None:
    assert command.process.stdin is not None
    os.write(command.process.stdin.fileno(), key)


def test_ctrl_c_reaches_only_the_supervisor_and_lets_jobs_end(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with typed(project, "work") as command:
        project.wait_for_notes("started")
        press(command, CTRL_C)
        until(lambda: "worker.stopping" in command.output, command)
        project.release()
        assert command.wait_for_end() == 0, command.output
    assert project.notes() == ["started", "ended"]
    assert not command.events("worker.stopping")  # pretty lines, not JSON


def test_top_shows_what_goes_on_until_ctrl_c(project: SampleProject) -> None:
    with typed(project, "top", "--every", "0.2") as command:
        until(lambda: "No worker runs." in command.output, command)
        project.schedule("wait_for_release")
        until(lambda: "the oldest" in command.output, command)
        press(command, CTRL_C)
        assert command.wait_for_end() == 0, command.output
    assert "Traceback" not in command.output


def test_top_is_printed_once_on_a_terminal_that_cannot_move_its_cursor(
    project: SampleProject,
) -> None:
    with typed(project, "top", term="dumb") as command:
        assert command.wait_for_end() == 0, command.output
    assert command.output.count("No worker runs.") == 1


def test_logs_follow_what_happens_through_a_cut_until_ctrl_c(project: SampleProject) -> None:
    with typed(project, "logs", "--follow", "--every", "0.2") as command:
        project.schedule("write_note", "one")
        until(lambda: "write_note #1" in command.output, command)
        project.ask(CUT)
        project.schedule("write_note", "two")
        until(lambda: "write_note #2" in command.output, command)
        assert project.asyncjobs("workoff").returncode == 0
        project.schedule("write_note", "three")
        until(lambda: "write_note #3" in command.output, command)
        press(command, CTRL_C)
        assert command.wait_for_end() == 0, command.output
    assert command.output.count("stored") == 3  # nothing is told twice
    assert "Traceback" not in command.output


def test_prune_shows_how_far_it_is(project: SampleProject) -> None:
    project.ask(ENDED)
    with typed(project, "prune", "--older-than", "1h") as command:
        until(lambda: "Remove 2,500 jobs?" in command.output, command)
        press(command, b"y\n")
        assert command.wait_for_end() == 0, command.output
    assert "2500/2500" in command.output
    assert "2,500 that ended 1h ago or more" in command.output
    assert project.rows() == []


def test_ctrl_c_twice_returns_jobs_to_the_queue(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with typed(project, "work") as command:
        project.wait_for_notes("started")
        press(command, CTRL_C)
        until(lambda: "worker.stopping" in command.output, command)
        press(command, CTRL_C)
        assert command.wait_for_end() == 0, command.output
    assert project.notes() == ["started", "cancelled"]
    assert project.rows() == [("available", 0)]


def test_workoff_shows_how_far_it_is(project: SampleProject) -> None:
    for number in range(3):
        project.schedule("write_note", str(number))
    with typed(project, "workoff") as command:
        assert command.wait_for_end() == 0, command.output
    assert "3/3" in command.output
    assert "3 jobs run" in command.output


def test_clear_takes_no_for_an_answer(project: SampleProject) -> None:
    project.schedule("write_note", "kept")
    with typed(project, "clear") as command:
        until(lambda: "[y/N]" in command.output, command)
        press(command, b"n\n")
        assert command.wait_for_end() == 1
    assert "nothing was removed" in command.output
    assert project.rows() == [("available", 0)]


def test_workers_let_jobs_end_when_the_terminal_is_closed(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with typed(project, "work") as command:
        project.wait_for_notes("started")
        [supervisor] = command.children()
        left = supervisor.children()
        command.process.kill()
        _, alive = psutil.wait_procs([supervisor], timeout=BOUND)
        assert not alive, command.output
        project.release()
        project.wait_for_notes("started", "ended")
        _, alive = psutil.wait_procs(left, timeout=BOUND)
        assert not alive, command.output
    assert project.rows() == []
