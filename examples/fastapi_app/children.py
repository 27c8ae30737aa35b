"""The demo's processes: each one ends with the demo, even when that is killed by ``kill -9``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Mapping, Sequence

    from anyio.abc import Process

HERE = Path(__file__).parent
PATIENCE = 15.0
"""Seconds between the request to stop and the end."""

# Waits for the end of the pipe from the demo, then ends the process group $0.
GUARD = """
trap '' INT TERM HUP
cat >/dev/null
kill -s TERM -- "-$0" || exit
tries=0
while kill -s 0 -- "-$0" && [ $tries -lt 150 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
kill -s KILL -- "-$0"
"""


class ChildEndedError(Exception):
    """A process that should run as long as the demo ended by itself."""

    def __init__(self, name: str, returncode: int) -> None:
        self.name, self.returncode = name, returncode
        super().__init__(name, returncode)

    def __str__(self) -> str:
        return f"the {self.name} ended by itself with exit code {self.returncode}"


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts processes that have *environment* and write to *output*, or where the demo does."""

    environment: Mapping[str, str]
    output: IO[bytes] | None = None

    @asynccontextmanager
    async def child(
        self, name: str, *arguments: str, listener: socket.socket | None = None
    ) -> AsyncIterator[None]:
        """Run Python with *arguments* beside the body. Raises ChildEndedError if it ends first.

        It takes over the *listener*, whose number is its last argument.
        """
        process = await self._start(arguments, listener)
        guard = _guard(process)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_watch, name, process)
                yield
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
            guard.kill()
            guard.communicate()

    async def _start(self, arguments: Sequence[str], listener: socket.socket | None) -> Process:
        fds = [listener.fileno()] if listener else []
        process = await anyio.open_process(
            [sys.executable, *arguments, *map(str, fds)],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            cwd=HERE,
            env={**os.environ, **self.environment},
            pass_fds=fds,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which stops all in order
        )
        if listener:
            listener.close()  # if the process ends, nobody answers any more
        return process


def _guard(process: Process) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - a constant
        ["/bin/sh", "-c", GUARD, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _watch(name: str, process: Process) -> None:
    raise ChildEndedError(name, await process.wait())


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(PATIENCE):
            await process.wait()
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
