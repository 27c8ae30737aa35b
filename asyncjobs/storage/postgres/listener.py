"""LISTEN that proves itself: a connection whose peer silently vanished looks idle for ever."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from asyncjobs.logs import get_logger
from asyncjobs.storage.postgres.failures import UNAVAILABLE, raise_cancellation
from asyncjobs.types import Signal

if TYPE_CHECKING:
    import asyncpg

    from asyncjobs.storage.postgres.source import ConnectionSource
    from asyncjobs.storage.protocol import OnSignal

PROBE_INTERVAL = 10.0
"""Seconds between two proofs of life. Until a loss is seen, polling carries on."""
PROBE_TIMEOUT = 5.0
LEAVE_TIMEOUT = 2.0
MAX_DELAY = 5.0


class Listener:
    """One connection that listens, for one worker."""

    def __init__(self, source: ConnectionSource, channel: str, on_signal: OnSignal) -> None:
        self._source, self._channel, self._on_signal = source, channel, on_signal
        self._log = get_logger()
        self._offset = 0.0
        self._token = uuid4().hex
        self._heard = asyncio.Event()
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled; after each loss connect again."""
        delay = 0.1
        while True:
            self._heard.clear()
            try:
                connection = await self._source.take("listen")
                try:
                    await self._listen(connection)
                finally:
                    await self._leave(connection)
            except UNAVAILABLE as error:
                raise_cancellation(error)
                self._log.warning("listener.lost", error=f"{type(error).__name__}: {error}")
                delay = min(delay * 2, MAX_DELAY) if not self._heard.is_set() else 0.1
            self._on_signal(Signal(missed=True))
            await asyncio.sleep(delay)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        self._closed.clear()
        self._heard.clear()
        connection.add_termination_listener(self._on_termination)
        await connection.add_listener(self._channel, self._on_notification)
        self._on_signal(Signal(missed=True))
        await self._prove_notifications(connection)
        while not self._closed.is_set():
            self._offset = await _database_clock(connection) - time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_INTERVAL):
                    await self._closed.wait()

    async def _prove_notifications(self, connection: asyncpg.Connection) -> None:
        # A pooler in transaction mode takes LISTEN and forgets it.
        self._offset = await _database_clock(connection) - time.monotonic()
        payload = json.dumps({"probe": self._token})
        await connection.execute("select pg_notify($1, $2)", self._channel, payload)
        try:
            # Not wait_for: before Python 3.12 it may swallow a cancellation.
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._heard.wait()
        except TimeoutError:
            self._log.warning("listener.deaf", hint="polling only; is there a pooler in between?")

    async def _leave(self, connection: asyncpg.Connection) -> None:
        # Raises nothing but a cancellation: an error would take the place of one that passes.
        connection.remove_termination_listener(self._on_termination)
        if connection.is_closed():
            self._source.throw_away(connection)
            return
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT):
                await connection.remove_listener(self._channel, self._on_notification)
                await self._source.give_back(connection)
        except UNAVAILABLE:
            self._source.throw_away(connection)
        except BaseException:
            self._source.throw_away(connection)
            raise

    def _on_termination(self, _: object) -> None:
        self._closed.set()

    def _on_notification(self, _: object, pid: int, channel: str, payload: object) -> None:
        try:
            news = json.loads(str(payload))
            if news.get("probe") == self._token:
                self._heard.set()
            if signal := self._signal(news):
                self._on_signal(signal)
        except (ValueError, TypeError, AttributeError):
            self._log.warning("notification.refused", payload=str(payload)[:200])

    def _signal(self, news: dict[str, Any]) -> Signal | None:
        if not news.keys() & {"ready", "due", "cancel"}:
            return None
        due = news.get("due")
        now = time.monotonic() + self._offset
        return Signal(
            ready=frozenset(news.get("ready", ())),
            priority=news.get("priority", 0),
            due_in=None if due is None else due - now,
            cancel=tuple(news.get("cancel", ())),
        )


async def _database_clock(connection: asyncpg.Connection) -> float:
    query = "select extract(epoch from clock_timestamp())::float8"
    return float(await connection.fetchval(query, timeout=PROBE_TIMEOUT))
