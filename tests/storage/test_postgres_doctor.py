"""What a doctor finds on a primary whose standby holds back the removal of dead rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import asyncpg
import pytest
from cluster import Cluster

from asyncjobs import PostgresAdapter
from asyncjobs.doctor import Finding, diagnose
from asyncjobs.doctor.checks import vacuum
from asyncjobs.storage.postgres.migrate import migrate_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOT = "select age(xmin) from pg_replication_slots"


@pytest.fixture
def cluster(reachable_path: Path) -> Iterator[Cluster]:
    cluster = Cluster.start(reachable_path)
    yield cluster
    cluster.stop()


async def test_a_standby_and_a_forgotten_slot_are_told_of(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "OLD_AGE", -1)
    await migrate_database(cluster.primary.dsn)
    primary = await asyncpg.connect(cluster.primary.dsn)
    standby = await asyncpg.connect(cluster.standby.dsn)
    try:
        await set_on(standby, "hot_standby_feedback = on")
        with anyio.fail_after(30):
            while not (told := await of_holders(cluster)):
                await anyio.sleep(0.1)
        assert [finding.level for finding in told] == ["warning"]
        assert "A query on the standby standby, user postgres keeps" in told[0].what

        await primary.execute("select pg_create_physical_replication_slot('left')")
        await set_on(standby, "primary_slot_name = 'left'")
        with anyio.fail_after(30):
            while await primary.fetchval(SLOT) is None:
                await anyio.sleep(0.1)
        await set_on(standby, "primary_slot_name = ''")
        with anyio.fail_after(30):
            while await primary.fetchval("select active from pg_replication_slots"):
                await anyio.sleep(0.1)
        slot = next(each for each in await of_holders(cluster) if "slot" in each.what)
        assert slot.level == "bad"
        assert "The replication slot left, not in use, keeps" in slot.what
        await primary.execute(slot.advice.rpartition(": ")[2])
        assert await primary.fetchval("select count(*) from pg_replication_slots") == 0
    finally:
        await primary.close()
        await standby.close()


async def test_a_primary_and_its_standby_are_told_of_as_such(cluster: Cluster) -> None:
    await migrate_database(cluster.primary.dsn)
    found = await diagnose(PostgresAdapter(cluster.dsn), "main")
    hosts = [(each.level, each.what.split()[-1]) for each in found if each.check == "hosts"]
    assert hosts == [("good", "primary."), ("good", "standby.")]


async def of_holders(cluster: Cluster) -> list[Finding]:
    found = await diagnose(PostgresAdapter(cluster.primary.dsn), "main")
    return [each for each in found if each.check == "holders" and each.level != "good"]


async def set_on(server: asyncpg.Connection, setting: str) -> None:
    await server.execute(f"alter system set {setting}")
    await server.execute("select pg_reload_conf()")
