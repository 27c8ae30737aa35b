"""Signs of life, from a thread of its own: a job that blocks the event loop does not end it.

The thread also watches the loop: see `watch`. And it outlives the worker if a job does: as
long as a function that cannot be stopped runs in this process, others must not run it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio

from asyncjobs.errors import AsyncJobsError
from asyncjobs.worker.handover import call_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Heartbeat
    from asyncjobs.worker.watch import LoopWatch

LOOK = 0.25
JOIN_TIMEOUT = 5.0
"""Seconds to wait at the end for a heartbeat under way; the thread keeps no process alive."""


class Lease:
    """Renews the lease of one worker and tells it what the storage answers, and when asked."""

    def __init__(
        self,
        storage: Storage,
        interval: float,
        log: Any,
        *,
        on_answer: Callable[[int, Heartbeat, float], None],
        watch: LoopWatch,
    ) -> None:
        self._storage, self._interval, self._log = storage, interval, log
        self._on_answer, self._watch = on_answer, watch
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._calm_since: float | None = time.monotonic()
        self._lingers: Callable[[], bool] | None = None
        self.worker = 0
        """The registration to beat for."""

    @property
    def watched(self) -> float:
        """For how many seconds there was no trouble with the storage."""
        since = self._calm_since
        return 0.0 if since is None else time.monotonic() - since

    def shake(self) -> None:
        """Note that there was some: `watched` begins with the next heartbeat that succeeds."""
        self._calm_since = None

    def linger(self, still_runs: Callable[[], bool]) -> None:
        """Beat on after `run` has ended, while jobs still run in this process.

        *still_runs* is asked from the thread. Nothing lingers where there is no thread.
        """
        self._lingers = still_runs

    async def run(self) -> None:
        """Send heartbeats until cancelled. Raises what ends the thread before that."""
        twin = self._storage.for_thread()
        if twin is None:
            await self._beat_here()
            return
        failed, ended = self._loop.create_future(), asyncio.Event()
        threading.Thread(
            target=self._run_thread,
            args=(twin, failed, ended),
            name="asyncjobs heartbeat",
            daemon=True,
        ).start()
        try:
            await failed
        finally:
            if self._lingers is None:
                self._stop.set()
                # Not by joining it in a thread of the loop's executor: jobs may have them all.
                with anyio.CancelScope(shield=True), anyio.move_on_after(JOIN_TIMEOUT):
                    await ended.wait()

    def _run_thread(
        self, twin: Storage, failed: asyncio.Future[None], ended: asyncio.Event
    ) -> None:
        try:
            asyncio.run(self._beat_there(twin))
        except BaseException as error:
            call_in(self._loop, _fail, failed, error)
            raise
        finally:
            call_in(self._loop, ended.set)

    async def _beat_here(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._beat(self._storage, self._on_answer)

    async def _beat_there(self, twin: Storage) -> None:
        is_open, due = False, time.monotonic()
        while self._goes_on():
            self._look(twin if is_open else None)
            if time.monotonic() >= due:
                due = time.monotonic() + self._interval
                is_open = is_open or await self._open(twin)
                if is_open:
                    await self._beat(twin, self._tell)
            await asyncio.sleep(min(LOOK, self._interval / 2))
        if is_open:
            if self._lingers is not None:
                with contextlib.suppress(AsyncJobsError):  # else the lease runs out
                    await twin.deregister(self.worker)
            await twin.close()

    def _goes_on(self) -> bool:
        return not self._stop.is_set() if self._lingers is None else self._lingers()

    async def _open(self, twin: Storage) -> bool:
        try:
            await twin.open()
        except Exception as error:  # noqa: BLE001 - the thread must go on
            self._note_failed(error)
            return False
        return True

    async def _beat(
        self, storage: Storage, on_answer: Callable[[int, Heartbeat, float], None]
    ) -> None:
        worker, asked_at = self.worker, time.monotonic()
        try:
            answer = await storage.heartbeat(worker)
        except Exception as error:  # noqa: BLE001 - the thread must go on
            self._note_failed(error)
            return
        if self._calm_since is None:
            self._calm_since = time.monotonic()
        on_answer(worker, answer, asked_at)

    def _look(self, storage: Storage | None) -> None:
        if self._lingers is not None:
            return
        try:
            self._watch.look(storage, self.worker)
        except Exception as error:  # noqa: BLE001 - the thread must go on
            if self._loop.is_closed():  # before this thread heard of the end
                self._stop.set()
            else:
                with contextlib.suppress(Exception):  # perhaps the log is what fails
                    self._log.warning("loop_watch.failed", error=str(error))

    def _note_failed(self, error: Exception) -> None:
        self.shake()
        with contextlib.suppress(Exception):  # a log that fails ends no signs of life
            self._log.warning("heartbeat.failed", error=str(error))

    def _tell(self, worker: int, answer: Heartbeat, asked_at: float) -> None:
        call_in(self._loop, self._on_answer, worker, answer, asked_at)


def _fail(future: asyncio.Future[None], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
