"""Decides when to claim: at once while there is room and there may be something; otherwise
when a signal says that there is, and every `sleep_delay` in case a signal was lost.

How many is the word of a `Supply`. Mostly one serves all jobs. When more jobs of a kind were
claimed than its threads or processes can start soon, they go back, and that kind is set apart:
it has a supply of its own, and is left out of the claims of the others, until it is exhausted.
So what waits for a thread keeps no coroutine waiting, here or for another worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError
from asyncjobs.types import ALL_QUEUES, Names
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.supply import Supply
from asyncjobs.worker.waiting import outlast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob, Signal
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.pauses import Pauses
    from asyncjobs.worker.workload import Meters

MAX_UNRECORDED = 5_000
"""Outcomes that may wait to be recorded before nothing more is claimed."""


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
        self._storage, self._queues = storage, list(queues)
        self._wanted = frozenset((*queues, ALL_QUEUES))
        self._executor, self._finisher, self._log = executor, finisher, log
        self._pauses, self._meters, self._on_doubt = pauses, meters, on_doubt
        self._rest = Supply(executor, executor.backlog.rest)
        self._supplies = [self._rest]
        self._over = asyncio.Event()
        self._wake = wake
        self.claiming = asyncio.Lock()
        """Held from a claim's first word until its jobs are known here."""
        self.worker = 0
        """The registration to claim for."""
        self.dry = asyncio.Event()
        """Set while the last looks found less than they asked for."""

    def wake(self) -> None:
        """Look whether there is something to do."""
        self._wake.set()

    def look(self) -> None:
        """Look into the queue as soon as there is room."""
        for supply in self._supplies:
            supply.may_be_more = True
        self._wake.set()

    def end(self) -> None:
        """Claim nothing more, and let `run` end."""
        self._over.set()
        self._wake.set()

    def on_signal(self, signal: Signal) -> None:
        """Look into the queue if *signal* speaks of ours."""
        if signal.missed or not self._wanted.isdisjoint(signal.ready):
            self.look()

    async def run(self, stop: asyncio.Event) -> None:
        """Claim until *stop* or `end`. A claim under way is always carried through."""
        # In a task that no task group cancels: a shield around each claim costs an idle worker
        # as much as all else that it does between a notification and its claim.
        claiming = asyncio.create_task(self._run(stop))
        try:
            await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self.end()
            await outlast([claiming])
            raise

    async def _run(self, stop: asyncio.Event) -> None:
        delays = growing_delays()
        while not (stop.is_set() or self._over.is_set()):
            if self._executor.backlog.aside:
                self._set_apart()
            try:
                if await self._claim_for_all():
                    delays = growing_delays()
                else:
                    await self._wake.wait()
                    self._wake.clear()
                    self._return_stale()
            except StorageError as error:
                self._log.warning("claim.failed", error=str(error))
                self._on_doubt()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(next(delays)):
                        await self._over.wait()
                self.look()

    async def _claim_for_all(self) -> bool:
        has_claimed = False
        for supply in tuple(self._supplies):
            if room := self._room(supply):  # a claim for another may have left none
                has_claimed = True
                async with self.claiming:
                    await self._claim(supply, room)
        return has_claimed

    def _room(self, supply: Supply) -> int:
        if not (supply.may_be_more and self._pauses.known) or self._executor.is_resting:
            return 0
        if len(self._finisher) > MAX_UNRECORDED:
            return 0
        return max(supply.room, 0)

    async def _claim(self, supply: Supply, room: int) -> None:
        supply.may_be_more = False  # before the statement: a signal meanwhile must count
        worker = self.worker
        queues = self._pauses.open(self._queues)
        rows = await self._ask(worker, queues, room, supply) if queues else []
        if worker != self.worker:
            return  # declared dead meanwhile: these are others' already
        supply.note(room, len(rows))
        if supply.is_dry and supply is not self._rest:
            self._supplies.remove(supply)
        if all(one.is_dry for one in self._supplies):
            self.dry.set()
        else:
            self.dry.clear()
        allowed, paused = self._pauses.split(rows)
        self._executor.submit(allowed)
        if paused:
            await self._pauses.park(worker, paused)

    async def _ask(
        self, worker: int, queues: Sequence[str], room: int, supply: Supply
    ) -> list[ClaimedJob]:
        began = time.monotonic()
        rows = await self._storage.claim(worker, queues, room, self._names(supply))
        supply.took = time.monotonic() - began
        self._meters.claim_seconds.add(supply.took)
        self._meters.claims.add(len(rows))
        return rows

    def _names(self, supply: Supply) -> Names | None:
        apart = [one.kind for one in self._supplies if one is not self._rest]
        if not apart:
            return None
        is_apart = supply is not self._rest
        kinds, names_of = [supply.kind] if is_apart else apart, self._executor.backlog.names_of
        return Names(tuple(name for kind in kinds for name in names_of(kind)), inside=is_apart)

    def _set_apart(self) -> None:
        # What is more than its places wait for is others' to run. One that waits in vain too.
        apart = {supply.kind: supply for supply in self._supplies}
        for kind in self._executor.backlog.kinds:
            ahead = apart[kind].ahead if kind in apart else 0
            keep = 0 if kind.is_stale else max(kind.limit, ahead)
            if len(kind.waiting) > keep:
                self._executor.return_waiting(kind, keep)
                if kind not in apart:  # first: the rest could take all slots
                    self._supplies.insert(0, Supply(self._executor, kind))

    def _return_stale(self) -> None:
        rest = self._rest.kind
        if rest.is_stale:
            self._log.debug("claim.returned", jobs=len(rest.waiting))
            self._executor.return_waiting(rest)
