"""``migrate`` by many processes at once, and by one that is killed half-way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import asyncpg
from sample_project import BOUND, SampleProject, until

from asyncjobs.storage.postgres.migrate import all_migrations

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = """
import asyncio, sys
from asyncjobs.storage.postgres.migrate import migrate_database

print("ready", flush=True)
sys.stdin.readline()
print(*asyncio.run(migrate_database(sys.argv[1])))
"""
HALF = """
import asyncio, sys
from asyncjobs.storage.postgres import migrate

steps = migrate.all_migrations()
text = "-- needs: 1\\nselect pg_sleep(1000);\\n"
endless = migrate.Migration(len(steps) + 1, "9999_endless", text, 1)
migrate.all_migrations = lambda: (*steps, endless)
asyncio.run(migrate.migrate_database(sys.argv[1]))
"""
SLEEPERS = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = $1"


def ask(dsn: str, query: str, *args: Any) -> Any:
    async def fetch() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query, *args)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_ten_processes_migrate_at_once_and_each_step_is_taken_once(
    tmp_path: Path, empty_dsn: str
) -> None:
    command = [sys.executable, "-c", AT_ONCE, empty_dsn]
    environment = SampleProject(tmp_path, empty_dsn).environment
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for _ in range(10)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=BOUND)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    taken = [name for output in outputs for name in output.split()]
    assert taken == [step.name for step in all_migrations()]


def test_a_migration_killed_half_way_leaves_nothing_and_the_next_completes(
    tmp_path: Path, empty_dsn: str
) -> None:
    project = SampleProject(tmp_path, empty_dsn)
    project.write_app()
    command = [sys.executable, "-c", HALF, empty_dsn]
    half = subprocess.Popen(command, env=project.environment)
    try:
        name = empty_dsn.rpartition("/")[2]
        until(lambda: ask(empty_dsn, SLEEPERS, name) == 1)
    finally:
        half.kill()
        half.wait(BOUND)
    done = project.asyncjobs("migrate")
    assert done.returncode == 0, done.stderr
    assert all(step.name in done.stdout for step in all_migrations())  # none was left applied
    assert ask(empty_dsn, "select count(*) from asyncjobs.migrations") == len(all_migrations())
