"""The worker's row in the table of workers: made at the start, made again after it was lost."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import anyio

from asyncjobs.errors import AsyncJobsError, StorageError
from asyncjobs.worker.identity import this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.config import WorkerGroup
    from asyncjobs.logs import FoldingLog
    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Heartbeat
    from asyncjobs.worker.bookkeeper import Bookkeeper
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.wishes import Wishes

NOTE_TIMEOUT = 5.0
"""Seconds to say that the worker ends, for people who look."""


class Registration:
    """Registers one worker, and hears with each heartbeat whether it still counts as alive.

    *on_begin* is given the number of every new registration.
    """

    def __init__(
        self,
        storage: Storage,
        registry: JobRegistry,
        group: WorkerGroup,
        queues: Sequence[str],
        log: FoldingLog,
        *,
        name: str,
        executor: Executor,
        bookkeeper: Bookkeeper,
        wishes: Wishes,
        on_begin: Callable[[int], None],
    ) -> None:
        self._storage, self._registry, self._log = storage, registry, log
        self._name, self._group, self._queues = name, group, list(queues)
        self._executor, self._bookkeeper, self._on_begin = executor, bookkeeper, on_begin
        self._wishes, self._is_stopping, self._is_over = wishes, False, False
        self._worker = 0
        self._again: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Register. Raises StorageError."""
        group = self._group
        info = this_process(
            self._name,
            group=group.label,
            queues=self._queues,
            lease=group.lease,
            concurrency=group.concurrency,
            quiet=self._wishes.quiet,
        )
        asked_at = time.monotonic()
        self._worker = await self._storage.register(info)
        self._executor.renew(asked_at + group.lease)
        self._on_begin(self._worker)
        # What others could not run, we may. Without this it comes half a minute later.
        try:
            await self._storage.offer([job.name for job in self._registry])
        except StorageError as error:
            self._log.warning("offer.failed", error=str(error))

    async def note_stopping(self) -> None:
        """Say in the row that this worker ends, unless that is over at once."""
        self._is_stopping = True
        if self._executor.is_idle:
            return
        with anyio.move_on_after(NOTE_TIMEOUT, shield=True):
            try:
                await self._storage.wishes.note_stopping(self._worker)
            except AsyncJobsError as error:  # only whoever looks knows less
                self._log.warning("stopping.unnoted", error=str(error))

    async def end(self, *, all_ended: bool) -> None:
        """Give up the registration: only for new jobs, unless *all_ended*.

        What still runs here must not be given to others before this process has ended.
        """
        self._is_over = True
        try:
            if all_ended:
                await self._storage.deregister(self._worker)
            else:
                await self._storage.leave(self._worker)
        except (AsyncJobsError, asyncio.CancelledError) as error:  # then its lease runs out
            self._log.warning("worker.unregistered", error=str(error))
        self._log.close()
        self._log.info("worker.stopped", started=self._executor.started)

    def on_heartbeat(self, worker: int, answer: Heartbeat, asked_at: float) -> None:
        """Take the *answer* to a sign of life of *worker* at *asked_at*, in monotonic seconds."""
        if worker != self._worker:
            return  # of a registration that is over
        self._bookkeeper.clock_offset = answer.clock_offset
        if answer.cancel:
            self._executor.cancel(answer.cancel)
        if answer.alive:
            self._wishes.hear(answer, asked_at)
            self._executor.renew(asked_at + self._group.lease)
        elif self._again is None and not self._is_over:  # else it was asked before our end
            self._log.error("lease.lost", running=len(self._executor.running))
            self._executor.abandon()
            self._again = asyncio.get_running_loop().create_task(self._begin_again())

    async def _begin_again(self) -> None:
        try:
            await self.begin()
            if self._is_stopping:
                await self.note_stopping()
        except StorageError as error:  # the next heartbeat says again that we are dead
            self._log.warning("worker.unregistered", error=str(error))
        finally:
            self._again = None
