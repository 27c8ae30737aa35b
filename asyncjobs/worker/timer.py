"""A timer that can be set to go off sooner, but not later, than it stands."""

from __future__ import annotations

import asyncio
import time


class Timer:
    """For a service that looks at the storage when something is due. It has gone off at first."""

    def __init__(self) -> None:
        self._due = 0.0
        self._sooner = asyncio.Event()

    def reset(self, seconds: float) -> None:
        """Go off in *seconds*, whatever was set before."""
        self._due = time.monotonic() + seconds

    def expect(self, seconds: float) -> None:
        """Go off in *seconds*, unless that is to happen before."""
        due = time.monotonic() + seconds
        if due < self._due:
            self._due = due
            self._sooner.set()

    async def sleep(self) -> None:
        """Return when the timer has gone off."""
        while (left := self._due - time.monotonic()) > 0:
            self._sooner.clear()
            try:
                async with asyncio.timeout(left):
                    await self._sooner.wait()
            except TimeoutError:
                return
