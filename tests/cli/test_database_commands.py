"""``asyncjobs migrate`` and ``asyncjobs clear`` on a real database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from asyncjobs.storage.postgres.migrate import all_migrations, migration_script

if TYPE_CHECKING:
    from shell import Shell

APP = """
from asyncjobs import JobManager, MemoryAdapter, PostgresAdapter

jobs = JobManager(adapters={{"main": PostgresAdapter("{dsn}"), "memory": MemoryAdapter()}})


@jobs.job
async def work() -> None: ...


async def store() -> None:
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        await later.many([work(), work()])
"""


def use(shell: Shell, dsn: str) -> None:
    shell.write("pyproject.toml", '[tool.asyncjobs]\napp = "stored_app:jobs"\n')
    shell.write("stored_app.py", APP.format(dsn=dsn))


def store_two_jobs(shell: Shell) -> None:
    scope: dict[str, object] = {"__name__": "stored"}
    exec(shell.read("stored_app.py"), scope)
    asyncio.run(scope["store"]())


async def count(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("select count(*) from asyncjobs.jobs")
    finally:
        await connection.close()


def test_migrate_says_what_it_did_and_then_that_there_is_nothing_to_do(
    shell: Shell, empty_dsn: str
) -> None:
    use(shell, empty_dsn)
    done = shell.run("migrate")
    assert done.code == 0, done.err
    steps = ", ".join(step.name for step in all_migrations())
    assert f"main: applied {steps}\n" in done.out
    assert "main: up to date\n" in shell.run("migrate").out
    assert asyncio.run(count(empty_dsn)) == 0


def test_migrate_prints_the_script_without_an_app(shell: Shell) -> None:
    assert shell.run("migrate", "--sql").out == migration_script("asyncjobs")
    assert shell.run("migrate", "--sql", "--schema", "shop").out == migration_script("shop")
    assert shell.run("migrate", "--sql", "--schema", "x" * 64).code == 2


def test_a_schema_goes_with_the_script_only(shell: Shell) -> None:
    done = shell.run("migrate", "--schema", "shop")
    assert done.code == 2
    assert "--schema goes with --sql" in done.err


def test_a_database_that_does_not_answer_is_one_line_and_exit_code_1(shell: Shell) -> None:
    use(shell, "postgresql://nobody@127.0.0.1:1/nothing")
    done = shell.run("migrate")
    assert done.code == 1
    assert done.err.startswith("error: the database is not available")
    assert "Traceback" not in done.err


def test_a_database_that_is_not_configured_is_exit_code_2(shell: Shell) -> None:
    use(shell, "")
    done = shell.run("migrate")
    assert done.code == 2
    assert "ASYNCJOBS_DATABASE_URL" in done.err


def test_clear_removes_all_jobs_and_says_how_many(shell: Shell, dsn: str) -> None:
    use(shell, dsn)
    store_two_jobs(shell)
    done = shell.run("clear", "--yes")
    assert (done.code, done.out) == (0, "removed 2 jobs\n")
    assert asyncio.run(count(dsn)) == 0


@pytest.mark.parametrize(("answer", "left"), [(True, 0), (False, 2)])
def test_clear_asks_first(
    shell: Shell, dsn: str, monkeypatch: pytest.MonkeyPatch, answer: bool, left: int
) -> None:
    use(shell, dsn)
    store_two_jobs(shell)
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question: asked.append(question) or answer)
    assert shell.run("clear").code == (0 if answer else 1)
    assert asked == ["Remove all jobs of stored_app:jobs from main, memory?"]
    assert asyncio.run(count(dsn)) == left


def test_clear_does_not_wait_for_an_answer_that_cannot_come(shell: Shell, dsn: str) -> None:
    use(shell, dsn)
    store_two_jobs(shell)
    done = shell.run("clear")
    assert done.code == 2
    assert "add --yes" in done.err
    assert asyncio.run(count(dsn)) == 2


def test_clear_leaves_other_adapters_alone(shell: Shell, dsn: str) -> None:
    use(shell, dsn)
    store_two_jobs(shell)
    assert shell.run("clear", "--yes", "--adapter", "memory").out == "removed 0 jobs\n"
    assert asyncio.run(count(dsn)) == 2
    wrong = shell.run("clear", "--yes", "--adapter", "mian")
    assert wrong.code == 2
    assert "did you mean 'main'?" in wrong.err
