"""Frees the jobs of workers that fell silent: at once where their end can be seen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError
from asyncjobs.worker.identity import gone, host_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.worker.lease import Lease


class Rescuer:
    """Looks after the other workers, once a heartbeat, and after its own after an outage.

    When the database comes back everybody's lease may have run out. How long there was no
    trouble goes with each request, so that others get the time to renew theirs.
    """

    def __init__(
        self,
        storage: Storage,
        lease: Lease,
        interval: float,
        log: Any,
        *,
        reconcile: Callable[[], Awaitable[None]],
        on_rescued: Callable[[str, str], None],
    ) -> None:
        self._storage, self._lease, self._interval, self._log = storage, lease, interval, log
        self._reconcile, self._on_rescued = reconcile, on_rescued

    async def run(self) -> None:
        """Rescue until cancelled."""
        await self._rescue_safely()
        while True:
            await asyncio.sleep(self._interval)
            await self._reconcile()
            await self._rescue_safely()

    async def _rescue_safely(self) -> None:
        try:
            await self._rescue(gone(await self._storage.local_workers(host_id())))
        except StorageError as error:
            self._log.warning("rescue.failed", error=str(error))

    async def _rescue(self, dead: list[int]) -> None:
        for job in await self._storage.rescue(dead, watched=self._lease.watched):
            self._log.warning(
                "job.rescued", job=job.name, id=job.id, attempt=job.attempt, worker=job.worker
            )
            self._on_rescued(job.queue, job.name)
