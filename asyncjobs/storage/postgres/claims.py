"""Claiming, also while the dead are kept at the head of the index.

An entry of the index goes when its row's old version goes. Until the next vacuum the pages of
all entries that were claimed stay there, and a claim from the head walks over them: at fifty
thousand jobs a second that doubles its time within half a minute. And an old version stays as
long as any transaction may still want to see it: a backup of an hour keeps the entries of all
jobs of that hour, and a claim from the head walks over each.

So a claim remembers, per queue and priority, the position where it ended: its mark. While
there is little to do and claims from the head are quick nothing else is done, because they
see everything. After one that found all of the many jobs that it asked for, and while they
are slow, claims look behind the marks only, and a claim from the head, a sweep, is made now
and then: so seldom that sweeps take at most a tenth of the time. A job whose transaction
committed late sits before the mark, be it one that was stored or one that became available;
its notification says where, and the mark goes back. What else sits before a mark waits for the
next sweep: a job that was given back, one of which no notification told, and one so far back
that the claim would be slow again.

Claims of some names have marks of their own: behind the jobs that they passed by.
"""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from asyncjobs.storage.postgres.marks import Marks
from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT, transaction
from asyncjobs.types import ClaimedJob, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.storage.postgres.lanes import Lane
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import Names

SLOW = 0.0015
SLOW_ROW = 0.000_015
"""Seconds that a claim from the head may take beyond a round trip, for itself and for each
row it returns."""
ROUND_TRIPS = 3
"""Tries to find out what a round trip takes; the quickest counts."""
SLOW_RUN = 5
"""Claims that must be slow in a row: one alone may have waited for a processor."""
MANY = 100
"""Jobs that a claim asked for and found: there is more, and it is worth to leave out the head."""
FEW_MARKS = 8
"""With more, a claim behind marks may read more than one from a head that is not slow."""
SHARE = 10
"""A sweep is made when this many times its duration has passed since the last."""
MAX_WAIT = 2.0
"""Seconds after which it is made in any case: jobs that were rescued wait for it."""
SECOND_LOOK = 0.02
"""Seconds until a claim that met another worker's at the heads is made again."""
BY_URGENCY = attrgetter("priority", "position")


