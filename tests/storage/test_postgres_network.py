"""Networks that fail without a word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
from proxy import Proxy

from asyncjobs import PostgresAdapter

if TYPE_CHECKING:
    from asyncjobs.types import Signal


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
        listening = asyncio.create_task(adapter.listen(heard.put_nowait))
        with anyio.fail_after(20):
            await asked.wait()
            await asyncio.sleep(0)
            listening.cancel()
            await asyncio.wait({listening})
        assert listening.cancelled()
        await adapter.close()
