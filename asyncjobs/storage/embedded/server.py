"""Starting the server, waiting for its first answer, joining one that runs, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

import asyncpg
import psutil

from asyncjobs.errors import EmbeddedPostgresError
from asyncjobs.storage.embedded.account import process_options, service_account
from asyncjobs.storage.embedded.binaries import usable_bindir
from asyncjobs.storage.embedded.data import (
    exclusive,
    log_path,
    make_parents,
    open_log,
    prepare,
    socket_folder,
)

if TYPE_CHECKING:
    import pwd
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

READY_TIMEOUT = 60.0
"""Seconds until the first answer. Recovery after a crash may need a good part of it."""
STOP_SIGNALS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""PostgreSQL's fast and immediate shutdown, then the end; each with its patience in seconds."""
LOG_LINES = 10
PORT_TRIES = 3

# $0 is the server's pid, $1 its data folder. When the pipe closes the pid may belong to
# another process, so postmaster.pid has the last word; a server just starting has none yet.
GUARD = """
trap '' INT TERM HUP
cat >/dev/null
tries=0
while kill -0 "$0" && [ $tries -lt 50 ]; do
  read -r owner <"$1/postmaster.pid" && [ "$owner" = "$0" ] && kill -INT "$0" && exit
  tries=$((tries + 1))
  sleep 0.1
done
"""


@dataclass(frozen=True, eq=False, slots=True)
class EmbeddedPostgres:
    """A running server; as a context manager it stops on leaving."""

    data: Path
    port: int
    pid: int
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def start(cls, data: Path, *, port: int = 0, settings: Mapping[str, str] = {}) -> Self:
        """Run a server on the folder *data* and return once it answers; blocks meanwhile.

        A missing folder is initialized first. A server that runs there already is joined as
        it is, whatever *port* and *settings* say, and `stop` leaves it alone. Port 0 takes a
        free one; *settings* are PostgreSQL's own, by name.

        Raises PostgresNotFoundError without programs, EmbeddedPostgresError if they fail.
        """
        data = data.resolve()
        account = service_account(data)
        make_parents(data)
        with exclusive(data) as lock:
            if running := _find_running(data):
                return cls(data, running.port, running.pid)
            bindir = usable_bindir(account)
            prepare(data, bindir, account, lock=lock, sync=settings.get("fsync") != "off")
            command = _Command(bindir, data, settings, account)
            return cls._launch(command, port) if port else cls._launch_on_free_port(command)

    @property
    def dsn(self) -> str:
        """The address of its database ``postgres``, as the superuser, without a password."""
        return _dsn(self.port)

    @property
    def log_path(self) -> Path:
        """The file beside the data with PostgreSQL's own output."""
        return log_path(self.data)

    @property
    def owned(self) -> bool:
        """Whether this handle started the server, and therefore stops it."""
        return self._process is not None

    def stop(self) -> None:
        """Shut the server down and cut its connections; nothing if stopped or only joined."""
        if self._process is not None and self._guard is not None:
            _shut_down(self._process)
            _dismiss(self._guard)

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    @classmethod
    def _launch(cls, command: _Command, port: int) -> Self:
        log_start = log_path(command.data).stat().st_size
        process, guard = command.spawn(port)
        server = cls(command.data, port, process.pid, process, guard)
        try:
            _wait_until_ready(process, command.data, port, log_start)
        except BaseException:
            server.stop()
            raise
        return server

    @classmethod
    def _launch_on_free_port(cls, command: _Command) -> Self:
        for _ in range(PORT_TRIES - 1):
            with contextlib.suppress(_PortTakenError):
                return cls._launch(command, _free_port())
        return cls._launch(command, _free_port())


class _PortTakenError(EmbeddedPostgresError):
    """Somebody took the free port between our look and PostgreSQL's."""


@dataclass(frozen=True, slots=True)
class _Command:
    bindir: Path
    data: Path
    settings: Mapping[str, str]
    account: pwd.struct_passwd | None

    def spawn(self, port: int) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        # Sessions of their own: Ctrl-C in the terminal must not end the server before its users.
        options: dict[str, Any] = process_options(self.account) | {"start_new_session": True}
        with open_log(self.data) as log:
            process = subprocess.Popen(  # noqa: S603 - the user's own programs
                self._arguments(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **options,
            )
        guard = subprocess.Popen(  # noqa: S603 - a constant
            ["/bin/sh", "-c", GUARD, str(process.pid), self.data],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
        # With options by name, pyright takes the first overload: that of text.
        return cast("tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]", (process, guard))

    def _arguments(self, port: int) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": socket_folder(self.data),
            **self.settings,
            "port": str(port),
        }
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return [str(self.bindir / "postgres"), "-D", str(self.data), *options]


@dataclass(frozen=True, slots=True)
class _Running:
    pid: int
    port: int

    @classmethod
    def read(cls, data: Path) -> Self | None:
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            found = cls(pid=int(lines[0]), port=int(lines[3]))
            process = psutil.Process(found.pid)
            alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return None
        return found if alive else None


def _find_running(data: Path) -> _Running | None:
    # A server that is shutting down answers nobody: it is waited for, until it is gone.
    deadline = time.monotonic() + READY_TIMEOUT
    while running := _Running.read(data):
        if _answers(running.port, data):
            return running
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"the PostgreSQL with pid {running.pid} runs on {data}, but does not answer on "
                f"127.0.0.1:{running.port}: stop it, then start again"
            )
        time.sleep(0.01)
    return None


def _wait_until_ready(
    process: subprocess.Popen[bytes], data: Path, port: int, log_start: int
) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(port, data):
            return
        time.sleep(0.01)
    output = log_path(data).read_bytes()[log_start:].decode(errors="replace")
    fate = "still starts" if process.returncode is None else f"exit code {process.returncode}"
    error = _PortTakenError if "Address already in use" in output else EmbeddedPostgresError
    end = "\n".join(output.splitlines()[-LOG_LINES:])
    raise error(f"PostgreSQL did not get ready ({fate}); the end of {log_path(data)}:\n{end}")


def _answers(port: int, data: Path) -> bool:
    # In a thread with a loop of its own: this thread's loop may be the one we are called from.
    with ThreadPoolExecutor(max_workers=1) as pool:
        folder = pool.submit(asyncio.run, _ask_for_data_directory(port)).result()
    with contextlib.suppress(OSError):
        return folder is not None and data.samefile(folder)
    return False


async def _ask_for_data_directory(port: int) -> str | None:
    try:
        connection = await asyncpg.connect(_dsn(port), ssl=False, timeout=5)
        try:
            return str(await connection.fetchval("show data_directory"))
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
        return None  # not listening yet, or starting, or shutting down


def _shut_down(process: subprocess.Popen[bytes]) -> None:
    for number, patience in STOP_SIGNALS:
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    # Not by closing the pipe alone: a forked child of ours may hold it open.
    if guard.poll() is None:
        os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()
    if guard.stdin is not None:
        guard.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _dsn(port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"
