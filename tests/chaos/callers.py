"""Who stores the calls of a soak, and notes in the books what was promised with each."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import chaos_app
from books import SECOND, Books, Life

if TYPE_CHECKING:
    from collections.abc import Callable

    from figures import Figures

    from asyncjobs.job import JobCall
    from asyncjobs.scheduler import Scheduler

PAUSE = 0.05
"""Seconds between two mixtures."""
LANES = 20
IN_TURN = 5
"""Lanes of one, in strict order."""
EACH_TURN = 0.25
"""Seconds between two turns of each of them."""
LIMITS = {
    **{f"key:{lane}": chaos_app.IN_LANE for lane in range(LANES)},
    **{f"key:turn:{lane}": 1 for lane in range(IN_TURN)},
    "queue:narrow": chaos_app.IN_QUEUE,
    "threads": chaos_app.THREADS,
}


class Callers:
    """All who store calls, until *ending* is set."""

    def __init__(
        self, later: Scheduler, books: Books, figures: Figures, ending: asyncio.Event
    ) -> None:
        self.later, self.books, self.figures, self.ending = later, books, figures, ending

    async def store_mixtures(self, rate: int) -> None:
        """Store *rate* calls of many kinds a second."""
        due = time.monotonic()
        while not self.ending.is_set():
            due += PAUSE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._store_mixture(max(1, int(rate * PAUSE)))

    async def store_crowds(self, rate: int) -> None:
        """Store more for lanes and threads at once than they admit, each second."""
        size = max(LANES * chaos_app.IN_LANE, rate // 50)
        while not self.ending.is_set():
            lanes = (random.randrange(LANES) for _ in range(size))
            await self.store([chaos_app.limited(lane, random.uniform(0, 0.02)) for lane in lanes])
            await self.store([chaos_app.threaded(0.002) for _ in range(size)])
            await asyncio.sleep(1)

    async def store_turns(self) -> None:
        """Store what must not overtake, and fails now and then."""
        turn = 0
        while not self.ending.is_set():
            turn += 1
            fails = int(turn % 20 == 0)
            await self.store([chaos_app.in_turn(lane, turn, fails) for lane in range(IN_TURN)])
            await asyncio.sleep(EACH_TURN)

    async def cancel(self) -> None:
        """Cancel calls that wait and jobs that run."""
        while not self.ending.is_set():
            app = chaos_app
            waiting = await self.store([app.quick(3)], may_be_cancelled=True, delay=2)
            running = await self.store([app.nap(2)], may_be_cancelled=True)
            await asyncio.sleep(random.uniform(0, 0.3))
            for job in (*waiting, *running):
                if await self.later.cancel(job):
                    self.figures.cancelled += 1

    async def _store_mixture(self, calls: int) -> None:
        app = chaos_app
        kinds: dict[Callable[[], JobCall[Any]], float] = {
            lambda: app.quick(1): 0.82,
            lambda: app.fragile(random.randint(1, 3)): 0.06,
            app.hopeless: 0.01,
            lambda: app.nap(random.uniform(0, 0.5)): 0.03,
            lambda: app.threaded(0.002): 0.02,
        }
        chosen = random.choices([*kinds], weights=[*kinds.values()], k=calls)
        await self.store([make() for make in chosen])
        for absolute in (False, True):
            delayed = [app.quick(2) for _ in range(max(1, round(calls * 0.03)))]
            await self.store(delayed, delay=random.uniform(0.1, 5), absolute=absolute)

    async def store(
        self,
        calls: list[JobCall[Any]],
        *,
        delay: float = 0.0,
        absolute: bool = False,
        may_be_cancelled: bool = False,
    ) -> list[int]:
        """Store *calls* for *delay* seconds later, by a moment if *absolute*; return their ids."""
        if not calls:
            return []
        called_at = time.monotonic_ns()
        options: dict[str, Any] = {}
        if absolute:
            options["wait_until"] = datetime.now(UTC) + timedelta(seconds=delay)
        elif delay:
            options["wait"] = delay
        stored = await self.later.many(calls, **options)
        hopeless = chaos_app.hopeless.name
        failing = {hopeless, chaos_app.fragile.name, chaos_app.in_turn.name}
        for job in stored:
            life = Life(
                stored_at=called_at,
                not_before=called_at + int(delay * SECOND) if delay else 0,
                backoff=chaos_app.BACKOFF if job.name in failing else 0.0,
                attempts=chaos_app.HOPELESS_ATTEMPTS if job.name == hopeless else None,
                may_be_cancelled=may_be_cancelled,
            )
            self.books.stored(job.id, life)
        self.figures.acknowledged += len(stored)
        return [job.id for job in stored]
