"""`Daemon`: a command that runs detached from the terminal, and how it is found again.

The lock on the pid file is the truth: the kernel lets go of it when the detached process
ends, however it ends. The pid in it is only used once psutil confirms that the process of
that number began when the file says.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import psutil

from asyncjobs.errors import DaemonError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

READY = "--ready"
"""The option by which the command learns the file descriptor to report by that it runs."""
READY_TIMEOUT = 60.0
SETTLED_AFTER = 2.0
"""Seconds. A command that lives so long after it was ready is taken to be running."""
HURRY_TIMEOUT = 15.0
SAME_START = 2.0
"""Seconds that two readings of a process's start may differ by: the clock is adjusted."""
LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Daemon:
    """The detached process of one state folder."""

    folder: Path

    @property
    def pid_path(self) -> Path:
        """The file with the process's number and start, locked while it runs."""
        return self.folder / "supervisor.pid"

    @property
    def log_path(self) -> Path:
        """The file that takes its output."""
        return self.folder / "supervisor.log"

    def start(self, command: Sequence[str], *, cwd: Path | None = None) -> int:
        """Run *command* detached and return its pid once it runs.

        Raises DaemonError if one runs already, or if this one ended right away.
        """
        with self._files(), self.pid_path.open("a+b") as file:
            if not _lock(file):
                raise DaemonError(f"already running{self._as_pid()}: see {self.log_path}")
            with self.log_path.open("ab") as log:
                log_start = log.tell()
                process, ready = _spawn([*command], cwd, log, file)
            _write_record(file, process.pid)
        code = _wait_until_settled(process, ready)
        if code is not None:
            raise DaemonError(self._failure(code, log_start))
        process.returncode = 0  # it is not ours to wait for: no warning when this is dropped
        return process.pid

    def stop(self, timeout: float) -> bool:
        """End the process, by force if it still runs after *timeout* seconds.

        Return whether force was used. Raises DaemonError if nothing runs.
        """
        with self._files(), self.pid_path.open("a+b") as file:
            if _lock(file):
                raise DaemonError(f"nothing is running (state folder {self.folder})")
            process = self._process()
            steps = (
                (signal.SIGTERM, timeout),
                (signal.SIGINT, HURRY_TIMEOUT),
                (signal.SIGKILL, HURRY_TIMEOUT),
            )
            for step, patience in steps:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(step)
                if _lock_within(file, patience):
                    file.truncate(0)
                    return step != signal.SIGTERM
        raise DaemonError(f"the process {process.pid} does not end")

    def running(self) -> bool:
        """Whether the process runs."""
        with self._files(), self.pid_path.open("a+b") as file:
            return not _lock(file)

    @contextlib.contextmanager
    def _files(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except (OSError, psutil.AccessDenied) as error:
            raise DaemonError(f"state folder {self.folder}: {error}") from error

    def _process(self) -> psutil.Process:
        try:
            record = json.loads(self.pid_path.read_bytes())
            process = psutil.Process(record["pid"])
            if abs(process.create_time() - record["started"]) <= SAME_START:
                return process
        except (ValueError, TypeError, KeyError, psutil.NoSuchProcess):
            pass
        raise DaemonError(
            f"{self.pid_path} is locked, but does not name the process that holds it: "
            "find it and end it yourself"
        )

    def _as_pid(self) -> str:
        with contextlib.suppress(DaemonError):
            return f" with pid {self._process().pid}"
        return ""

    def _failure(self, code: int, log_start: int) -> str:
        output = self.log_path.read_bytes()[log_start:].decode(errors="replace")
        end = "\n".join(output.splitlines()[-LOG_LINES:])
        return f"ended right after its start (exit code {code}); the end of {self.log_path}:\n{end}"


def _spawn(
    command: list[str], cwd: Path | None, log: BinaryIO, lock: BinaryIO
) -> tuple[subprocess.Popen[bytes], int]:
    # The process inherits the lock, and so holds it until its own end.
    ready, theirs = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, READY, str(theirs)],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(theirs, lock.fileno()),
            start_new_session=True,
        )
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(theirs)
    return process, ready


def _write_record(file: BinaryIO, pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        record = {"pid": pid, "started": psutil.Process(pid).create_time()}
        file.truncate(0)
        file.write(json.dumps(record).encode())
        file.flush()


def _wait_until_settled(process: subprocess.Popen[bytes], ready: int) -> int | None:
    """Return the exit code of a process that did not become one that keeps running."""
    with os.fdopen(ready, "rb", buffering=0) as pipe:
        select.select([pipe], [], [], READY_TIMEOUT)  # readable: a report, or its end
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(SETTLED_AFTER)
    return None


def _lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_within(file: BinaryIO, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
