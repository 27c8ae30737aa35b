"""Follows jobs for whoever waits for them in this process.

Whoever waits is told by notifications, and once a second by a look at all jobs that somebody
waits for, in one statement. A worker notifies only of jobs that it knows to be watched, so
each job is marked as watched before it is looked at: what happens before the mark is seen
by the look, and what happens after it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from asyncjobs.errors import NotOpenError
from asyncjobs.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncjobs.home import Home
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import JobStatus, Signal

POLL = 1.0
"""Seconds between two looks at everything, when no notification speaks of it."""
SHARE = 10
"""Looks that take long are made more seldom: they take at most this part of the time."""
AGAIN = 0.05
"""Seconds until a job is tried again that could not be marked, because it was just changing."""
LINGER = 30.0
"""Seconds that this process goes on listening when nobody waits any more."""


class Follower:
    """One who waits for one job."""

    def __init__(self, job_id: int) -> None:
        self.id = job_id
        self._news = asyncio.Event()
        self._status: JobStatus | None = None
        self._known = self._closed = False

    async def next(self) -> JobStatus | None:
        """Return how it stands, first now and then after each change; None: it is gone.

        Raises NotOpenError when the manager is closed meanwhile.
        """
        await self._news.wait()
        self._news.clear()
        if self._closed:
            raise NotOpenError
        return self._status

    def tell(self, status: JobStatus | None) -> None:
        """Take note of how it stands."""
        if not self._known or status != self._status:
            self._known, self._status = True, status
            self._news.set()

    def close(self) -> None:
        """End the waiting."""
        self._closed = True
        self._news.set()


class Watch:
    """Looks after all followers of one scheduler, by one task that runs while there are any."""

    def __init__(self, storage: Storage, home: Home) -> None:
        self._storage, self._home, self._log = storage, home, get_logger()
        self._followers: dict[int, set[Follower]] = {}
        self._stale: set[int] = set()
        """Jobs to look at now."""
        self._marked: set[int] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def following(self, job_id: int) -> Iterator[Follower]:
        """Give the body a follower of a job. Raises RuntimeError in another event loop."""
        self._home.check()
        follower = Follower(job_id)
        self._followers.setdefault(job_id, set()).add(follower)
        if self._task is None or self._task.done():
            self._wake = asyncio.Event()  # an event of asyncio stays with the loop it served
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._look_at({job_id})
        try:
            yield follower
        finally:
            followers = self._followers[job_id]
            followers.discard(follower)
            if not followers:
                del self._followers[job_id]
                self._marked.discard(job_id)

    async def look(self, job_id: int) -> JobStatus | None:
        """Return how it stands with a job; None if nothing is stored of it.

        Raises RuntimeError in another event loop.
        """
        self._home.check()
        found = await self._storage.results.look([job_id])
        return found[0] if found else None

    def stop(self) -> None:
        """Stop looking, without waiting for that."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Stop, and let nobody wait any longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        self._close_followers()

    def _close_followers(self) -> None:
        for followers in self._followers.values():
            for follower in followers:
                follower.close()

    async def _run(self) -> None:
        try:
            while True:
                await self._serve()
                if not self._followers:  # or somebody came while the listener was ending
                    return
        except NotOpenError:  # the storage was closed before they came
            self._close_followers()

    async def _serve(self) -> None:
        listening = asyncio.create_task(self._listen())
        unused = 0.0
        try:
            while unused < LINGER:
                took = await self._look()
                began = time.monotonic()
                await self._sleep(max(POLL, SHARE * took))
                unused = 0.0 if self._followers else unused + time.monotonic() - began
        finally:
            listening.cancel()
            await asyncio.wait({listening})

    async def _listen(self) -> None:
        try:
            await self._storage.listen(self._on_signal)
        except NotOpenError:
            return
        except Exception as error:  # noqa: BLE001 - polling carries on
            self._log.warning("watch.deaf", error=str(error))

    def _on_signal(self, signal: Signal) -> None:
        if signal.missed:
            self._marked.clear()  # marks that the database forgot are made again
            self._look_at(set(self._followers))
        elif signal.changed:
            self._look_at(self._followers.keys() & set(signal.changed))

    def _look_at(self, ids: set[int]) -> None:
        if ids:
            self._stale |= ids
            self._wake.set()

    async def _sleep(self, most: float) -> None:
        try:
            async with asyncio.timeout(most):
                await self._wake.wait()
        except TimeoutError:
            self._stale.update(self._followers)

    async def _look(self) -> float:
        """Look at what is stale and return how many seconds that took."""
        began = time.monotonic()
        self._wake.clear()
        ids = sorted(self._stale & self._followers.keys())
        self._stale.clear()
        if not ids:
            return 0.0
        try:
            if unmarked := [job for job in ids if job not in self._marked]:
                self._marked.update(await self._storage.results.watch(unmarked))
            found = {status.id: status for status in await self._storage.results.look(ids)}
        except NotOpenError:
            raise
        except Exception as error:  # noqa: BLE001 - all who wait hang on this task
            self._log.warning("watch.failed", error=str(error))
        else:
            for job in ids:
                self._tell(job, found.get(job))
        return time.monotonic() - began

    def _tell(self, job: int, status: JobStatus | None) -> None:
        for follower in self._followers.get(job, ()):
            follower.tell(status)
        if status is None or status.has_ended:
            return
        if status.watched:
            self._marked.add(job)
        elif job in self._followers:
            asyncio.get_running_loop().call_later(AGAIN, self._look_at, {job})
