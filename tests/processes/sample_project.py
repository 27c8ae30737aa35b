"""Sample projects in tmp_path and the command ``asyncjobs`` running in them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil

import asyncjobs
from asyncjobs import JobManager, PostgresAdapter

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from pathlib import Path

BOUND = 40.0
ROOT = os.path.dirname(os.path.dirname(asyncjobs.__file__))

APP = """
import asyncio
import pathlib
import time

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    adapters={"postgres": PostgresAdapter()},
    queues=["default"],
    workers=[WorkerGroup(adapter="postgres", shutdown_timeout=SHUTDOWN_TIMEOUT)],
)
later = jobs.create_scheduler(adapter="postgres")


def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")


@jobs.job
async def write_note(text):
    note(text)


@jobs.job
async def wait_for_release():
    note("started")
    try:
        while not pathlib.Path("release").exists():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        note("cancelled")
        raise
    note("ended")


@jobs.job
def hang_for_ever():
    note("hanging")
    time.sleep(1_000)
"""


@dataclass
class Command:
    """A running ``asyncjobs`` and what it wrote."""

    process: subprocess.Popen[bytes]
    output_path: Path

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [line for line in self.output.splitlines() if line.startswith("{")]
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        until(lambda: len(self.events(name)) >= count, self)
        return self.events(name)[count - 1]

    def wait_for_end(self) -> int:
        return self.process.wait(BOUND)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def the_worker(self) -> psutil.Process:
        until(lambda: len(self.children()) == 1, self)
        return self.children()[0]


@dataclass
class SampleProject:
    """A folder with an app, and its database."""

    folder: Path
    dsn: str | None

    def write_app(self, source: str = APP, shutdown_timeout: float = 30) -> None:
        text = source.replace("SHUTDOWN_TIMEOUT", str(shutdown_timeout))
        (self.folder / "sample.py").write_text(text)
        (self.folder / "pyproject.toml").write_text('[tool.asyncjobs]\napp = "sample:jobs"\n')

    @property
    def environment(self) -> dict[str, str]:
        hidden = ("DATABASE_URL", "ASYNCJOBS_DATABASE_URL", "ASYNCJOBS_APP")
        kept = {name: text for name, text in os.environ.items() if name not in hidden}
        database = {} if self.dsn is None else {"ASYNCJOBS_DATABASE_URL": self.dsn}
        return {**kept, **database, "PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=BOUND,
            check=False,
        )

    def asyncjobs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("asyncjobs", *arguments)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Command]:
        output = self.folder / f"output-{time.monotonic_ns()}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "asyncjobs", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        try:
            yield Command(process, output)
        finally:
            with suppress(psutil.NoSuchProcess):
                kill_tree(process.pid)
            process.wait(BOUND)

    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_notes(self, *notes: str) -> None:
        until(lambda: self.notes() == list(notes), self.notes)

    def release(self) -> None:
        (self.folder / "release").touch()

    def schedule(self, name: str, *texts: str) -> None:
        """Store a job that the sample app runs."""
        jobs = JobManager(adapters={"postgres": PostgresAdapter(self.dsn)})

        async def with_text(text: str) -> None: ...

        async def without() -> None: ...

        async def store() -> None:
            later = jobs.create_scheduler(adapter="postgres")
            async with jobs:
                await later(jobs.job(name=name)(with_text if texts else without), list(texts))

        asyncio.run(store())

    def rows(self) -> list[tuple[str, int]]:
        """Return the state of each job, and how many attempts it has used."""
        return self.ask("select state::text, attempt from asyncjobs.jobs")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""

        async def fetch() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.dsn)
            try:
                found = await connection.fetch(query)
            finally:
                await connection.close()
            return [tuple(row) for row in found]

        return asyncio.run(fetch())


def kill_tree(pid: int) -> None:
    process = psutil.Process(pid)
    for each in (*process.children(recursive=True), process):
        with suppress(psutil.NoSuchProcess):
            each.kill()


def until(condition: Callable[[], bool], told: object = "") -> None:
    """Wait for an event that only shows when it is looked for."""
    deadline = time.monotonic() + BOUND
    while not condition():
        if time.monotonic() > deadline:
            facts = told.output if isinstance(told, Command) else told() if callable(told) else told
            raise AssertionError(f"waited in vain; {facts}")
        time.sleep(0.02)
