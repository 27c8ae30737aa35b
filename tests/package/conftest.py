"""What is published, built once, and empty environments to install it in. `make test-package`."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from publishing import build
from pythons import interpreter

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
"""It downloads no Python: those that are there are used."""
OUTSIDE = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"} | {
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_NATIVE_TLS": "true",  # the certificates that the machine trusts, as pip takes them
}
APP = """
import os
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(adapters={"main": PostgresAdapter()}, workers=[WorkerGroup(adapter="main")])
later = jobs.create_scheduler(adapter="main")

@jobs.job
async def greet(name: str) -> None:
    print(f"hello {name}")
"""
SCHEDULE = """
import asyncio, app

async def main():
    async with app.jobs:
        await app.later(app.greet("world"))

asyncio.run(main())
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder with an application far from the checkout."""

    folder: Path
    python: str

    @property
    def scripts(self) -> Path:
        return self.folder / "venv" / "bin"

    def install(self, *what: str | Path) -> None:
        """Install *what*, with what it depends on, as a user would."""
        pip = [UV, "pip", "install", "--quiet", "--python", self.scripts / "python", *what]
        done = subprocess.run(pip, env=OUTSIDE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run a program of the environment, whose warnings are errors."""
        done = subprocess.run(
            [self.scripts / program, *arguments],
            cwd=self.folder,
            env=OUTSIDE | {"PYTHONWARNINGS": "error"} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def works_a_job_on(self, dsn: str) -> None:
        """See that the command migrates, and runs a job that a program stored."""
        here = {"ASYNCJOBS_DATABASE_URL": dsn, "ASYNCJOBS_APP": "app:jobs"}
        assert "applied 0001" in self.run("asyncjobs", "migrate", **here)
        self.run("python", "-c", SCHEDULE, **here)
        assert self.run("asyncjobs", "workoff", **here) == "hello world\n1 job run\n"


def make_environment(folder: Path, python: str) -> Environment:
    """Make an empty environment for *python*, a version. Skips if there is none of it."""
    program = interpreter(python)
    if program is None:
        pytest.skip(f"there is no Python {python} here")
    folder.mkdir()
    command = [UV, "venv", "--quiet", "--no-project", "--python", program, folder / "venv"]
    subprocess.run(command, env=OUTSIDE, check=True)
    (folder / "app.py").write_text(APP)
    return Environment(folder, python)


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist; the wheel is built from the sdist."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    [path] = dist.glob("*.tar.gz")
    return path
