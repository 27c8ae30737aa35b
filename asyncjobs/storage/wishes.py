"""What people wish of workers: to claim nothing more, or to end. `Storage.wishes` has it.

A wish stands in the storage until the worker ends. Its next heartbeat tells it, and before that
a signal that it should send one.
"""

from __future__ import annotations

from typing import Protocol


class WishStorage(Protocol):
    """Wishes of registered workers, by their ids.

    Each returns whether it changed anything. Raises UnknownWorkerError, and DeafWorkerError for
    a worker of an earlier version, or NotMigratedError on a schema of one.
    """

    async def quiet(self, worker: int) -> bool:
        """Let a worker claim nothing more. What it runs goes on."""
        ...

    async def resume(self, worker: int) -> bool:
        """Let a worker claim again."""
        ...

    async def stop(self, worker: int) -> bool:
        """Let a worker end, as a first SIGTERM does. There is no way back."""
        ...

    async def note_stopping(self, worker: int) -> None:
        """Note that a worker ends, whoever told it to; it raises nothing of the above."""
        ...
