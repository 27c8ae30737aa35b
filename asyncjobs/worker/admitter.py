"""Lets limited jobs in: into the lanes that have room, as soon as there is some.

Told of a lane, it looks there: when a job came into its line, when one that had been let in
ended here, when its rate allows the next start. It also looks at every lane with a line now
and then, for what nobody could tell: a worker that died between recording an outcome and
looking, a row that somebody removed by hand.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import StorageError
from asyncjobs.types import ALL_LANES
from asyncjobs.worker.delays import growing_delays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Admission

MOST = 500
"""Jobs that are let into one lane by one statement."""
BATCH = 200
"""Lanes in one statement."""
SWEEP = 1_000
"""Lanes that one sweep looks at; the next one goes on behind them."""
AGAIN = 0.005
"""Seconds until a lane is looked at again that somebody else was changing."""


class Admitter:
    """A list of lanes to look at, with times. Every worker has one."""

    def __init__(
        self,
        storage: Storage,
        interval: float,
        log: Any,
        *,
        on_ready: Callable[[Iterable[str]], None],
    ) -> None:
        self._storage, self._interval, self._log = storage, interval, log
        self._on_ready = on_ready
        self._due: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []
        self._sweep_at = 0.0
        self._cursor = ""
        self._asked = False
        """Whether the sweep under way is to reach every lane, however many there are."""
        self._sooner = asyncio.Event()
        self._turn = asyncio.Lock()
        """One look at a time, so that who settles knows what came of the one under way."""

    def look(self, lanes: Iterable[str], delay: float = 0.0) -> None:
        """Look at *lanes* in *delay* seconds, unless that is planned before."""
        when = time.monotonic() + delay
        for lane in lanes:
            if lane == ALL_LANES:
                self._cursor, self._sweep_at, self._asked = "", 0.0, True
            elif when < self._due.get(lane, when + 1):
                self._due[lane] = when
                heapq.heappush(self._order, (when, lane))
        self._sooner.set()

    def look_everywhere(self) -> None:
        """Look at every lane with a line."""
        self.look((ALL_LANES,))

    async def run(self) -> None:
        """Let jobs in until cancelled."""
        delays = growing_delays()
        while True:
            await self._sleep()
            lanes = self._take_due()
            try:
                if lanes:
                    await self._admit(lanes)
                elif time.monotonic() >= self._sweep_at:
                    await self._sweep()
                delays = growing_delays()
            except StorageError as error:
                self._log.warning("admit.failed", error=str(error))
                pause = next(delays)
                self.look(lanes, pause)
                self._sweep_at = max(self._sweep_at, time.monotonic() + pause)
                await asyncio.sleep(pause)

    async def settle(self) -> int:
        """Look at every lane now; return how many jobs became available."""
        count, after = 0, ""
        async with self._turn:
            while lanes := await self._storage.limits.waiting(after, BATCH):
                after = lanes[-1]
                while lanes:
                    admission = await self._storage.limits.admit(lanes, MOST)
                    self._note(admission, lanes)
                    count += admission.jobs
                    lanes = list(admission.again)
        return count

    async def _admit(self, lanes: Sequence[str]) -> None:
        async with self._turn:
            self._note(await self._storage.limits.admit(lanes, MOST), lanes)

    def _note(self, admission: Admission, lanes: Sequence[str]) -> None:
        went_on = [lane for lane in admission.again if lane not in lanes]
        self.look(went_on)
        self.look(set(admission.again).difference(went_on), AGAIN)
        for lane, seconds in admission.later.items():
            self.look((lane,), seconds)
        if admission.jobs:
            self._log.debug("job.admitted", jobs=admission.jobs)
            self._on_ready(admission.queues)

    async def _sweep(self) -> None:
        lanes = await self._storage.limits.waiting(self._cursor, SWEEP)
        full = len(lanes) == SWEEP
        self._cursor = lanes[-1] if full else ""
        self._asked = self._asked and full
        self._sweep_at = time.monotonic() + (0.0 if self._asked else self._interval)
        self.look(lanes)

    def _take_due(self) -> list[str]:
        now = time.monotonic()
        lanes: list[str] = []
        while self._order and self._order[0][0] <= now and len(lanes) < BATCH:
            when, lane = heapq.heappop(self._order)
            if self._due.get(lane) == when:
                del self._due[lane]
                lanes.append(lane)
        return lanes

    async def _sleep(self) -> None:
        while True:
            self._sooner.clear()
            due = min(self._order[0][0] if self._order else self._sweep_at, self._sweep_at)
            left = due - time.monotonic()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    await self._sooner.wait()
            except TimeoutError:
                return
