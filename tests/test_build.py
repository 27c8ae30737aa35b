"""What is published has everything in it, and works without the checkout."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from publishing import build

from asyncjobs.storage.postgres.migrate import all_migrations, migration_script

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[1]
SQL_FILES = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("sql/**/*.sql")}
APP = """
import os
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    adapters={"postgres": PostgresAdapter(os.environ["APP_DSN"])},
    workers=[WorkerGroup(adapter="postgres")],
)
later = jobs.create_scheduler(adapter="postgres")

@jobs.job
async def greet(name: str) -> None:
    print(f"hello {name}")
"""
SCHEDULE_AND_WORK = """
import asyncio, asyncjobs, app

async def main():
    async with app.jobs:
        await app.later(app.greet("world"))
        print(await app.jobs.workoff(), asyncjobs.__file__)

asyncio.run(main())
"""


@dataclass
class Installation:
    """A virtual environment with the wheel in it, and a folder far from the checkout."""

    scripts: Path
    packages: Path
    project: Path

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        inherited = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [self.scripts / program, *arguments],
            cwd=self.project,
            env=inherited | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist; the wheel is built from the sdist."""
    return build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [path] = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    [path] = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", symlinks=os.name != "nt")
    places = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=places))
    packages = Path(sysconfig.get_path("purelib", "venv", vars=places))
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    # Only now, or pip would find a package of that name installed already.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    project = folder / "project"
    project.mkdir()
    (project / "app.py").write_text(APP)
    return Installation(scripts, packages, project)


def test_the_wheel_has_the_sql_the_types_and_the_licence_but_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert "asyncjobs/sql/migrations/0001_initial.sql" in names
    assert {f"asyncjobs/{name}" for name in SQL_FILES} <= names
    assert "asyncjobs/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"asyncjobs", "asyncjobs_pg"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_the_wheel_is_published_under_its_own_name_with_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [info] = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        commands = archive.read(f"{info}/entry_points.txt").decode()

    assert metadata["Name"] == "asyncjobs-pg"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "asyncjobs = asyncjobs.cli:main" in commands
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_extra_all_has_every_other_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    [everything] = extras["all"]
    name, _, named = everything.removesuffix("]").partition("[")
    assert name == project["name"]
    assert sorted(named.split(",")) == sorted(set(extras) - {"all"})


def test_the_readme_says_what_every_extra_brings() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    _, _, table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| extra | brings |")
    told = re.findall(r"^\| `(\w+)` \|", table.split("\n\n")[0], re.MULTILINE)
    assert sorted(told) == sorted(extras["optional-dependencies"])


def test_the_sdist_has_what_a_packager_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}

    assert names >= SQL_FILES
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "tests/conftest.py"} <= names
    assert {"docs/site/build.py", "zensical.toml", *pages_of_the_site()} <= names


def pages_of_the_site() -> set[str]:
    """Return the files that ``make docs`` makes its pages of."""
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    pages = set(re.findall(r'= "([^"]+\.md)"', navigation))
    return {page for page in pages if not page.startswith("docs/reference/")}


def test_the_installed_package_is_not_the_checkout(installed: Installation) -> None:
    shown = installed.run("python", "-c", "import asyncjobs; print(asyncjobs.__file__)")

    assert Path(shown.strip()) == installed.packages / "asyncjobs" / "__init__.py"


def test_the_installed_command_says_its_version(installed: Installation, wheel: Path) -> None:
    assert wheel.name.split("-")[1] in installed.run("asyncjobs", "--version")


def test_the_installed_command_prints_the_migrations(installed: Installation) -> None:
    assert installed.run("asyncjobs", "migrate", "--sql") == migration_script()


def test_the_installed_command_migrates_an_empty_database_that_can_then_be_used(
    installed: Installation, empty_dsn: str
) -> None:
    migrated = installed.run("asyncjobs", "--app", "app:jobs", "migrate", APP_DSN=empty_dsn)
    again = installed.run("asyncjobs", "--app", "app:jobs", "migrate", APP_DSN=empty_dsn)
    worked = installed.run("python", "-c", SCHEDULE_AND_WORK, APP_DSN=empty_dsn)

    steps = ", ".join(step.name for step in all_migrations())
    assert migrated == f"postgres: applied {steps}\n"
    assert again == "postgres: up to date\n"
    assert worked.startswith("hello world\n1 ")
    assert str(installed.packages) in worked


def test_the_installed_package_migrates_without_the_command(
    installed: Installation, empty_dsn: str
) -> None:
    program = (
        "import asyncio, sys; from asyncjobs.storage.postgres.migrate import migrate_database; "
        "print(*asyncio.run(migrate_database(sys.argv[1])))"
    )

    assert installed.run("python", "-c", program, empty_dsn).split() == [
        step.name for step in all_migrations()
    ]
