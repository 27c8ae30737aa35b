"""Decides when to claim, and how many.

When: at once while there is room and there may be something; otherwise when a signal says
that there is, and every `sleep_delay` in case a signal was lost.

How many: the free slots, and ahead of them what will start within a few hundredths of a
second at the present pace (see `pace`). Jobs claimed ahead that do not start soon, because
long jobs came between, are given back for others to run.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from asyncjobs.errors import StorageError
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob, Signal
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.pauses import Pauses
    from asyncjobs.worker.workload import Meters

MAX_CLAIM = 1_000
MAX_UNRECORDED = 5_000
"""Outcomes that may wait to be recorded before nothing more is claimed."""
STALE = 0.5
"""Seconds without a start after which the buffer is given back."""
PAUSE = 0.2
"""Seconds without a start after which nothing is claimed ahead."""


class Claimer:
    """Keeps the executor of one worker supplied. It looks for room when *wake* is set."""

    def __init__(
        self,
        storage: Storage,
        queues: Sequence[str],
        executor: Executor,
        finisher: Finisher,
        log: Any,
        *,
        pauses: Pauses,
        meters: Meters,
        wake: asyncio.Event,
        on_doubt: Callable[[], None],
    ) -> None:
        self._storage, self._queues, self._wanted = storage, list(queues), frozenset(queues)
        self._executor, self._finisher, self._log = executor, finisher, log
        self._pauses, self._meters, self._on_doubt = pauses, meters, on_doubt
        self._pace, self._took = Pace(), 0.0
        self._counted = 0
        self._may_be_more, self._is_over = True, False
        self._wake = wake
        self.claiming = asyncio.Lock()
        """Held from a claim's first word until its jobs are known here."""
        self.worker = 0
        """The registration to claim for."""
        self.dry = asyncio.Event()
        """Set while the last look found less than it asked for."""

    def wake(self) -> None:
        """Look whether there is something to do."""
        self._wake.set()

    def look(self) -> None:
        """Look into the queue as soon as there is room."""
        self._may_be_more = True
        self._wake.set()

    def end(self) -> None:
        """Claim nothing more, and let `run` end."""
        self._is_over = True
        self._wake.set()

    def on_signal(self, signal: Signal) -> None:
        """Look into the queue if *signal* speaks of ours."""
        if signal.missed or not self._wanted.isdisjoint(signal.ready):
            self.look()

    async def run(self, stop: asyncio.Event) -> None:
        """Claim until *stop* or `end`. A claim under way is always carried through."""
        delays = growing_delays()
        while not (stop.is_set() or self._is_over):
            room = self._room() if self._may_be_more and self._pauses.known else 0
            if room <= 0:
                await self._wake.wait()
                self._wake.clear()
                self._return_stale()
                continue
            try:
                with anyio.CancelScope(shield=True):
                    async with self.claiming:
                        await self._claim(room)
                delays = growing_delays()
            except StorageError as error:
                self._log.warning("claim.failed", error=str(error))
                self._on_doubt()
                await asyncio.sleep(next(delays))
                self._may_be_more = True
            await anyio.lowlevel.checkpoint_if_cancelled()

    async def _claim(self, room: int) -> None:
        self._may_be_more = False  # before the statement: a signal meanwhile must count
        worker = self.worker
        queues = self._pauses.open(self._queues)
        rows = await self._ask(worker, queues, room) if queues else []
        if worker != self.worker:
            return  # declared dead meanwhile: these are others' already
        if len(rows) >= room:
            self._may_be_more = True
            self.dry.clear()
        else:
            self.dry.set()
        allowed, paused = self._pauses.split(rows)
        self._executor.submit(allowed)
        if paused:
            await self._pauses.park(worker, paused)

    async def _ask(self, worker: int, queues: Sequence[str], room: int) -> list[ClaimedJob]:
        began = time.monotonic()
        rows = await self._storage.claim(worker, queues, room)
        self._took = time.monotonic() - began
        self._meters.claim_seconds.add(self._took)
        self._meters.claims.add(len(rows))
        return rows

    def _room(self) -> int:
        executor = self._executor
        self._pace.started(executor.started - self._counted)
        self._counted = executor.started
        if executor.is_resting or len(self._finisher) > MAX_UNRECORDED:
            return 0
        ahead, buffered = self._pace.ahead(self._took), executor.buffered
        if time.monotonic() - executor.last_start > PAUSE:
            ahead = 0
        if buffered and buffered >= ahead / 2:
            return 0
        if not executor.free and buffered >= ahead:
            return 0
        return min(executor.free + ahead - buffered, MAX_CLAIM)

    def _return_stale(self) -> None:
        executor = self._executor
        if executor.buffered and time.monotonic() - executor.last_start > STALE:
            self._log.debug("claim.returned", jobs=executor.buffered)
            executor.return_buffered()
