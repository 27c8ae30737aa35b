"""Detached processes, with small programs in the place of workers."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from asyncjobs.errors import DaemonError
from asyncjobs.supervisor import Daemon, daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = """
import os, signal, sys
print("the program says hello", flush=True)
if "--fail" in sys.argv:
    raise SystemExit(2)
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
os.write(int(sys.argv[-1]), b"1")
signal.pause()
"""


def command(*options: str) -> list[str]:
    return [sys.executable, "-S", "-c", PROGRAM, *options]


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "SETTLED_AFTER", 0.2)
    monkeypatch.setattr(daemon, "HURRY_TIMEOUT", 0.5)


@pytest.fixture
def detached(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that does not outlive its test."""
    found = Daemon(tmp_path / "state")
    yield found
    if found.pid_path.exists() and found.pid_path.stat().st_size:
        pid = json.loads(found.pid_path.read_bytes())["pid"]
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_process_starts_once_and_stops(detached: Daemon) -> None:
    pid = detached.start(command())
    assert detached.running()
    with pytest.raises(DaemonError, match=f"already running with pid {pid}"):
        detached.start(command())
    assert detached.stop(timeout=20) is False
    assert not detached.running()
    assert detached.log_path.read_text() == "the program says hello\n"


def test_nothing_to_stop_is_an_error(detached: Daemon) -> None:
    with pytest.raises(DaemonError, match="nothing is running"):
        detached.stop(timeout=1)


def test_a_process_that_ends_right_after_its_start_shows_its_output(detached: Daemon) -> None:
    with pytest.raises(DaemonError, match=r"exit code 2(.|\n)*the program says hello"):
        detached.start(command("--fail"))
    assert not detached.running()


def test_a_stubborn_process_is_killed(detached: Daemon) -> None:
    detached.start(command("--stubborn"))
    assert detached.stop(timeout=0.1) is True
    assert not detached.running()


def test_the_pid_file_of_a_killed_process_is_stale(detached: Daemon) -> None:
    os.kill(detached.start(command()), signal.SIGKILL)
    wait_until_free(detached)
    with pytest.raises(DaemonError, match="nothing is running"):
        detached.stop(timeout=1)
    detached.start(command())
    assert detached.stop(timeout=20) is False


def test_a_pid_that_another_process_has_by_now_is_left_alone(detached: Daemon) -> None:
    pid = detached.start(command())
    record = json.loads(detached.pid_path.read_bytes())
    detached.pid_path.write_text(json.dumps({**record, "started": record["started"] - 100}))
    with pytest.raises(DaemonError, match="does not name the process that holds it"):
        detached.stop(timeout=1)
    assert psutil.pid_exists(pid)
    detached.pid_path.write_text(json.dumps(record))


def test_a_state_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DaemonError, match="state folder"):
        Daemon(tmp_path / "file" / "state").start(command())


def wait_until_free(detached: Daemon) -> None:
    deadline = time.monotonic() + 20
    while detached.running():
        assert time.monotonic() < deadline
        time.sleep(0.01)
