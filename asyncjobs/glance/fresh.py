"""Answers that are shared by all who ask at about the same time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


async def in_turn(*kept: Fresh[Any]) -> list[Any]:
    """Return what some say, one read after the other."""
    return [await each.get() for each in kept]


class Fresh(Generic[T]):
    """What *read* returned, no older than *age* seconds.

    However many pages are open, the database is asked once in that time, and whoever goes away
    meanwhile does not cut off the answer to others. An error is told to those who wait for it,
    and not kept.
    """

    def __init__(self, read: Callable[[], Coroutine[object, object, T]], age: float) -> None:
        self._read, self._age = read, age
        self._reading: asyncio.Task[T] | None = None
        self._since = 0.0

    async def get(self) -> T:
        """Return it, and read it first if it is too old."""
        if self._reading is None or self._is_over(self._reading):
            self._since = time.monotonic()
            self._reading = asyncio.get_running_loop().create_task(self._read())
            self._reading.add_done_callback(_take_note)
        return await asyncio.shield(self._reading)

    def forget(self) -> None:
        """Read it anew when it is asked for next: something was changed."""
        self._reading = None

    def _is_over(self, reading: asyncio.Task[T]) -> bool:
        if not reading.done():
            return False
        if reading.cancelled() or reading.exception() is not None:
            return True
        return time.monotonic() - self._since > self._age


def _take_note(reading: asyncio.Task[T]) -> None:
    if not reading.cancelled():
        reading.exception()  # nobody may wait for it any more, and that is no error
