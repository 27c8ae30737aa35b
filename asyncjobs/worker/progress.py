"""Takes what jobs say of their progress to the storage, seldom and all together.

A job may say it a million times. The newest word of each job counts, the first leaves at
once, and after that one statement a quarter of a second takes those of all jobs.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.errors import StorageError
from asyncjobs.storable import made_storable
from asyncjobs.types import Progress
from asyncjobs.worker.delays import growing_delays

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Json

    Key: TypeAlias = tuple[int, int]
    Word: TypeAlias = tuple[float, str | None] | None

PAUSE = 0.25
"""Seconds between two statements."""
MAX_MESSAGE = 500
"""Characters that are kept of a message."""
BATCH = 1_000
"""Jobs in one statement."""


class ProgressWriter:
    """The progress of the jobs of one worker. `put` may be called from any thread."""

    def __init__(self, storage: Storage, log: Any) -> None:
        self._storage, self._log = storage, log
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._woken = False
        self.pending: dict[Key, Word] = {}
        """The newest word of each attempt that is not stored yet."""
        self._underway: dict[Key, Word] = {}
        self.worker = 0
        """The registration that holds the jobs."""

    def put(self, job: int, attempt: int, done: float, message: str | None) -> None:
        """Take note of how far an attempt is."""
        self.pending[job, attempt] = done, message
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._wake.set)

    def begin(self, job: int, attempt: int) -> None:
        """Tell those who watch that an attempt has begun."""
        self.pending[job, attempt] = None
        self._wake.set()

    def take(self, job: int, attempt: int) -> Json | None:
        """Return the last word of an attempt that has ended, unless it is stored already."""
        word = self.look(job, attempt)
        self.pending.pop((job, attempt), None)
        return word

    def look(self, job: int, attempt: int) -> Json | None:
        """Return the same of an attempt that goes on."""
        key = job, attempt
        return _stored(self.pending.get(key) or self._underway.get(key))

    async def run(self) -> None:
        """Write until cancelled. What is left then goes with the outcomes of the jobs."""
        delays = growing_delays()
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._woken = False  # before looking: a word from now on wakes again
            try:
                await self._write()
                delays, delay = growing_delays(), PAUSE
            except StorageError as error:
                delay = max(next(delays), PAUSE)
                self._log.warning("progress.delayed", error=str(error))
                self._wake.set()
            await asyncio.sleep(delay)

    async def _write(self) -> None:
        for _ in range(len(self.pending)):
            # Taken one by one: a thread may put a word in at the same time.
            key, word = self.pending.popitem()
            self._underway[key] = word
        reports = [Progress(*key, _stored(word)) for key, word in self._underway.items()]
        try:
            for start in range(0, len(reports), BATCH):
                batch = reports[start : start + BATCH]
                await self._storage.results.report(self.worker, batch)
        except StorageError:
            for key, word in self._underway.items():
                self.pending.setdefault(key, word)
            raise
        finally:
            self._underway.clear()


def _stored(word: Word) -> Json | None:
    if word is None:
        return None
    done, message = word
    if message is not None:
        if len(message) > MAX_MESSAGE:
            message = message[: MAX_MESSAGE - 1] + "…"
        message = made_storable(message)
    return json.dumps({"done": float(done), "message": message})
