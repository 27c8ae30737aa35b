"""What is wished of the workers of a MemoryAdapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.errors import UnknownWorkerError
from asyncjobs.types import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from asyncjobs.storage.memory_rows import WorkerRow


class MemoryWishes:
    """See `WishStorage`."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        workers: Mapping[int, WorkerRow],
        tell: Callable[[Signal], None],
    ) -> None:
        self._clock, self._workers, self._tell = clock, workers, tell

    async def quiet(self, worker: int) -> bool:
        """Let a worker claim nothing more."""
        row = self._row(worker)
        if row.quiet_at is not None:
            return False
        row.quiet_at, row.quiet_unheard = self._clock(), True
        self._tell(Signal(workers=(worker,)))
        return True

    async def resume(self, worker: int) -> bool:
        """Let a worker claim again."""
        row = self._row(worker)
        if row.quiet_at is None:
            return False
        row.quiet_at, row.quiet_unheard = None, False
        self._tell(Signal(workers=(worker,)))
        return True

    async def stop(self, worker: int) -> bool:
        """Let a worker end."""
        row = self._row(worker)
        if row.stop_at is not None:
            return False
        row.stop_at = self._clock()
        self._tell(Signal(workers=(worker,)))
        return True

    async def note_stopping(self, worker: int) -> None:
        """Note that a worker ends."""
        if row := self._workers.get(worker):
            row.stopping_at = row.stopping_at or self._clock()

    def _row(self, worker: int) -> WorkerRow:
        if worker not in self._workers:
            raise UnknownWorkerError(worker)
        return self._workers[worker]
