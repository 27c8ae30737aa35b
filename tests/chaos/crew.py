"""Worker processes to be maltreated, and the database they work on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psutil
from record import JobRow, Record, overlaps, unaccounted

import asyncjobs
from asyncjobs import PostgresAdapter
from asyncjobs.types import NewJob

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

ROOT = Path(asyncjobs.__file__).parents[1]
HERE = Path(__file__).parent
HIDDEN = ("DATABASE_URL", "ASYNCJOBS_DATABASE_URL", "ASYNCJOBS_APP", "ASYNCJOBS_HOST_ID")
PATIENCE = 60.0
"""Seconds until something that should take less than one counts as never happening."""


@dataclass
class Command:
    """A running ``asyncjobs`` and where it logs."""

    process: subprocess.Popen[bytes]
    log: Path
    deaths: dict[int, int] = field(default_factory=dict)
    """The crew's."""

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of log about *name*."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    async def logged(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for the *count*-th line about *name*, and return it."""
        await until(lambda: len(self.events(name)) >= count, self.log.read_text)
        return self.events(name)[count - 1]

    async def ended(self) -> int:
        """Wait for the process's end, and return how it ended."""
        await until(lambda: self.process.poll() is not None, self.log.read_text)
        self.deaths.setdefault(self.process.pid, time.monotonic_ns())
        return self.process.returncode

    def workers(self) -> list[psutil.Process]:
        """Return the processes that it started."""
        return psutil.Process(self.process.pid).children()


@dataclass
class Crew:
    """Commands that run in one folder, on one database, with one record."""

    folder: Path
    dsn: str
    groups: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    commands: list[Command] = field(default_factory=list)
    deaths: dict[int, int] = field(default_factory=dict)
    """When processes were killed or had ended, by the monotonic clock in nanoseconds."""
    lapses: dict[int, int] = field(default_factory=dict)
    """When the leases of processes that were stopped were over, likewise."""
    acknowledged: set[int] = field(default_factory=set)

    @property
    def record_path(self) -> Path:
        return self.folder / "record"

    def record(self) -> Record:
        return Record.read(self.record_path)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if name not in HIDDEN}
        return {
            **kept,
            "ASYNCJOBS_DATABASE_URL": self.dsn,
            "ASYNCJOBS_APP": "chaos_app:jobs",
            "CHAOS_GROUPS": json.dumps(self.groups),
            "CHAOS_RECORD": str(self.record_path),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    async def store(
        self, name: str, *, count: int = 1, queue: str = "default", **arguments: Any
    ) -> list[int]:
        """Store calls of a job of the chaos app, and return their ids."""
        adapter = PostgresAdapter(self.dsn)
        await adapter.open()
        try:
            new = NewJob(name, queue, 50, json.dumps(arguments))
            ids = [stored.id for stored in await adapter.enqueue([new] * count)]
        finally:
            await adapter.close()
        self.acknowledged.update(ids)
        return ids

    def start(self, *arguments: str, **environment: str) -> Command:
        """Run ``asyncjobs`` with *arguments*."""
        return self.run([sys.executable, "-m", "asyncjobs", *arguments], **environment)

    def start_worker(self, *, group: int = 0, **environment: str) -> Command:
        """Run one worker process."""
        number = str(len(self.commands))
        return self.start("worker", "--index", str(group), "--id", number, **environment)

    def run(self, command: list[str], **environment: str) -> Command:
        """Run any command beside the app."""
        log = self.folder / f"log-{len(self.commands)}"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.commands.append(Command(process, log, self.deaths))
        return self.commands[-1]

    def kill(self, pid: int) -> None:
        """Kill a worker, and note when."""
        self.deaths[pid] = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)

    def judge(self, rows: list[JobRow]) -> None:
        """Check what must be true of the record and the *rows*, whatever a test was about."""
        record = self.record()
        assert overlaps(record, deaths=self.deaths, lapses=self.lapses) == []
        assert not unaccounted(record, rows, self.acknowledged)

    def end(self) -> None:
        """Kill everything that still runs."""
        for command in self.commands:
            if command.process.poll() is None:
                with suppress(psutil.NoSuchProcess):
                    process = psutil.Process(command.process.pid)
                    for each in (*process.children(recursive=True), process):
                        with suppress(psutil.NoSuchProcess):
                            each.kill()
            command.process.wait(PATIENCE)


class Database:
    """Questions to the tables."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        async with self._lock:
            return await self._connection.fetch(query, *args)

    async def value(self, query: str, *args: Any) -> Any:
        async with self._lock:
            return await self._connection.fetchval(query, *args)

    async def rows(self) -> list[JobRow]:
        query = "select id, name, state::text, attempt, errors::text from asyncjobs.jobs"
        return [JobRow(*row) for row in await self.fetch(query)]

    async def row(self, job: int) -> JobRow:
        [row] = [row for row in await self.rows() if row.id == job]
        return row

    async def worker_pids(self) -> list[int]:
        return [row["pid"] for row in await self.fetch("select pid from asyncjobs.workers")]

    async def until(self, condition: str, *args: Any, seconds: float = PATIENCE) -> None:
        """Wait until an SQL condition is true."""
        with anyio.fail_after(seconds):
            while not await self.value(f"select {condition}", *args):
                await asyncio.sleep(0.03)


async def until(condition: Callable[[], object], told: Callable[[], str] = str) -> None:
    """Wait for an event that only shows when it is looked for."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain; {told()}")
        await asyncio.sleep(0.02)
