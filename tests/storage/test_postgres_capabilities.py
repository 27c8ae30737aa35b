"""What a server lacks is found out, and done without."""

from __future__ import annotations

import asyncio
import dataclasses
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest
from load import claimed_by, make_manager

from asyncjobs import Capabilities, PostgresAdapter
from asyncjobs.storage.postgres.capabilities import TRIES, probe
from asyncjobs.storage.postgres.migrate import all_migrations
from asyncjobs.storage.postgres.statements import Statements
from asyncjobs.testing.contract.steps import QUEUES, a_job, a_worker, ids_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVERYTHING = Capabilities()
SQL = Statements.load("asyncjobs")
UNKNOWN = "select nonsense("
BOUND = 100


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_postgresql_can_do_everything(connection: Any) -> None:
    assert await probe(connection, EVERYTHING, SQL) == EVERYTHING


@pytest.mark.parametrize("missing", TRIES)
async def test_what_a_server_does_not_know_is_done_without(
    connection: Any, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRIES, missing, UNKNOWN)
    other = dataclasses.replace(SQL, probe_server=UNKNOWN)
    found = await probe(connection, EVERYTHING, other)
    assert found == dataclasses.replace(EVERYTHING, **{missing: False})


async def test_what_is_forbidden_is_not_used(connection: Any) -> None:
    for field in dataclasses.fields(Capabilities):
        wanted = dataclasses.replace(EVERYTHING, **{field.name: False})
        assert await probe(connection, wanted, SQL) == wanted


def test_without_a_capability_no_statement_asks_for_it() -> None:
    quiet = SQL.without(skip_locked=True, notify=True)
    for field in dataclasses.fields(Statements):
        lines = getattr(quiet, field.name).splitlines()
        code = " ".join(line for line in lines if not line.startswith("--"))
        assert "skip locked" not in code or field.name == "probe_server"
        assert "pg_notify(" not in code or field.name == "probe_server"


async def test_without_skip_locked_claims_take_turns_and_each_gets_its_full_number(
    dsn: str,
) -> None:
    adapters = [PostgresAdapter(dsn, capabilities=Capabilities(skip_locked=False)) for _ in "123"]
    for adapter in adapters:
        await adapter.open()
    workers = [await adapter.register(a_worker()) for adapter in adapters]
    stored = [row.id for row in await adapters[0].enqueue([a_job()] * 90)]
    with anyio.fail_after(BOUND):
        claims = await asyncio.gather(*(
            adapter.claim(worker, QUEUES, 30)
            for adapter, worker in zip(adapters, workers, strict=True)
        ))  # fmt: skip
    assert [len(claim) for claim in claims] == [30, 30, 30]
    assert sorted(ids_of(chain(*claims))) == stored
    for adapter in adapters:
        await adapter.close()


async def test_without_notify_workers_poll(dsn: str) -> None:
    jobs = make_manager(
        PostgresAdapter(dsn, capabilities=Capabilities(notify=False)), sleep_delay=0.05
    )
    ran = asyncio.Event()

    @jobs.job
    async def note() -> None:
        ran.set()

    with anyio.fail_after(BOUND):
        async with jobs:
            stop = asyncio.Event()
            worker = asyncio.create_task(jobs.work(stop))
            for options in ({}, {"wait": 0.1}):
                ran.clear()
                await jobs.later(note(), **options)
                await ran.wait()
            stop.set()
            await worker


async def test_without_advisory_locks_each_migration_is_applied_once(empty_dsn: str) -> None:
    wanted = Capabilities(advisory_locks=False)
    adapters = [PostgresAdapter(empty_dsn, capabilities=wanted) for _ in range(10)]
    with anyio.fail_after(BOUND):
        taken = await asyncio.gather(*[adapter.migrate() for adapter in adapters])
    assert list(chain(*taken)) == [step.name for step in all_migrations()]


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_another_isolation_by_default_changes_nothing(empty_dsn: str, isolation: str) -> None:
    name = urlsplit(empty_dsn).path.removeprefix("/")
    admin = await asyncpg.connect(empty_dsn)
    await admin.execute(
        f"alter database \"{name}\" set default_transaction_isolation to '{isolation}'"
    )
    await admin.close()
    with anyio.fail_after(BOUND):
        taken = await asyncio.gather(*[PostgresAdapter(empty_dsn).migrate() for _ in range(10)])
        assert list(chain(*taken)) == [step.name for step in all_migrations()]
        adapters = [PostgresAdapter(empty_dsn) for _ in range(4)]
        await claimed_by(adapters, 400)
    for adapter in adapters:
        await adapter.close()
