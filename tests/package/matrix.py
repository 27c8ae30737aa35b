"""Run the tests on every Python that is here, on the lowest versions, and on several servers.

``make matrix``. Each Python takes one of the servers that are named, the first the first, so that
as many runs as there are of the one see all of the other; those without one take the embedded
server. Each run has an environment of its own in ``build/matrix``, which is made anew.
Arguments after ``--`` are pytest's; without them the main tests are run, which leave out those
with processes of their own. One line a run tells what came of it; the output is beside the
environment.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from pythons import PYTHONS, interpreter

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "matrix"
UV = Path(sys.executable).with_name("uv")
MAIN = [
    *("tests", "examples"),
    *(f"--ignore=tests/{name}" for name in ("chaos", "processes", "typing", "test_build.py")),
]
NEED_NEWEST = ["--ignore=tests/dashboard/test_api.py", "--ignore=tests/test_site.py"]
"""Tests whose own tools do not go with the lowest versions."""
JOBS = str(2 * (os.cpu_count() or 1))
"""Tests at once: each waits most of the time."""
OUTSIDE = os.environ | {"UV_PYTHON_DOWNLOADS": "never", "VIRTUAL_ENV": ""}
OUTSIDE.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of Pythons would compile it all anew


@dataclass(frozen=True)
class Run:
    """One run of the tests."""

    python: str
    lowest: bool = False
    postgres: Path | None = None

    @property
    def name(self) -> str:
        """What it is called, on the screen and as a folder."""
        ending = f"-{self.postgres.parent.name}" if self.postgres else ""
        return f"python{self.python}{'-lowest' if self.lowest else ''}{ending}"

    def install(self) -> None:
        """Make the environment."""
        folder = FOLDER / self.name
        uv(
            "venv",
            "--quiet",
            "--clear",
            "--no-project",
            "--python",
            program(self.python),
            str(folder),
        )
        pip = ("pip", "install", "--quiet", "--python", str(folder), "--editable", ".[all]")
        if self.lowest:
            bounds = FOLDER / f"{self.name}.txt"
            bounds.write_text(lowest_versions(self.python), encoding="utf-8")
            uv(*pip, "--group", "tests", "--constraints", str(bounds))
        else:
            uv(*pip, "--group", "dev")

    def test(self, arguments: list[str]) -> str:
        """Run pytest, and return its last line."""
        chosen = arguments or [*MAIN, *(NEED_NEWEST if self.lowest else [])]
        python = FOLDER / self.name / "bin" / "python"
        server = {}
        if self.postgres:
            # What such a server loads later, for a standby, finds its own libpq by this alone.
            libraries = self.postgres.with_name("lib")
            server = {
                "ASYNCJOBS_POSTGRES_BIN": str(self.postgres),
                "LD_LIBRARY_PATH": str(libraries),
            }
        with (FOLDER / f"{self.name}.log").open("w+", encoding="utf-8") as log:
            subprocess.run(
                [python, "-m", "pytest", "-q", "-n", JOBS, *chosen],
                cwd=ROOT,
                env=OUTSIDE | server,
                stdout=log,
                stderr=log,
                check=False,
            )
            log.seek(0)
            return log.read().strip().rpartition("\n")[2]


def uv(*arguments: str) -> str:
    """Run uv, and return what it printed. Raises CalledProcessError."""
    command = [UV, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=OUTSIDE, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def lowest_versions(python: str) -> str:
    """Return the lowest version that we allow of each package that we name, one a line."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = chain(project["dependencies"], *project["optional-dependencies"].values())
    names = {re.split(r"[^\w-]", each)[0].replace("_", "-").lower() for each in named}
    resolved = uv(
        *("pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *(
            "--resolution",
            "lowest-direct",
            "--python",
            program(python),
            "--all-extras",
            "pyproject.toml",
        ),
    )
    return "\n".join(line for line in resolved.splitlines() if line.split("==")[0] in names) + "\n"


def program(python: str) -> str:
    """Return the path of a version that this machine has."""
    return str(interpreter(python))


def main() -> None:
    """Run all that can be run, and exit with 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", help="a version; without it every one")
    parser.add_argument("--only", action="append", help="a run, by the name that is printed")
    parser.add_argument("--postgres", action="append", type=Path, default=[], help="a folder bin/")
    parser.add_argument("arguments", nargs="*", help="pytest's")
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = given.python or PYTHONS
    found = [python for python in wanted if interpreter(python)]
    servers = [folder.absolute() for folder in given.postgres]
    pairs = zip_longest(found, servers)
    runs = [Run(python or found[0], postgres=server) for python, server in pairs]
    runs += [Run(found[0], lowest=True)]
    for python in wanted:
        if python not in found:
            print(f"python{python}: not here")
    failed = False
    for run in runs:
        if given.only and run.name not in given.only:
            continue
        began = time.monotonic()
        run.install()
        last = run.test(given.arguments)
        failed |= "passed" not in last or "failed" in last or "error" in last
        print(f"{run.name}: {last} ({time.monotonic() - began:.0f} s in all)", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
