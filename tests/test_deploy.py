"""What the page on deploying shows holds: its files are valid, its figures are the code's."""

from __future__ import annotations

import asyncio
import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import kubernetes_validate
import pytest
import yaml

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from asyncjobs.storage.postgres.migrate import all_migrations
from asyncjobs.supervisor.supervisor import KILL_AFTER
from asyncjobs.worker.shutdown import CANCEL_GRACE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
KUBERNETES = "1.34"
BIN = Path(sys.executable).parent
MAINTENANCE = "asyncjobs overview"
PURPOSES = "select application_name from pg_stat_activity where datname = $1"


def shown(name: str) -> str:
    """Return the block of the page that begins with the file name *name*."""
    [text] = re.findall(
        rf"^```\w+\n(# {re.escape(name)}\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    return text


def run(*command: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{folder}", **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


# The files


def unit(name: str = "myapp-jobs.service") -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string(shown(name))
    return parsed


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = shown("myapp-jobs.service").replace("/srv/myapp/venv/bin/asyncjobs", "/bin/true")
    text = text.replace("network-online.target", "basic.target")  # minimal systems lack it
    file = tmp_path / "myapp-jobs.service"
    file.write_text(text)
    done = run("systemd-analyze", "--man=no", "verify", file, folder=tmp_path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")

    file.write_text(text.replace("KillMode=mixed", "KillMode=mixd"))
    wrong = run("systemd-analyze", "--man=no", "verify", file, folder=tmp_path)
    assert "mixd" in wrong.stderr  # so it looks at what matters


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_timer(tmp_path: Path) -> None:
    for ending in ("service", "timer"):
        file = tmp_path / f"myapp-jobs-health.{ending}"
        file.write_text(shown(file.name))
    done = run("systemd-analyze", "--man=no", "verify", file, folder=tmp_path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(("answer", "asked"), [(0, ""), (1, "try-restart myapp-jobs\n"), (2, "")])
def test_the_timer_restarts_what_says_that_no_worker_lives(
    answer: int, asked: str, tmp_path: Path
) -> None:
    command = unit("myapp-jobs-health.service")["Service"]["ExecStart"].replace("$$", "$")
    shell, option, script = shlex.split(command)
    for name, line in (("asyncjobs", f"exit {answer}"), ("systemctl", 'echo "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    script = script.replace("/srv/myapp/venv/bin/", f"{tmp_path}/")
    script = script.replace("systemctl", f"{tmp_path}/systemctl")
    assert run(shell, option, script, folder=tmp_path).stdout == asked


def test_the_compose_file_is_one_by_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    command = (BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    file.write_text(shown("compose.yaml"))
    done = run(*command, folder=tmp_path)
    assert done.returncode == 0, done.stdout

    file.write_text(shown("compose.yaml").replace("stop_grace_period", "stop_grace_perio"))
    assert run(*command, folder=tmp_path).returncode == 1


def test_kubernetes_understands_the_deployment() -> None:
    deployment = yaml.safe_load(shown("kubernetes.yaml"))
    kubernetes_validate.validate(deployment, KUBERNETES, strict=True)
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


def commands_in_files() -> list[list[str]]:
    """Return the commands of ours that the files run."""
    services = yaml.safe_load(shown("compose.yaml"))["services"].values()
    pod = yaml.safe_load(shown("kubernetes.yaml"))["spec"]["template"]["spec"]
    containers = [*pod["initContainers"], *pod["containers"]]
    found = [service["command"] for service in services if "command" in service]
    found += [container["args"] for container in containers]
    found += [
        probe["exec"]["command"]
        for container in containers
        for name, probe in container.items()
        if name.endswith("Probe")
    ]
    found += [json.loads(line) for line in re.findall(r"CMD (\[.*\])", shown("Dockerfile"))]
    found.append(unit()["Service"]["ExecStart"].split())
    timer = unit("myapp-jobs-health.service")["Service"]["ExecStart"]
    found.append(timer.partition("'")[2].partition(";")[0].split())
    return [[*words[1:]] for words in found if words[0].endswith("asyncjobs")]


def test_every_command_in_the_files_exists_and_takes_its_options() -> None:
    import typer

    from asyncjobs.cli.main import cli

    assert len(commands_in_files()) == 10
    for words in commands_in_files():
        command = typer.main.get_command(cli)
        context: Any = command.make_context("asyncjobs", list(words))
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, inner, rest = command.resolve_command(context, rest)  # type: ignore[attr-defined]
        inner.make_context(name, rest)


def test_platforms_wait_for_longer_than_the_command_takes_to_end() -> None:
    longest = WorkerGroup(adapter="postgres").shutdown_timeout + 2 * KILL_AFTER
    pod = yaml.safe_load(shown("kubernetes.yaml"))["spec"]["template"]["spec"]
    jobs = yaml.safe_load(shown("compose.yaml"))["services"]["jobs"]
    given = {
        float(unit()["Service"]["TimeoutStopSec"]),
        float(pod["terminationGracePeriodSeconds"]),
        float(jobs["stop_grace_period"].removesuffix("s")),
    }
    assert given == {60.0}
    assert longest < 60.0


def test_the_times_that_the_page_tells_are_the_codes() -> None:
    told = re.search(r"`shutdown_timeout` and (\d+) s more; then it hurries", PAGE)
    asked = re.search(
        r"longest `shutdown_timeout` and (\d+) s; then .* kills them (\d+) s later", PAGE
    )
    assert told is None
    assert asked is not None
    assert {float(number) for number in asked.groups()} == {KILL_AFTER}
    cleaning = re.search(r"its jobs, for `shutdown_timeout`, and (\d+) s more", PAGE)
    assert cleaning is not None
    assert float(cleaning[1]) == CANCEL_GRACE


# The connections


def told_connections() -> dict[str, int]:
    _, _, table = PAGE.partition("<!-- connections -->\n")
    rows = re.findall(r"^\| (.+) \| (\d+)(?: more)? \|$", table, re.MULTILINE)
    return {what: int(number) for what, number in rows}


async def test_the_connections_that_the_page_tells_are_those_of_the_server(dsn: str) -> None:
    told = told_connections()
    looking = await asyncpg.connect(dsn)
    database = await looking.fetchval("select current_database()")

    async def held() -> int:
        names = [row[0] for row in await looking.fetch(PURPOSES, database)]
        assert names.count(MAINTENANCE) <= told["and does maintenance, as one of all does"]
        return sum(name.startswith("asyncjobs ") and name != MAINTENANCE for name in names)

    groups = [WorkerGroup(adapter="postgres", queue=name) for name in ("default", "other")]

    def manager(count: int) -> JobManager:
        return JobManager(
            adapters={"postgres": PostgresAdapter(dsn)},
            queues=["default", "other"],
            workers=groups[:count],
        )

    jobs = manager(0)
    later = jobs.create_scheduler(adapter="postgres")

    @jobs.job
    async def greet(name: str) -> None: ...

    async with jobs:
        expected = 0
        steps = {
            "only schedules": lambda: later(greet("Ada"), wait=60),
            "and cancels or looks at jobs": lambda: later.cancel(0),
            "and stores unique jobs": lambda: later(greet("Bob"), wait=60, unique="b"),
        }
        for what, step in steps.items():
            await step()
            expected += told[what]
            assert await held() == expected, what
        job = await later(greet("Cy"), wait=60, retain=60)
        waiting = asyncio.create_task(job.result(timeout=60))
        await until(held, expected + told["and waits for results or events"])
        waiting.cancel()
        await asyncio.wait([waiting])
    await until(held, 0)

    for count in (1, 2):
        jobs = manager(count)
        later, stop = jobs.create_scheduler(adapter="postgres"), asyncio.Event()
        async with jobs:
            working = asyncio.create_task(jobs.work(stop))
            await later(jobs.job(greet.perform)("Ada"))
            more = (count - 1) * told["each further group in the same process"]
            await until(held, told["works, one group"] + more)
            stop.set()
            await working
        await until(held, 0)
    await looking.close()


async def until(held: Any, expected: int) -> None:
    """Wait until so many connections are held."""
    try:
        async with asyncio.timeout(20):
            while await held() != expected:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{await held()} connections in place of {expected}") from None


# Alembic

ENVIRONMENTS = {
    "psycopg": """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
""",
    "asyncpg": """
import asyncio

from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine


def run(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()


async def main():
    url = context.config.get_main_option("sqlalchemy.url")
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(main())
""",
}
LATER = """
from alembic import op

revision = "later"
down_revision = "asyncjobs_first"
branch_labels = depends_on = None


def upgrade():
    op.execute("create table afterwards ()")
    BROKEN


def downgrade():
    op.execute("drop table afterwards")
"""


@pytest.fixture
def alembic(tmp_path: Path) -> Any:
    """A function that runs Alembic, in a project with the revision of the page."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "asyncjobs_first.py").write_text(shown("asyncjobs_first.py"))
    (versions / "asyncjobs_first.sql").write_text(printed(tmp_path))
    (versions / "later.py").write_text(LATER.replace("BROKEN", ""))

    def call(driver: str, dsn: str, *words: str) -> subprocess.CompletedProcess[str]:
        address = dsn.replace("postgresql://", f"postgresql+{driver}://")
        (tmp_path / "migrations" / "env.py").write_text(ENVIRONMENTS[driver])
        (tmp_path / "alembic.ini").write_text(
            f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {address}\n"
        )
        return run(sys.executable, "-m", "alembic", *words, folder=tmp_path)

    return call


def printed(folder: Path, *options: str) -> str:
    command = ("-m", "asyncjobs", "migrate", "--sql", "--one-statement", *options)
    done = run(sys.executable, *command, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("driver", ENVIRONMENTS)
async def test_a_revision_of_alembic_makes_the_tables(
    driver: str, alembic: Any, empty_dsn: str, tmp_path: Path
) -> None:
    done = alembic(driver, empty_dsn, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert await PostgresAdapter(empty_dsn).migrate() == []  # nothing is left to do
    jobs = JobManager(adapters={"postgres": PostgresAdapter(empty_dsn)})
    later = jobs.create_scheduler(adapter="postgres")

    @jobs.job
    async def greet(name: str) -> None: ...

    async with jobs:
        assert (await later(greet("Ada"))).id == 1
    assert alembic(driver, empty_dsn, "downgrade", "base").returncode == 0
    connection = await asyncpg.connect(empty_dsn)
    assert await connection.fetchval("select to_regnamespace('asyncjobs')") is None
    await connection.close()


@pytest.mark.parametrize("driver", ENVIRONMENTS)
async def test_what_alembic_cannot_finish_leaves_nothing_of_ours(
    driver: str, alembic: Any, empty_dsn: str, tmp_path: Path
) -> None:
    broken = LATER.replace("BROKEN", "raise RuntimeError('broken')")
    (tmp_path / "migrations" / "versions" / "later.py").write_text(broken)
    done = alembic(driver, empty_dsn, "upgrade", "head")
    assert "broken" in done.stderr
    connection = await asyncpg.connect(empty_dsn)
    assert await connection.fetchval("select to_regnamespace('asyncjobs')") is None
    await connection.close()


async def test_only_what_came_later_is_printed_for_the_next_revision(
    empty_dsn: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(empty_dsn)
    newest = all_migrations()[-1].version
    first = printed(tmp_path).replace("\r", "")
    for after in range(newest):
        script = printed(tmp_path, "--after", str(after))
        assert f"values ({newest}, " in script
        assert (f"values ({after}, " in script) is False
        assert f"--after {newest}\n" in script
    await connection.execute(first)
    await connection.close()
    assert await PostgresAdapter(empty_dsn).migrate() == []


def test_the_first_line_of_what_was_printed_is_the_one_that_the_page_shows(tmp_path: Path) -> None:
    [told] = re.findall(r"^-- asyncjobs: all migrations.*$", PAGE, re.MULTILINE)
    line = printed(tmp_path).splitlines()[0]
    assert re.sub(r"\d+", "N", told) == re.sub(r"\d+", "N", line)


def test_alembic_leaves_our_schema_alone_if_it_is_told_to() -> None:
    scope: dict[str, Any] = {}
    exec(shown("alembic_filter.py"), scope)
    include = scope["include_name"]
    assert not include("asyncjobs", "schema", {})
    assert include(None, "schema", {})
    assert include("asyncjobs", "table", {"schema_name": None})


def test_a_migration_that_waits_for_a_lock_gives_up_if_the_address_says_so(
    dsn: str, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        "from asyncjobs import *\njobs = JobManager(adapters={'main': PostgresAdapter()})\n"
    )

    async def migrate_while_locked() -> subprocess.CompletedProcess[str]:
        connection = await asyncpg.connect(dsn)
        async with connection.transaction():
            await connection.execute("lock table asyncjobs.migrations")
            done = await asyncio.to_thread(
                run,
                *(sys.executable, "-m", "asyncjobs", "--app", "app:jobs", "migrate"),
                folder=tmp_path,
                ASYNCJOBS_DATABASE_URL=f"{dsn}?lock_timeout=100ms",
            )
        await connection.close()
        return done

    done = asyncio.run(migrate_while_locked())
    assert done.returncode == 1
    assert "lock timeout" in done.stderr
