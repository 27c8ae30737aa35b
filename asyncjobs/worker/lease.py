"""Signs of life, from a thread of its own: a job that blocks the event loop does not end it.

The thread also measures the loop it leaves alone, and names the job that blocks it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio

from asyncjobs.errors import AsyncJobsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Heartbeat

BLOCKED = 1.0
"""Seconds without a step of the event loop after which a job is said to block it."""
LOOK = 0.25
JOIN_TIMEOUT = 5.0
"""Seconds to wait at the end for a heartbeat under way; the thread keeps no process alive."""


class Lease:
    """Renews the lease of one worker and tells it what the storage answers."""

    def __init__(
        self,
        storage: Storage,
        interval: float,
        log: Any,
        *,
        on_answer: Callable[[int, Heartbeat], None],
        running_now: Callable[[asyncio.AbstractEventLoop], str | None],
    ) -> None:
        self._storage, self._interval, self._log = storage, interval, log
        self._on_answer, self._running_now = on_answer, running_now
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._last_step = time.monotonic()
        self.worker = 0
        """The registration to beat for."""
        self.steady = 1
        """Heartbeats that succeeded in a row."""

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        twin = self._storage.for_thread()
        if twin is None:
            await self._beat_here()
            return
        thread = threading.Thread(
            target=asyncio.run,
            args=(self._beat_there(twin),),
            name="asyncjobs heartbeat",
            daemon=True,
        )
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._stop.set()
            with anyio.CancelScope(shield=True):
                await asyncio.to_thread(thread.join, JOIN_TIMEOUT)

    async def _beat_here(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            worker = self.worker
            answer = await self._ask(self._storage, worker)
            if answer is not None:
                self._on_answer(worker, answer)

    async def _beat_there(self, twin: Storage) -> None:
        is_open, due = False, time.monotonic()
        reported = 0.0
        while not self._stop.is_set():
            reported = self._watch(reported)
            if time.monotonic() >= due:
                due = time.monotonic() + self._interval
                is_open = is_open or await self._open(twin)
                worker = self.worker
                if is_open and (answer := await self._ask(twin, worker)) is not None:
                    self._tell(self._on_answer, worker, answer)
            await asyncio.sleep(min(LOOK, self._interval / 2))
        if is_open:
            await twin.close()

    async def _open(self, twin: Storage) -> bool:
        try:
            await twin.open()
        except AsyncJobsError as error:
            self.steady = 0
            self._log.warning("heartbeat.failed", error=str(error))
            return False
        return True

    async def _ask(self, storage: Storage, worker: int) -> Heartbeat | None:
        try:
            answer = await storage.heartbeat(worker)
        except Exception as error:  # noqa: BLE001 - the thread must go on
            self.steady = 0
            self._log.warning("heartbeat.failed", error=str(error))
            return None
        self.steady += 1
        return answer

    def _watch(self, reported: float) -> float:
        # Returns which silence of the loop was reported, so that it is reported once.
        seen = self._last_step
        blocked_for = time.monotonic() - seen
        if blocked_for > BLOCKED and seen != reported:
            job = self._running_now(self._loop)
            self._log.warning("loop.blocked", seconds=round(blocked_for, 1), job=job)
            return seen
        if blocked_for < BLOCKED:
            self._tell(self._step)
        return reported

    def _step(self) -> None:
        self._last_step = time.monotonic()

    def _tell(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop was closed before this thread heard of the end
            self._stop.set()
