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

STEADY = 2
"""Heartbeats that must have succeeded in a row. When the database comes back after an
outage everybody's lease has run out: others get the time to renew theirs."""


class Rescuer:
    """Looks after the other workers, once a heartbeat, and after its own after an outage."""

    def __init__(
        self,
        storage: Storage,
        lease: Lease,
        interval: float,
        log: Any,
        *,
        reconcile: Callable[[], Awaitable[None]],
    ) -> None:
        self._storage, self._lease, self._interval, self._log = storage, lease, interval, log
        self._reconcile = reconcile

    async def run(self) -> None:
        """Rescue until cancelled."""
        await self._rescue_safely(needs_dead=True)
        while True:
            await asyncio.sleep(self._interval)
            await self._reconcile()
            if self._lease.steady >= STEADY:
                await self._rescue_safely()

    async def _rescue_safely(self, *, needs_dead: bool = False) -> None:
        try:
            dead = gone(await self._storage.local_workers(host_id()))
            if dead or not needs_dead:
                await self._rescue(dead)
        except StorageError as error:
            self._log.warning("rescue.failed", error=str(error))

    async def _rescue(self, dead: list[int]) -> None:
        for job in await self._storage.rescue(dead):
            self._log.warning(
                "job.rescued", job=job.name, id=job.id, attempt=job.attempt, worker=job.worker
            )
