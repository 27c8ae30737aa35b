"""The primary dies, its standby takes over: nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
from cluster import Cluster, kill
from load import make_manager, under_load

from asyncjobs import PostgresAdapter, StorageUnavailableError
from asyncjobs.storage.embedded import EmbeddedPostgres
from asyncjobs.types import NewJob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOUND = 100


@pytest.fixture
def cluster(reachable_path: Path) -> Iterator[Cluster]:
    cluster = Cluster.start(reachable_path)
    yield cluster
    cluster.stop()


async def test_nothing_acknowledged_is_lost_when_the_primary_is_killed(cluster: Cluster) -> None:
    jobs = make_manager(
        PostgresAdapter(cluster.dsn), concurrency=50, sleep_delay=0.5, heartbeat_interval=1
    )
    await jobs.migrate()
    await cluster.synchronize()
    with anyio.fail_after(BOUND):
        async with under_load(jobs) as load:
            await load.reach(300)
            cluster.kill_primary()
            await load.until_refused()
            await cluster.promote()
            await load.reach(300)
    assert load.acknowledged <= set(load.ran)


async def test_a_commit_that_stopped_waiting_for_the_standby_is_not_acknowledged(
    cluster: Cluster,
) -> None:
    jobs = make_manager(PostgresAdapter(cluster.primary.dsn))
    await jobs.migrate()
    await cluster.synchronize()

    @jobs.job
    async def note() -> None: ...

    async with jobs:
        await jobs.later(note())
        await asyncio.to_thread(kill, cluster.standby)
        for call in (jobs.later(note()), jobs.later.many([note(), note()])):
            waiting = asyncio.create_task(call)
            with anyio.fail_after(BOUND):
                await give_up_waiting(cluster.primary.dsn)
                with pytest.raises(StorageUnavailableError, match="synchronous standby"):
                    await waiting
        assert await jobs.adapters["main"].counts() == {("default", "available"): 4}


async def give_up_waiting(dsn: str) -> None:
    """Cut off whoever waits for the standby, as an administrator or a time-out may."""
    connection = await asyncpg.connect(dsn)
    cut = "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'"
    while not await connection.fetchval(cut):
        await asyncio.sleep(0.01)
    await connection.close()


async def test_an_old_primary_that_comes_back_is_refused(cluster: Cluster) -> None:
    adapter = PostgresAdapter(cluster.dsn)
    await adapter.migrate()
    await adapter.open()
    await adapter.enqueue([NewJob("x", "default", 50, "{}")])
    await caught_up(cluster)
    await asyncio.to_thread(kill, cluster.primary)
    await cluster.promote()
    with anyio.fail_after(BOUND):
        await until_stored(adapter)
        await asyncio.to_thread(kill, cluster.standby)
        # Somebody starts the old primary as it stands: two histories, one of them over.
        with EmbeddedPostgres.start(cluster.primary.data, port=cluster.primary.port):
            with pytest.raises(StorageUnavailableError, match="old primary"):
                await until_told(adapter, "old primary")
            with EmbeddedPostgres.start(cluster.standby.data, port=cluster.standby.port):
                await until_stored(adapter)
    await adapter.close()


async def caught_up(cluster: Cluster) -> None:
    connection = await asyncpg.connect(cluster.primary.dsn)
    query = "select pg_current_wal_lsn() = replay_lsn from pg_stat_replication"
    while not await connection.fetchval(query):
        await asyncio.sleep(0.01)
    await connection.close()


async def until_stored(adapter: Any) -> None:
    while True:
        try:
            await adapter.enqueue([NewJob("x", "default", 50, "{}")])
        except StorageUnavailableError:
            await asyncio.sleep(0.01)
        else:
            return


async def until_told(adapter: Any, what: str) -> None:
    """Try to store until it works, or an error says *what*, which is raised."""
    while True:
        try:
            await adapter.enqueue([NewJob("x", "default", 50, "{}")])
        except StorageUnavailableError as error:
            if what in str(error):
                raise
        else:
            return
