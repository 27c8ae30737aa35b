from __future__ import annotations

import asyncio
import dataclasses
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from asyncjobs import (
    ConfigError,
    DeafWorkerError,
    MigrationChangedError,
    NotMigratedError,
    PostgresAdapter,
    SchemaTooNewError,
    StorageUnavailableError,
)
from asyncjobs.storage.embedded import find_bindir
from asyncjobs.storage.postgres import migrate
from asyncjobs.storage.postgres.migrate import (
    all_migrations,
    migrate_database,
    migration_script,
)
from asyncjobs.storage.postgres.statements import Statements, for_schema, sql_folder
from asyncjobs.types import Extras, NewJob, Outcome, WorkerInfo

if TYPE_CHECKING:
    from pathlib import Path

ODD_SCHEMA = 'Odd "schema\' :"schema" $1'


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def test_ten_processes_migrate_at_once_and_each_step_is_taken_once(empty_dsn: str) -> None:
    taken = await asyncio.gather(*[migrate_database(empty_dsn) for _ in range(10)])
    names = [name for steps in taken for name in steps]
    assert names == [step.name for step in all_migrations()]


async def test_any_schema_name_works_quoted(empty_dsn: str) -> None:
    adapter = PostgresAdapter(empty_dsn, schema=ODD_SCHEMA)
    await adapter.migrate()
    await adapter.open()
    await adapter.enqueue([NewJob("x", "default", 50, "{}"), NewJob("y", "default", 50, "{}", 9.0)])
    assert (await adapter.promote(5)).count == 0
    assert await adapter.clear() == 2
    await adapter.close()


@pytest.mark.parametrize("schema", ["", "x" * 64, "null\0"])
def test_a_schema_that_cannot_be_is_refused(schema: str) -> None:
    with pytest.raises(ConfigError, match="schema must have 1 to 63 bytes"):
        PostgresAdapter("postgresql://localhost/x", schema=schema)


async def test_two_schemas_of_one_database_are_strangers(empty_dsn: str) -> None:
    one, other = (PostgresAdapter(empty_dsn, schema=name) for name in ("one", "other"))
    for adapter in (one, other):
        await adapter.migrate()
        await adapter.open()
    await one.enqueue([NewJob("x", "default", 50, "{}")])
    assert not await other.counts()
    for adapter in (one, other):
        await adapter.close()


async def test_an_empty_database_is_an_error_that_says_what_to_type(empty_dsn: str) -> None:
    with pytest.raises(NotMigratedError, match="run `asyncjobs migrate`"):
        await PostgresAdapter(empty_dsn).open()


async def test_a_schema_that_is_dropped_while_running_is_the_same_error(dsn: str) -> None:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    await execute(dsn, "drop schema asyncjobs cascade")
    with pytest.raises(NotMigratedError):
        await adapter.enqueue([NewJob("x", "default", 50, "{}")])
    await adapter.close()


async def test_a_schema_that_needs_a_later_program_is_refused(dsn: str) -> None:
    await execute(dsn, "insert into asyncjobs.migrations values (900, '0900_x', 'x', 900)")
    with pytest.raises(SchemaTooNewError, match="is at version 900, which needs"):
        await PostgresAdapter(dsn).open()
    with pytest.raises(SchemaTooNewError):
        await migrate_database(dsn)


async def test_a_later_schema_that_says_so_works_during_a_rolling_deploy(dsn: str) -> None:
    await execute(dsn, "insert into asyncjobs.migrations values (900, '0900_x', 'x', 1)")
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    await adapter.close()
    assert await migrate_database(dsn) == []


async def test_an_applied_migration_that_was_changed_is_reported(dsn: str) -> None:
    await execute(dsn, "update asyncjobs.migrations set checksum = 'other'")
    with pytest.raises(MigrationChangedError, match="0001_initial"):
        await migrate_database(dsn)


