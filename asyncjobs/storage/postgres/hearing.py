"""Those of one program who listen, and the one connection that does so for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncjobs.ending import end_task
from asyncjobs.logs import get_logger
from asyncjobs.storage.postgres.listener import Listener
from asyncjobs.types import Signal

if TYPE_CHECKING:
    from asyncjobs.storage.postgres.source import ConnectionSource
    from asyncjobs.storage.postgres.tables import Tables
    from asyncjobs.storage.protocol import OnSignal


class Hearing:
    """Who listens on *channel*: by *direct*, or by the source of the adapter's lanes.

    With *listens* false nobody hears anything, and workers poll.
    """

    def __init__(self, channel: str, *, listens: bool, direct: ConnectionSource | None) -> None:
        self._channel, self._listens, self._direct = channel, listens, direct
        self._listeners: list[OnSignal] = []
        self._listening: asyncio.Task[None] | None = None
        self._hears = False
        self._tables: Tables | None = None

    async def listen(self, tables: Tables, on_signal: OnSignal) -> None:
        """Report what happens until cancelled; see `Storage.listen`."""
        self._listeners.append(on_signal)
        polls = not self._listens or not tables.found.notify
        try:
            if polls or self._listening is not None:
                on_signal(Signal(missed=True, proven=self._hears))
            if polls:
                await asyncio.Event().wait()
            if self._listening is None:
                self._tables = tables
                listener = Listener(
                    tables.lanes,
                    tables.statements,
                    self._channel,
                    self._hear,
                    direct=self._direct,
                )
                self._listening = asyncio.create_task(listener.run())
            await asyncio.shield(self._listening)
        finally:
            self._listeners.remove(on_signal)
            await self._stop()

    def tell(self, signal: Signal) -> None:
        """Tell everybody who listens."""
        for on_signal in self._listeners:
            on_signal(signal)

    def tell_of_return(self) -> None:
        """Tell that the database is back: signals may be missed."""
        self.tell(Signal(missed=True))

    async def _stop(self) -> None:
        if not self._listeners and self._listening is not None:
            listening, self._listening = self._listening, None
            self._hears = False
            if not await end_task(listening):
                get_logger().error("listener.stuck")

    def _hear(self, signal: Signal, first: int) -> None:
        self._hears = signal.proven or (self._hears and not signal.missed)
        if signal.ready and self._tables is not None:
            self._tables.claims.expect(signal.ready, signal.priority, first)
        self.tell(signal)
