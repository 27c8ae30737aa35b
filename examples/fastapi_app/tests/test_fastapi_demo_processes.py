"""How the demo begins and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from demo_process import DEMO, PATIENCE, run_demo

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def leftovers() -> Iterator[str]:
    """A folder for what a killed demo cannot remove; PostgreSQL's user can enter it."""
    with tempfile.TemporaryDirectory(prefix="asyncjobs-tests-") as folder:
        Path(folder).chmod(0o711)
        yield folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_demo_ends_cleanly_by_a_signal(
    own_environment: dict[str, str], number: signal.Signals
) -> None:
    with run_demo(own_environment) as demo:
        processes = psutil.Process(demo.process.pid).children(recursive=True)

        assert demo.end_by(number) == 0

    assert gone(processes)
    assert "Traceback" not in demo.printed


def test_a_killed_demo_takes_its_processes_with_it(
    own_environment: dict[str, str], leftovers: str
) -> None:
    with run_demo(own_environment | {"TMPDIR": leftovers}) as demo:
        processes = psutil.Process(demo.process.pid).children(recursive=True)
        assert len(processes) >= 3

        demo.process.kill()

        assert gone(processes)


def test_the_demo_ends_when_one_of_its_processes_does(own_environment: dict[str, str]) -> None:
    with run_demo(own_environment) as demo:
        processes = psutil.Process(demo.process.pid).children(recursive=True)
        [mail_server] = [one for one in processes if "app.mailserver" in one.cmdline()]

        mail_server.terminate()

        assert demo.wait() == 1
        assert gone(processes)


def test_the_check_of_the_demo_passes(own_environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, DEMO, "--check", "--port", "0"],
        env=own_environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "sync_to_crm succeeded at attempt 3, after 2 recorded errors" in done.stdout


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    return alive == []
