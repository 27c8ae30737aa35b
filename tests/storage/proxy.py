"""A network between us and the server that tests can cut, or make silent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Sees = Callable[[bytes], object]


class Proxy:
    """Forwards a port of its own to the server of *dsn*."""

    def __init__(self, dsn: str) -> None:
        self._target = urlsplit(dsn)
        self._lost: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._silent = False
        self.accepted = 0
        """How often somebody connected."""
        self.on_request: Sees = lambda _: None
        """Is shown what clients send, before it is forwarded."""
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, dsn: str) -> AsyncIterator[Self]:
        """Run a proxy to the server of *dsn*."""
        proxy = cls(dsn)
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.cut()
            await asyncio.sleep(0)

    @property
    def dsn(self) -> str:
        """The address of the same database through here."""
        user = self._target.netloc.rpartition("@")[0]
        return self._target._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def lose(self) -> None:
        """Drop all that passes from now on by the connections there are, and close none.

        As when a router forgets them: nobody hears of it. New connections work.
        """
        self._lost |= self._open

    def silence(self, *, silent: bool = True) -> None:
        """Lose all connections, and accept new ones without a word until told otherwise."""
        self.lose()
        self._silent = silent

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._open.add(writer)
        if self._silent:
            self._lost.add(writer)
        try:
            theirs, ours = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            self._close(writer)
            return
        self._open.add(ours)
        if writer in self._lost:
            self._lost.add(ours)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pump(reader, ours, self._show))
            tasks.create_task(self._pump(theirs, writer, lambda _: None))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sees: Sees
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                sees(data)
                if writer not in self._lost:
                    writer.write(data)
                    await writer.drain()
        if writer not in self._lost:
            self._close(writer)

    def _show(self, data: bytes) -> None:
        self.on_request(data)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()
