"""Web servers with an application that has embedded workers. Installed by `make test-servers`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 120.0
ROOT = Path(__file__).parents[2]
APP = """
import asyncio, os, pathlib

from fastapi import FastAPI

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    adapters={"postgres": PostgresAdapter()},
    workers=[
        WorkerGroup(
            adapter="postgres",
            concurrency=4,
            shutdown_timeout=float(os.environ["SHUTDOWN_TIMEOUT"]),
        )
    ],
)
later = jobs.create_scheduler(adapter="postgres")
app = FastAPI(lifespan=jobs.lifespan())


def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")


@jobs.job
async def tell_process():
    note(f"ran in {os.getpid()}")
    await asyncio.sleep(0.05)  # so that one process alone has not done all of them


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


@app.post("/told")
async def tell():
    await later.many([tell_process() for _ in range(40)])


@app.post("/waiting")
async def wait():
    await later(wait_for_release())
"""


@dataclass
class Site:
    """The application, served by two processes of one server."""

    folder: Path
    dsn: str
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The number of the process that a service manager would know."""
        assert self.process is not None
        return self.process.pid

    @property
    def output(self) -> str:
        """What the server and the workers wrote."""
        return (self.folder / "output").read_text()

    @contextmanager
    def served_by(self, command: list[str], *, shutdown_timeout: float) -> Iterator[None]:
        """Run *command* until the context ends, from when both processes have their worker."""
        environment = {
            **{name: text for name, text in os.environ.items() if name != "WEB_CONCURRENCY"},
            "ASYNCJOBS_DATABASE_URL": self.dsn,
            "SHUTDOWN_TIMEOUT": str(shutdown_timeout),
            "PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}",
        }
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [part.replace("PORT", str(self.port)) for part in command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self.until(lambda: len(self.workers()) == 2)
            self.until(self._listens)  # which comes after the application has started
            yield
        finally:
            with suppress(psutil.NoSuchProcess):
                family = psutil.Process(self.pid).children(recursive=True)
                for each in (psutil.Process(self.pid), *family):
                    each.kill()
            self.process.wait(PATIENCE)

    def post(self, path: str) -> None:
        """Ask the application."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method="POST")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert json.load(answer) is None

    def stop(self) -> None:
        """Send SIGTERM, and wait until both workers have heard of it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.until(lambda: self.output.count("worker.stopping") == 2)

    def wait_for_end(self) -> int:
        """Return the exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def notes(self) -> list[str]:
        """What the jobs wrote."""
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def release(self) -> None:
        """Let the job that waits end."""
        (self.folder / "release").touch()

    def workers(self) -> list[int]:
        """The processes of the workers in the database."""
        return [row[0] for row in self.fetch("select pid from asyncjobs.workers order by pid")]

    def jobs(self) -> list[tuple[str, int]]:
        """The state of each stored job, and how many attempts it has used."""
        return [tuple(row) for row in self.fetch("select state::text, attempt from asyncjobs.jobs")]

    def fetch(self, statement: str) -> list[Any]:
        """Ask the database."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.dsn)
            try:
                return list(await connection.fetch(statement))
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), PATIENCE):
            return True
        return False

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what can only be seen by looking."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; {self.notes()}; {self.output}"
            time.sleep(0.02)


@pytest.fixture
def site(tmp_path: Path, dsn: str) -> Site:
    (tmp_path / "served.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Site(tmp_path, dsn, port)
