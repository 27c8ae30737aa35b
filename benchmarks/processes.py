"""The harness's end of a peer's process; `benchmarks.agent` is the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.environments import Environment

LINE = 2**24
END_TIMEOUT = 5.0
WORDS = {"many": "bulk insert"}


class PeerError(Exception):
    """A peer could not do it; the message is reported in its place in the table."""


class UnsupportedError(PeerError):
    """The peer has no such thing."""


class Agent:
    """A running client or worker."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._failed = ""
        self.count = self.first = self.last = 0
        """Jobs that a worker has started; when the first and the last one did (ns)."""
        self.history: list[tuple[int, int]] = []
        """(when, in ns; jobs started until then)."""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, environment: Environment, role: str, name: str, url: str, *, options: object, log: Path
    ) -> Self:
        """Start a process whose stderr goes to *log*."""
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *environment.command,
                role,
                name,
                url,
                json.dumps(options),
                env={**os.environ, **environment.variables},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=LINE,
            )
        return cls(process)

    async def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """Have it do something, and return its answer. Raises PeerError, UnsupportedError."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(json.dumps({"do": do, **given}).encode() + b"\n")
        answer = await self._answers.get()
        if "missing" in answer:
            raise UnsupportedError(f"none: it has no {WORDS.get(verb := answer['missing'], verb)}")
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def forget(self) -> None:
        """Count from 0 again; the process was told to."""
        self.count = self.first = self.last = 0
        self.history.clear()

    def check(self) -> None:
        """Raise PeerError if the process has failed or ended."""
        if self._failed:
            raise PeerError(self._failed)

    def memory(self) -> int:
        """Return the resident memory in bytes, with that of its children."""
        process = psutil.Process(self._process.pid)
        family = [process, *process.children(recursive=True)]
        return sum(int(member.memory_info().rss) for member in family)

    async def stop(self) -> None:
        """End it; by force if it does not end at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        finally:
            self._reading.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            match answer.pop("event", None):
                case "ran":
                    self.count, self.first = answer["count"], answer["first"]
                    self.last = answer["last"]
                    if self.count:
                        self.history.append((self.last, self.count))
                case "failed":
                    self._fail(answer["error"])
                case _:
                    self._answers.put_nowait(answer)
        self._fail(self._failed or "its process ended")

    def _fail(self, reason: str) -> None:
        self._failed = reason
        self._answers.put_nowait({"error": reason})