async def test_a_step_that_fails_leaves_nothing_half_done(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = all_migrations()
    text = '-- needs: 1\ncreate table :"schema".extra (id int);\nselect 1 / 0;\n'
    bad = migrate.Migration(len(good) + 1, "9999_bad", text, 1)
    monkeypatch.setattr(migrate, "all_migrations", lambda: (*good, bad))
    with pytest.raises(Exception, match="division by zero"):
        await migrate_database(empty_dsn)
    monkeypatch.undo()
    with pytest.raises(NotMigratedError):
        await PostgresAdapter(empty_dsn).open()
    assert len(await migrate_database(empty_dsn)) == len(good)


async def test_the_printed_script_does_what_migrate_does(empty_dsn: str, tmp_path: Path) -> None:
    psql = shutil.which("psql") or str(find_bindir() / "psql")
    script = tmp_path / "migrate.sql"
    script.write_text(migration_script("by_hand"))
    run = await asyncio.to_thread(
        subprocess.run,
        [psql, "-v", "ON_ERROR_STOP=1", "-q", "-d", empty_dsn, "-f", str(script)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert await migrate_database(empty_dsn, "by_hand") == []
    adapter = PostgresAdapter(empty_dsn, schema="by_hand")
    await adapter.open()
    await adapter.close()


async def test_a_database_that_is_down_is_unavailable_and_not_a_bug() -> None:
    down = "postgresql://nobody:secret@127.0.0.1:1/nothing"
    with pytest.raises(StorageUnavailableError) as caught:
        await PostgresAdapter(down).open()
    assert "secret" not in str(caught.value)
    with pytest.raises(StorageUnavailableError):
        await PostgresAdapter(down).migrate()


def test_every_statement_has_a_file_and_every_file_a_statement() -> None:
    files = {path.stem for path in (sql_folder() / "queries").glob("*.sql")}
    assert files == {field.name for field in dataclasses.fields(Statements)}


@pytest.mark.parametrize("path", sorted(sql_folder().glob("*/*.sql")), ids=lambda path: path.stem)
def test_every_file_begins_with_its_contract(path: Path) -> None:
    first, *rest = path.read_text().splitlines()
    assert re.match(rf"-- {path.stem}: \S", first)
    assert any(line and not line.startswith("--") for line in rest)


def test_tokens_are_replaced_in_one_pass() -> None:
    text = for_schema(""":"schema".jobs, :'schema'""", ODD_SCHEMA)
    assert text == ('"Odd ""schema\' :""schema"" $1".jobs, ' + "'Odd \"schema'' :\"schema\" $1'")


async def test_an_extra_field_of_a_migration_is_its_number(dsn: str) -> None:
    numbers: list[Any] = [step.version for step in all_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_schema_without_results_refuses_to_keep_one_and_takes_all_else(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = all_migrations()
    before = next(number for number, step in enumerate(every) if step.name.endswith("_results"))
    with monkeypatch.context() as older:
        older.setattr(migrate, "all_migrations", lambda: every[:before])
        await migrate_database(empty_dsn)
    adapter = PostgresAdapter(empty_dsn)
    await adapter.open()
    keeping = NewJob("x", "default", 50, "{}", extras=Extras(extra='{"retain": 60}', retain=60.0))
    with pytest.raises(NotMigratedError):
        await adapter.enqueue([keeping])
    [stored] = await adapter.enqueue([keeping._replace(extras=Extras(tags=("vip",)))])
    assert [record.result for record in await adapter.get([stored.id])] == [None]
    await adapter.close()
    await migrate_database(empty_dsn)
    await adapter.open()
    await adapter.enqueue([keeping])
    await adapter.close()


async def test_a_schema_without_parents_stores_what_jobs_schedule_all_the_same(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = all_migrations()
    before = next(number for number, step in enumerate(every) if step.name.endswith("_parents"))
    with monkeypatch.context() as older:
        older.setattr(migrate, "all_migrations", lambda: every[:before])
        await migrate_database(empty_dsn)
    child = NewJob("x", "default", 50, "{}", parent_id=7)
    mixed, alike = [child, child._replace(queue="email")], [child, child]
    special = [child._replace(extras=Extras(tags=("vip",)))]

    async def parents() -> set[int | None]:
        adapter = PostgresAdapter(empty_dsn)
        await adapter.open()
        stored = [await adapter.enqueue(jobs) for jobs in (mixed, alike, special)]
        records = await adapter.get([job.id for jobs in stored for job in jobs])
        await adapter.close()
        return {record.parent_id for record in records}

    assert await parents() == {None}
    await migrate_database(empty_dsn)
    assert await parents() == {7}


async def test_the_schema_before_the_last_works_for_what_it_knows(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = all_migrations()
    with monkeypatch.context() as older:
        older.setattr(migrate, "all_migrations", lambda: every[:1])
        assert await migrate_database(empty_dsn) == ["0001_initial"]
    adapter = PostgresAdapter(empty_dsn)
    await adapter.open()
    [stored] = await adapter.enqueue([NewJob("x", "default", 50, "{}")])
    info = WorkerInfo("w", "*", ["default", "email"], "here", "here", 1, 1.0, 60.0)
    worker = await adapter.register(info)
    assert [job.id for job in await adapter.claim(worker, ["default"], 5)] == [stored.id]
    assert await adapter.claim(worker, ["default", "email"], 5) == []
    assert [record.tags for record in await adapter.get([stored.id])] == [()]
    outcome = Outcome(stored.id, 1, "succeeded", delete=True)
    assert await adapter.finish(worker, [outcome]) == [stored.id]
    with pytest.raises(NotMigratedError):
        await adapter.enqueue([NewJob("x", "default", 50, "{}", extras=Extras(tags=("vip",)))])
    await adapter.close()
    assert await migrate_database(empty_dsn) == [step.name for step in every[1:]]
    await adapter.open()
    await adapter.enqueue([NewJob("x", "default", 50, "{}", extras=Extras(tags=("vip",)))])
    await adapter.close()


async def test_workers_of_before_the_wishes_work_on_and_are_known_to_hear_none(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = all_migrations()
    before = next(number for number, step in enumerate(every) if step.name.endswith("_wishes"))
    with monkeypatch.context() as older:
        older.setattr(migrate, "all_migrations", lambda: every[:before])
        await migrate_database(empty_dsn)
    info = WorkerInfo("w", "*", ["default"], "here", "here", 1, 1.0, 60.0, "2.0", 5, quiet=True)
    old, new = PostgresAdapter(empty_dsn), PostgresAdapter(empty_dsn)
    await old.open()
    worker = await old.register(info)
    assert (await old.heartbeat(worker))[3:] == (False, False)
    [status] = await old.overview.workers()
    assert (status.version, status.concurrency, status.state) == (None, None, "running")
    for wish in (old.wishes.quiet, old.wishes.resume, old.wishes.stop):
        with pytest.raises(NotMigratedError):
            await wish(worker)
    await old.wishes.note_stopping(worker)
    await migrate_database(empty_dsn)
    await new.open()
    later = await old.register(info)  # by statements of before: as a program that knows no others
    for deaf in (worker, later):
        assert (await old.heartbeat(deaf))[:2] == (True, [])
        for wish in (new.wishes.quiet, new.wishes.resume, new.wishes.stop):
            with pytest.raises(DeafWorkerError, match=str(deaf)):
                await wish(deaf)
    hears = await new.register(info)
    assert (await new.heartbeat(hears))[3:] == (True, False)
    assert {one.id: one.version for one in await old.overview.workers()} == {
        worker: None, later: None, hears: None,
    }  # fmt: skip
    assert {one.version for one in await new.overview.workers()} == {None, "2.0"}
    await old.close()
    await new.close()
