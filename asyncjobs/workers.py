"""`later.workers`: who works, and what can be wished of a worker: to rest, or to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.config import check_whole
from asyncjobs.filters import MAX_ID

if TYPE_CHECKING:
    from asyncjobs.storage.overview import WorkerStatus
    from asyncjobs.storage.protocol import Storage


class Workers:
    """The workers of one adapter, by the id that each gets when it starts.

    What is wished of one reaches it within a second where it listens, and otherwise with its
    next heartbeat. Each wish returns whether it changed anything, and raises UnknownWorkerError
    if there is no such worker (any more), and DeafWorkerError if it is of an earlier version.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def list(self) -> list[WorkerStatus]:
        """Return the registered workers, by group and name, and what each runs now."""
        return await self._storage.overview.workers()

    async def quiet(self, worker: int, /) -> bool:
        """Let a worker claim nothing more, until `resume` or its end.

        What it runs goes on; what it had claimed and not begun goes back at no cost. It goes on
        with everything else: due jobs become available, schedules tick, the dead are rescued.
        When it starts anew it is not quiet.
        """
        return await self._storage.wishes.quiet(_checked(worker))

    async def resume(self, worker: int, /) -> bool:
        """Let a quiet worker claim again."""
        return await self._storage.wishes.resume(_checked(worker))

    async def stop(self, worker: int, /) -> bool:
        """Let a worker end, as by a first SIGTERM. There is no way back.

        Running jobs may go on for its shutdown_timeout, then they return to the queue at no
        cost. Only this worker ends, and `asyncjobs work` does not replace it: an application
        that it is embedded in goes on without it, until it is started again itself.
        """
        return await self._storage.wishes.stop(_checked(worker))


def _checked(worker: int) -> int:
    check_whole("worker", worker, 1, MAX_ID)
    return worker