class Search:
    """Where to look for jobs: for all, or for those of some *names* only."""

    def __init__(
        self,
        lane: Lane,
        statements: Statements,
        on_signal: Callable[[Signal], None],
        *,
        take_turns: bool,
        names: Names | None,
    ) -> None:
        self._lane, self._sql, self._on_signal = lane, statements, on_signal
        self._take_turns = take_turns
        self._names = () if names is None else (list(names.listed), names.inside)
        self.marks = Marks()
        self._sweeps: dict[tuple[str, ...], float] = {}
        """When claims of these queues may look from the head again; absent while that is quick."""
        self._round_trip = math.inf
        self._slow_run = 0
        self._reminders: dict[tuple[str, ...], asyncio.TimerHandle] = {}

    async def claim(self, worker: int, queues: Sequence[str], limit: int) -> list[ClaimedJob]:
        """Claim from the head, or behind the marks while that is slow."""
        key = tuple(queues)
        told = self.marks.begin()
        try:
            if time.monotonic() >= self._sweeps.get(key, 0.0):
                rows = await self._claim_from_head(worker, key, limit)
            else:
                rows = await self._claim_behind_marks(worker, key, limit)
            rows.sort(key=BY_URGENCY)
            self.marks.learn(rows, told, exhausted=len(rows) < limit)
        finally:
            self.marks.end(told)
        return rows

    async def _claim_from_head(
        self, worker: int, queues: tuple[str, ...], limit: int
    ) -> list[ClaimedJob]:
        single = len(queues) == 1 and not self._names
        several = self._sql.claim_by_name if self._names else self._sql.claim_jobs
        statement = self._sql.claim_queue if single else several
        wanted = queues[0] if single else list(queues)
        if self._round_trip == math.inf:
            self._round_trip = await self._measured()
        rows = await self._fetch(statement, worker, wanted, limit, *self._names)
        took = self._lane.took
        jobs = [ClaimedJob(*row) for row in rows] if single else self._reached(queues, rows, limit)
        self._judge(queues, took, len(jobs), limit)
        return jobs

    def _reached(
        self, queues: tuple[str, ...], rows: Sequence[Any], limit: int
    ) -> list[ClaimedJob]:
        # The heads were full, but another worker had them: what is behind was not looked at.
        jobs = [ClaimedJob(*columns) for _, *columns in rows if columns[0] is not None]
        if len(jobs) < limit <= rows[0]["seen"]:
            self._remind(queues, SECOND_LOOK)
        return jobs

    def _judge(self, queues: tuple[str, ...], took: float, rows: int, limit: int) -> None:
        is_slow = took - self._round_trip > SLOW + SLOW_ROW * rows
        self._slow_run = self._slow_run + 1 if is_slow else 0
        run = 1 if self._names else SLOW_RUN  # that one passed by others, which stay
        if self._slow_run < run and not self._is_bulk(queues, rows, limit):
            self._sweeps.pop(queues, None)
        else:
            self._sweeps[queues] = time.monotonic() + min(SHARE * took, MAX_WAIT)

    def _is_bulk(self, queues: tuple[str, ...], rows: int, limit: int) -> bool:
        return MANY <= limit <= rows and self.marks.count(queues) <= FEW_MARKS

    async def _claim_behind_marks(
        self, worker: int, queues: tuple[str, ...], limit: int
    ) -> list[ClaimedJob]:
        statement = self._sql.claim_after_by_name if self._names else self._sql.claim_after
        values = (*self.marks.columns(queues), limit, *self._names)
        rows = await self._fetch(statement, worker, *values)
        if len(rows) < limit:  # there may be more before the marks
            self._remind(queues, self._sweeps.get(queues, 0.0) - time.monotonic())
        return [ClaimedJob(*row) for row in rows]

    async def _measured(self) -> float:
        # Not by claims: one's first may be slow already, and what it takes no measure.
        quickest = math.inf
        for _ in range(ROUND_TRIPS):
            await self._lane.fetch(self._sql.measure_round_trip)
            quickest = min(quickest, self._lane.took)
        return quickest

    async def _fetch(self, statement: str, *args: Any) -> Sequence[Any]:
        if not self._take_turns:
            return await self._lane.fetch(statement, *args)
        async with self._lane.connection() as connection, transaction(connection):
            await connection.fetch(self._sql.await_turn, timeout=HOT_TIMEOUT)
            return await connection.fetch(statement, *args, timeout=HOT_TIMEOUT)

    def _remind(self, queues: tuple[str, ...], delay: float) -> None:
        # Let the workers ask again, once, when it is time.
        if queues not in self._reminders:
            loop = asyncio.get_running_loop()
            self._reminders[queues] = loop.call_later(max(delay, 0), self._wake, queues)

    def _wake(self, queues: tuple[str, ...]) -> None:
        del self._reminders[queues]
        self._on_signal(Signal(ready=frozenset(queues)))

    def close(self) -> None:
        """Forget the reminders."""
        for reminder in self._reminders.values():
            reminder.cancel()
        self._reminders.clear()


class Claims:
    """The claims of one adapter, for all its workers in this process."""

    def __init__(
        self,
        lane: Lane,
        statements: Statements,
        on_signal: Callable[[Signal], None],
        *,
        take_turns: bool = False,
    ) -> None:
        self._search_for = partial(Search, lane, statements, on_signal, take_turns=take_turns)
        self._searches: dict[Names | None, Search] = {None: self._search_for(names=None)}

    async def claim(
        self, worker: int, queues: Sequence[str], limit: int, names: Names | None = None
    ) -> list[ClaimedJob]:
        """Claim the most urgent; see `Storage.claim`."""
        search = self._searches.get(names)
        if search is None:
            search = self._searches[names] = self._search_for(names=names)
        return await search.claim(worker, queues, limit)

    def expect(self, queues: frozenset[str], priority: int, first: int) -> None:
        """Look at *priority* in *queues* too: a notification told of it.

        *first* is the position of the first job; 0 if that was not told.
        """
        for search in self._searches.values():
            search.marks.expect(queues, priority)
            if first:
                search.marks.go_back(queues, first)

    def close(self) -> None:
        """Forget the reminders."""
        for search in self._searches.values():
            search.close()
