"""What is paused, as one worker knows it: told by a signal, and looked up with every heartbeat.

A queue that is paused is left out of the claim, so its jobs cost nothing. Jobs of a name or a
key that is paused are not available, but for those that came after the pause: the worker that
claims one puts it into the line of what is paused.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import NotPermittedError, StorageError
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.outcome import lanes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob


class Pauses:
    """The lanes that are paused."""

    def __init__(
        self,
        storage: Storage,
        interval: float,
        log: Any,
        *,
        on_change: Callable[[], None],
        on_freed: Callable[[Iterable[str]], None],
    ) -> None:
        self._storage, self._interval, self._log = storage, interval, log
        self._on_change, self._on_freed = on_change, on_freed
        self._lanes: frozenset[str] = frozenset()
        self._calls: frozenset[str] = frozenset()
        self._news = asyncio.Event()
        self.known = False
        """Whether it was looked up at all: before that nothing is claimed."""

    def look(self) -> None:
        """Look up what is paused, at once."""
        self._news.set()

    async def run(self) -> None:
        """Keep up until cancelled."""
        delays = growing_delays()
        while True:
            try:
                await self._refresh()
                pause, delays = self._interval, growing_delays()
            except StorageError as error:
                self._log.warning("pauses.unknown", error=str(error))
                pause = next(delays)
                if isinstance(error, NotPermittedError) and not self.known:
                    # Whose user may not ask works as before there were pauses.
                    self.known = True
                    self._on_change()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            self._news.clear()

    async def _refresh(self) -> None:
        lanes = frozenset(pause.lane for pause in await self._storage.limits.pauses())
        resumed = self._lanes - lanes
        if lanes != self._lanes:
            self._lanes = lanes
            self._calls = frozenset(lane for lane in lanes if not lane.startswith("queue:"))
            self._log.info("pauses.changed", paused=sorted(lanes))
        elif self.known:
            return
        self.known = True
        self._on_change()
        if resumed:  # let in already, perhaps, and put aside again by us who did not know
            self._on_freed(resumed)

    def open(self, queues: list[str]) -> list[str]:
        """Return those of *queues* that are not paused."""
        if not self._lanes:
            return queues
        return [queue for queue in queues if f"queue:{queue}" not in self._lanes]

    def split(
        self, rows: Sequence[ClaimedJob]
    ) -> tuple[Sequence[ClaimedJob], list[tuple[ClaimedJob, str]]]:
        """Return which of *rows* may run, and which are paused, with the lane that says so."""
        if not self._calls:
            return rows, []
        paused = [(row, lane) for row in rows if (lane := self._lane_of(row))]
        held = {row.id for row, _ in paused}
        return [row for row in rows if row.id not in held], paused

    async def park(self, worker: int, paused: Sequence[tuple[ClaimedJob, str]]) -> None:
        """Put claimed jobs into the lines of what is paused. Raises StorageError."""
        parked = [(row.id, row.attempt, lane) for row, lane in paused]
        await self._storage.limits.park(worker, parked)
        self._on_freed({lane for row, _ in paused for lane in lanes_of(row)})

    def _lane_of(self, row: ClaimedJob) -> str | None:
        lanes = (f"job:{row.name}", *lanes_of(row))
        return next((lane for lane in lanes if lane in self._calls), None)
