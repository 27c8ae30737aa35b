"""A demo in a process of its own, for the tests."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

DEMO = Path(__file__).with_name("demo.py")
READY = re.compile(r"ready: sign up at (http://\S+),")
PATIENCE = 60.0
"""Seconds until the demo has started or ended."""


class DemoProcess:
    """A running demo, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.process = process
        self.printed = ""
        self.address = ""
        self._settled = threading.Event()
        # A pipe that nobody reads would stop the demo when it is full.
        self._reader = threading.Thread(target=self._read, args=[output])
        self._reader.start()

    def wait_until_ready(self) -> None:
        """Return when the app answers. Raises AssertionError if it never will."""
        self._settled.wait(PATIENCE)
        assert self.address, f"the demo did not get ready:\n{self.printed}"

    def end_by(self, number: signal.Signals) -> int:
        """Send the signal *number*, and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code when the demo has ended and all that it said was read."""
        returncode = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return returncode

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self.printed += line
            if found := READY.search(line):
                self.address = found[1]
                self._settled.set()
        self._settled.set()


@contextmanager
def run_demo(environment: dict[str, str]) -> Iterator[DemoProcess]:
    """Run a demo beside the body, on a port of its own."""
    process = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, DEMO, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    with process:
        demo = DemoProcess(process, process.stdout)
        try:
            demo.wait_until_ready()
            yield demo
        finally:
            process.terminate()
            demo.wait()
