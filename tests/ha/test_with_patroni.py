"""Patroni moves the primary under load: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from conftest import until
from load import make_manager, under_load

from asyncjobs import PostgresAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = 200


def the_server_is_killed(cluster: Any, leader: Any) -> None:
    leader.kill_server()


def its_machine_dies(cluster: Any, leader: Any) -> None:
    leader.kill_all()


def an_administrator_switches_over(cluster: Any, leader: Any) -> None:
    cluster.switch_over(leader)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "what_happens", [the_server_is_killed, an_administrator_switches_over, its_machine_dies]
)
async def test_nothing_acknowledged_is_lost_when(
    patroni: Any, what_happens: Callable[..., None]
) -> None:
    leader = await asyncio.to_thread(until, patroni.leader, "there is a leader and a standby")
    jobs = make_manager(PostgresAdapter(patroni.dsn), concurrency=50, heartbeat_interval=1)
    await jobs.migrate()
    with anyio.fail_after(BOUND):
        async with under_load(jobs) as load:
            await load.reach(1_000)
            load.longest_gap = 0.0
            await asyncio.to_thread(what_happens, patroni, leader)
            await load.reach(2_000)
    assert load.acknowledged <= set(load.ran)
    assert load.refused
    events = [line["event"] for line in jobs.log]
    print(
        f"{what_happens.__name__}: {len(load.acknowledged)} acknowledged, none lost, "
        f"{load.refused} refused, {len(load.ran) - len(set(load.ran))} run twice, "
        f"{load.longest_gap:.1f} s without a primary"
    )
    assert "lease.lost" not in events
    if leader.process.poll() is not None:  # it died with its machine
        patroni.start(leader)
