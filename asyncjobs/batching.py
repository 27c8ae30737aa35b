"""Many small writes as few large ones, without anybody waiting longer.

What is added while a batch is under way makes the next batch. When nothing is under way, a
batch of one leaves at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

Item = TypeVar("Item")
LARGE = 16_000_000
"""Characters of arguments, or of results, in one statement: a message holds 1 GB, and a
statement has some 10 s."""


class Batcher(Generic[Item]):
    """Hands items to *send* in batches of up to *limit*, one batch at a time, in order.

    *send* deals with its own failures and does not raise.
    """

    def __init__(self, send: Callable[[list[Item]], Awaitable[None]], limit: int) -> None:
        self._send, self._limit = send, limit
        self._pending: list[Item] = []
        self._underway: list[Item] = []
        self._sending: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many items wait for the next batch."""
        return len(self._pending)

    def add(self, item: Item) -> None:
        """Put *item* into the next batch."""
        self._pending.append(item)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send_all())

    def unsent(self) -> list[Item]:
        """Return what waits or is under way."""
        return [*self._underway, *self._pending]

    def discard(self) -> list[Item]:
        """Take back what has not been sent."""
        pending, self._pending = self._pending, []
        return pending

    async def drain(self) -> None:
        """Wait until everything was sent."""
        while self._sending is not None and not self._sending.done():
            await asyncio.wait({self._sending})

    async def _send_all(self) -> None:
        try:
            while self._pending:
                self._underway = self._pending[: self._limit]
                self._pending = self._pending[self._limit :]
                await self._send(self._underway)
                self._underway = []
        except asyncio.CancelledError:
            # By the end of the event loop, which cancels every task once. Somebody may still
            # add, and wait for, what is pending.
            self._underway = []
            if self._pending:
                self._sending = asyncio.get_running_loop().create_task(self._send_all())
            raise


def portions(items: list[Item], sizes: list[int], most: int) -> Iterator[list[Item]]:
    """Return *items*, of *sizes* each, in parts of up to *most*; larger ones stand alone."""
    if sum(sizes) <= most:
        yield items
        return
    part: list[Item] = []
    filled = 0
    for item, size in zip(items, sizes, strict=True):
        if part and filled + size > most:
            yield part
            part, filled = [], 0
        part.append(item)
        filled += size
    yield part
