"""Networks that fail without a word."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from load import make_manager, under_load
from proxy import Proxy

from asyncjobs import Capabilities, PostgresAdapter
from asyncjobs.storage.postgres.listener import PROBE_INTERVAL, PROBE_TIMEOUT
from asyncjobs.storage.postgres.sockets import IDLE, INTERVAL, PROBES, UNANSWERED
from asyncjobs.storage.postgres.source import DsnSource
from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT
from asyncjobs.testing.contract.steps import Heard, listening
from asyncjobs.types import NewJob

if TYPE_CHECKING:
    from asyncjobs.types import Signal

BOUND = 100
NOTICED = 15.0
"""Seconds, as promised."""
BUSY = 20.0
"""Seconds more for a machine with other work."""


def test_silence_is_given_up_within_the_time_promised() -> None:
    assert HOT_TIMEOUT < NOTICED
    assert PROBE_INTERVAL + PROBE_TIMEOUT < NOTICED
    assert IDLE + INTERVAL * PROBES < NOTICED
    assert UNANSWERED / 1_000 < NOTICED


async def test_a_listener_is_ended_while_its_connection_does_not_answer(dsn: str) -> None:
    async with Proxy.to(dsn) as network:
        adapter = PostgresAdapter(network.dsn)
        await adapter.open()
        asked = asyncio.Event()

        def lose_it(request: bytes) -> None:
            if b"LISTEN" in request:
                network.silence()
                asked.set()

        network.on_request = lose_it
        heard: asyncio.Queue[Signal] = asyncio.Queue()
        task = asyncio.create_task(adapter.listen(heard.put_nowait))
        with anyio.fail_after(20):
            await asked.wait()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled()
        await adapter.close()


async def test_sockets_notice_by_themselves_that_nobody_is_there(dsn: str) -> None:
    connection: Any = await DsnSource(dsn, {}).take("test")
    found = connection._transport.get_extra_info("socket")
    assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNANSWERED
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE
    await connection.close()


@pytest.mark.parametrize("capabilities", [Capabilities(), Capabilities(read_committed=False)])
async def test_connections_that_went_silent_are_replaced_and_every_job_runs(
    dsn: str, capabilities: Capabilities
) -> None:
    async with Proxy.to(dsn) as network:
        adapter = PostgresAdapter(network.dsn, capabilities=capabilities)
        jobs = make_manager(adapter, sleep_delay=0.2, heartbeat_interval=1)
        with anyio.fail_after(BOUND):
            async with under_load(jobs) as load:
                await load.reach(100)
                network.lose()
                lost_at = time.monotonic()
                await load.reach(100)
                assert time.monotonic() - lost_at < NOTICED + BUSY
    assert "lease.lost" not in {line["event"] for line in jobs.log}


async def test_a_listener_that_went_silent_is_replaced(dsn: str) -> None:
    async with Proxy.to(dsn) as network:
        adapter, other = PostgresAdapter(network.dsn), PostgresAdapter(dsn)
        await adapter.open()
        await other.open()
        with anyio.fail_after(BOUND):
            async with listening(adapter) as heard:
                await until_heard(other, heard)
                network.lose()
                lost_at = time.monotonic()
                heard.signals.clear()
                await heard.first(lambda signal: signal.missed)
                assert time.monotonic() - lost_at < NOTICED + BUSY
                await until_heard(other, heard)
        await other.close()
        await adapter.close()


async def until_heard(other: PostgresAdapter, heard: Heard) -> None:
    while not any(signal.ready for signal in heard.signals):
        await other.enqueue([NewJob("x", "default", 50, "{}")])
        await asyncio.sleep(0.02)
