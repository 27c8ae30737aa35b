"""What can be wrong with the tables and the server's settings, caused for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import asyncpg
import pytest
from patient import Patient

from asyncjobs.doctor.checks import indexes, vacuum
from asyncjobs.storage.embedded import EmbeddedPostgres
from asyncjobs.storage.postgres.migrate import migrate_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FILL = """insert into asyncjobs.jobs (position, run_at, state, name, queue, args)
    select n, now() + interval '1 day', 'scheduled', 'greet', 'default', '{}'
    from generate_series(1, $1) as n"""


# The schema


async def test_a_database_without_our_tables_is_to_be_migrated(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    patient = Patient(empty_dsn, connection)
    finding = await patient.finding("migrations")
    await connection.close()
    assert (finding.level, finding.advice) == ("bad", "asyncjobs migrate")
    assert await patient.findings("queues") == []


async def test_migrations_that_are_missing_are_named(patient: Patient) -> None:
    await patient.sql("delete from asyncjobs.migrations where version >= 9")
    finding = await patient.finding("migrations")
    assert (finding.level, finding.advice) == ("warning", "asyncjobs migrate")
    assert "0009_schedules, 0010_enqueue, " in finding.what
    assert [each.level for each in await patient.findings("queues")] == ["good"]


async def test_a_migration_with_other_contents_is_told_of(patient: Patient) -> None:
    await patient.sql("update asyncjobs.migrations set checksum = 'x' where version = 3")
    changed, newest = await patient.findings("migrations")
    assert (changed.level, newest.level) == ("bad", "good")
    assert "0003_statistics was applied with other contents" in changed.what


async def test_a_schema_that_needs_a_later_program_is_told_of(patient: Patient) -> None:
    await patient.sql("insert into asyncjobs.migrations values (900, '0900_later', 'x', 900)")
    finding = await patient.finding("migrations")
    assert finding.level == "bad"
    assert "needs a program that knows version 900" in finding.what


# Durability


async def test_the_server_of_the_tests_is_not_durable(patient: Patient) -> None:
    found = await patient.findings("durability")
    assert [(each.level, each.what) for each in found] == [
        ("bad", "fsync is off."),
        ("bad", "full_page_writes is off."),
    ]
    name = await patient.connection.fetchval("select current_database()")
    await patient.sql(f'alter database "{name}" set synchronous_commit = off')
    assert (await patient.findings("durability"))[-1].level == "warning"


# Vacuum


async def test_a_table_that_autovacuum_leaves_alone_is_told_of(patient: Patient) -> None:
    await patient.sql("alter table asyncjobs.jobs set (autovacuum_enabled = false)")
    finding = await patient.finding("autovacuum")
    assert finding.level == "bad"
    await patient.sql(finding.advice)
    assert (await patient.finding("autovacuum")).level == "good"


async def test_a_server_without_autovacuum_is_told_of(durable_dsn: str) -> None:
    connection = await asyncpg.connect(durable_dsn)
    patient = Patient(durable_dsn, connection)
    try:
        await patient.sql("alter system set autovacuum = off")
        await reloaded(connection, "autovacuum", "off")
        finding = await patient.finding("autovacuum")
    finally:
        await patient.sql("alter system reset autovacuum")
        await reloaded(connection, "autovacuum", "on")
        await connection.close()
    assert finding.level == "bad"
    assert finding.advice.startswith("alter system set autovacuum = on;")


async def reloaded(connection: asyncpg.Connection, name: str, value: str) -> None:
    await connection.execute("select pg_reload_conf()")
    while await connection.fetchval("select current_setting($1)", name) != value:
        pass


async def test_many_dead_rows_are_told_of(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "MANY_DEAD", 1_000)
    await patient.sql("alter table asyncjobs.jobs set (autovacuum_enabled = false)")
    await patient.sql(FILL.replace("$1", "2000"))
    await patient.sql("delete from asyncjobs.jobs")
    with anyio.fail_after(30):  # until the server's statistics know it
        while (finding := await patient.finding("dead_rows")).level != "warning":
            await patient.sql("select 1")  # before 15 an idle connection does not tell them
    assert "asyncjobs.jobs has about 2\u202f000 dead rows beside 0 live ones" in finding.what
    assert "vacuum (analyze, verbose) asyncjobs.jobs;" in finding.advice


async def test_an_open_transaction_is_told_of_with_what_ends_it(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "OLD", 0.0)
    other = await asyncpg.connect(
        patient.dsn, server_settings={"application_name": "a\x1b[31mreport"}
    )
    pid = other.get_server_pid()
    await other.execute("begin isolation level repeatable read")
    await other.execute("select pg_sleep(1.1)")  # younger ones are not told of
    finding = await patient.finding("holders")
    assert finding.level == "warning"
    assert f"pid {pid}) has been open for" in finding.what
    assert "and is idle" in finding.what
    assert "\x1b" not in finding.what
    monkeypatch.setattr(vacuum, "VERY_OLD", 0.0)
    assert (await patient.finding("holders")).level == "bad"
    await patient.sql(finding.advice.partition(";")[0])
    assert (await patient.finding("holders")).level == "good"
    other.terminate()


@pytest.fixture
async def replicated(reachable_path: Path) -> AsyncIterator[Patient]:
    """The database of a server that takes prepared transactions."""
    settings = {"max_prepared_transactions": "2", "fsync": "off"}
    with EmbeddedPostgres.start(reachable_path / "postgres", settings=settings) as server:
        await migrate_database(server.dsn)
        connection = await asyncpg.connect(server.dsn)
        yield Patient(server.dsn, connection)
        await connection.close()


async def test_a_forgotten_prepared_transaction_is_told_of_with_what_ends_it(
    replicated: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "OLD", 0.0)
    await replicated.sql("begin")
    await replicated.sql("create table forgotten ()")
    await replicated.sql("prepare transaction 'half''way'")
    finding = await replicated.finding("holders")
    assert finding.level == "bad"
    assert "prepared transaction half'way" in finding.what
    await replicated.sql(finding.advice.partition(";")[0])
    assert (await replicated.finding("holders")).level == "good"


# Indexes


@pytest.mark.parametrize(
    ("name", "level", "advice"),
    [
        ("jobs_pkey_ccnew", "warning", 'drop index concurrently "asyncjobs"."jobs_pkey_ccnew";'),
        ("jobs_twice", "bad", 'reindex index concurrently "asyncjobs"."jobs_twice";'),
    ],
)
async def test_an_invalid_index_is_told_of(
    name: str, level: str, advice: str, patient: Patient
) -> None:
    await patient.add_job()
    await patient.add_job()
    with pytest.raises(asyncpg.UniqueViolationError):
        await patient.sql(f"create unique index concurrently {name} on asyncjobs.jobs (name)")
    finding = await patient.finding("indexes")
    assert (finding.level, finding.advice) == (level, advice)


async def test_an_index_that_is_mostly_air_is_told_of_with_what_mends_it(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "LEAST_BYTES", 300_000)
    await patient.sql(FILL.replace("$1", "40000"))
    await patient.sql("vacuum analyze asyncjobs.jobs")
    assert (await patient.finding("indexes")).level == "good"
    await patient.sql("delete from asyncjobs.jobs where id % 50 <> 0")
    await patient.sql("vacuum analyze asyncjobs.jobs")
    found = await patient.findings("indexes")
    assert {each.level for each in found} == {"warning"}
    assert any('"asyncjobs"."jobs_pkey"' in each.what for each in found)
    for each in found:
        await patient.sql(each.advice.partition(";")[0])
    assert (await patient.finding("indexes")).level == "good"
