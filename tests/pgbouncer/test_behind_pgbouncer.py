"""Everything works behind PgBouncer in transaction mode, by polling."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest
import structlog
from load import claimed_by, hearing, make_manager, under_load

from asyncjobs import PostgresAdapter
from asyncjobs.storage.postgres import listener
from asyncjobs.storage.postgres.migrate import all_migrations
from asyncjobs.storage.postgres.source import DsnSource
from asyncjobs.testing import QuietStorageContract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from asyncjobs.storage.protocol import Storage

BOUND = 100
NEVER = 3600.0
SERIALIZABLE = 'alter database "{}" set default_transaction_isolation to serializable'


@pytest.fixture
def pooled(dsn: str, pooler: Any) -> str:
    """What the fixture dsn has, behind the pooler."""
    found: str = pooler.through(dsn)
    return found


@pytest.fixture
def said() -> Iterator[list[Any]]:
    """What adapters say."""
    with structlog.testing.capture_logs() as lines:
        yield lines


class TestBehindPgbouncer(QuietStorageContract):
    @pytest.fixture
    async def storage(self, pooled: str) -> AsyncIterator[Storage]:
        adapter = PostgresAdapter(pooled)
        await adapter.open()
        yield adapter
        await adapter.close()


async def test_workers_and_callers_lose_nothing_and_meet_no_error(pooled: str) -> None:
    jobs = make_manager(PostgresAdapter(pooled), sleep_delay=0.05, concurrency=50)
    with anyio.fail_after(BOUND):
        async with under_load(jobs, callers=50) as load:
            await load.reach(1_000)
    assert load.refused == 0
    assert sorted(load.ran) == sorted(load.acknowledged)
    events = {line["event"] for line in jobs.log}
    assert not {event for event in events if event.endswith((".failed", ".delayed"))}


async def test_sessions_that_are_others_too_are_left_as_they_are(pooled: str, pooler: Any) -> None:
    adapter = PostgresAdapter(pooled)
    await adapter.open()
    connection = await asyncpg.connect(pooled, statement_cache_size=0)
    for _ in range(20):  # it meets each of the server's connections
        assert await connection.fetchval("show enable_seqscan") == "on"
    await connection.close()
    await adapter.close()


async def test_it_is_said_once_that_workers_poll(
    pooled: str, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PROBE_TIMEOUT", 1.0)
    monkeypatch.setattr(listener, "DEAF_DELAY", 0.1)
    jobs = make_manager(PostgresAdapter(pooled), sleep_delay=0.05)
    tries = 0

    async def take(source: DsnSource, purpose: str, before: Any = DsnSource.take) -> Any:
        nonlocal tries
        tries += purpose == "listen"
        return await before(source, purpose)

    monkeypatch.setattr(DsnSource, "take", take)
    with anyio.fail_after(BOUND):
        async with under_load(jobs) as load:
            await load.reach(50)
            while not any(line["event"] == "listener.deaf" for line in said):
                await asyncio.sleep(0.01)
            enough = tries + 2
            while tries < enough:
                await asyncio.sleep(0.01)
    events = [line["event"] for line in said]
    assert events.count("pooler.found") == 1
    assert events.count("listener.deaf") == 1


async def test_a_notification_that_comes_back_by_chance_proves_nothing(
    dsn: str, narrow_pooler: Any, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # LISTEN and NOTIFY meet on one connection of the server; what others send is not heard.
    monkeypatch.setattr(listener, "PROBE_TIMEOUT", 1.0)
    monkeypatch.setattr(listener, "PROBE_INTERVAL", 0.1)
    adapter = PostgresAdapter(narrow_pooler.through(dsn))
    await adapter.open()
    with anyio.fail_after(BOUND):
        async with hearing(adapter) as heard:
            while not any(line["event"] == "listener.deaf" for line in said):
                assert not (await heard.get()).proven
    await adapter.close()


async def test_a_direct_address_for_listening_wakes_workers_at_once(dsn: str, pooled: str) -> None:
    adapter = PostgresAdapter(pooled, listen_dsn=dsn)
    jobs = make_manager(adapter, sleep_delay=NEVER)
    ran = asyncio.Event()

    @jobs.job
    async def note() -> None:
        ran.set()

    with anyio.fail_after(BOUND):
        async with jobs:
            stop = asyncio.Event()
            worker = asyncio.create_task(jobs.work(stop))
            for _ in range(3):
                ran.clear()
                await jobs.later(note())
                await ran.wait()
            stop.set()
            await worker


async def test_ten_may_migrate_at_once(empty_dsn: str, pooler: Any) -> None:
    adapters = [PostgresAdapter(pooler.through(empty_dsn)) for _ in range(10)]
    with anyio.fail_after(BOUND):
        taken = await asyncio.gather(*[adapter.migrate() for adapter in adapters])
    assert list(chain(*taken)) == [step.name for step in all_migrations()]


async def test_a_restart_of_the_pooler_loses_nothing(dsn: str, pooler: Any) -> None:
    jobs = make_manager(PostgresAdapter(pooler.through(dsn)), sleep_delay=0.1, heartbeat_interval=1)
    with anyio.fail_after(BOUND):
        async with under_load(jobs) as load:
            await load.reach(100)
            await asyncio.to_thread(pooler.stop)
            await load.until_refused()
            await asyncio.to_thread(pooler.start)
            await load.reach(100)
    assert "lease.lost" not in {line["event"] for line in jobs.log}


async def test_another_isolation_by_default_changes_nothing(dsn: str, pooled: str) -> None:
    name = urlsplit(dsn).path.removeprefix("/")
    admin = await asyncpg.connect(dsn)
    await admin.execute(
        f'alter database "{name}" set default_transaction_isolation to serializable'
    )
    await admin.close()
    adapters = [PostgresAdapter(pooled) for _ in range(4)]
    with anyio.fail_after(BOUND):
        await claimed_by(adapters, 200)
    for adapter in adapters:
        await adapter.close()


async def test_a_pool_without_prepared_statements_works_behind_it(pooled: str) -> None:
    async with asyncpg.create_pool(pooled, min_size=0, max_size=10, statement_cache_size=0) as pool:
        jobs = make_manager(PostgresAdapter(pool=pool), sleep_delay=0.05)
        with anyio.fail_after(BOUND):
            async with under_load(jobs) as load:
                await load.reach(100)
    assert not load.refused
