"""The lanes of MemoryAdapter: who waits for whom, and what is paused."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from asyncjobs.types import Admission, JobState, KnownLimit, Limit, Pause, Signal, as_pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from asyncjobs.storage.memory_rows import Row

LEAST = 0.001
"""Seconds."""


@dataclass(slots=True)
class Lane:
    """What is known of a lane beside its line."""

    used_at: datetime
    paused_at: datetime | None = None
    full_at: datetime | None = None


class MemoryLimits:
    """Keep the lines; see `LimitStorage`.

    *rows* gives all rows, *settle* moves one that was let in, or put back, to a state, and
    *tell* sends a signal.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        rows: Callable[[], Iterable[Row]],
        settle: Callable[[Row, JobState], None],
        tell: Callable[[Signal], None],
    ) -> None:
        self._clock, self._all_rows, self._settle = clock, rows, settle
        self._tell = tell
        self._limits: dict[str, KnownLimit] = {}
        self._overridden: dict[str, Limit] = {}
        """What was declared before somebody changed it."""
        self._lanes: dict[str, Lane] = {}
        self._lines: dict[str, list[tuple[int, int, Row]]] = defaultdict(list)
        self._let_in: dict[str, dict[int, Row]] = defaultdict(dict)
        """Rows that were let in; those that let go of the lane since are dropped at a count."""

    def clear(self) -> None:
        """Forget all rows."""
        self._lines.clear()
        self._let_in.clear()

    def add(self, row: Row) -> None:
        """Put *row*, which waits, into the line of its lane."""
        heapq.heappush(self._lines[row.waits_in or ""], (row.job.priority, row.id, row))

    async def declare(self, limits: Sequence[Limit]) -> None:
        """Say what code says that holds from now on."""
        for limit in limits:
            if self._overridden.get(limit.name) != limit:
                self._overridden.pop(limit.name, None)
                self._write(limit)

    async def change(self, limit: Limit) -> None:
        """Say what holds until another limit of this name is declared."""
        if limit.name in self._limits:
            self._overridden.setdefault(limit.name, self._limits[limit.name].limit)
        self._write(limit)

    def _write(self, limit: Limit) -> None:
        if limit.name not in self._limits or self._limits[limit.name].limit != limit:
            self._limits[limit.name] = KnownLimit(limit, self._clock())
            self._bring_back(limit)

    def _bring_back(self, limit: Limit) -> None:
        # By a rate no lane is ahead by more than a burst; one that is was used by another rate.
        if limit.burst is None or limit.gap is None:
            return
        most = self._clock() + timedelta(seconds=limit.burst * limit.gap)
        own = {row.lane for row in self._all_rows() if row.waits_in and _rule(row) == limit.name}
        for name in own | {limit.name}:
            lane = self._lanes.get(name or "")
            if lane is not None and lane.full_at is not None:
                lane.full_at = min(lane.full_at, most)

    async def known(self, limit: int = 1_000) -> list[KnownLimit]:
        """Return the limits that hold."""
        return [known for _, known in sorted(self._limits.items())][:limit]

    async def admit(self, lanes: Sequence[str], most: int) -> Admission:
        """Let the first jobs of *lanes* in."""
        let_in: list[Row] = []
        again: list[str] = []
        later: dict[str, float] = {}
        for lane in dict.fromkeys(lanes):
            rows, wait = self._admit(lane, most)
            let_in += rows
            again += [lane] if rows and (len(rows) == most or self._is_mixed(lane, rows)) else []
            later |= {} if wait is None else {lane: wait}
        for row in let_in:
            row.waits_in = next_lane(row)
            self._settle(row, JobState.WAITING if row.waits_in else JobState.AVAILABLE)
        ready = [row for row in let_in if row.state is JobState.AVAILABLE]
        again += [row.waits_in for row in let_in if row.waits_in]
        queues = tuple(sorted({row.job.queue for row in ready}))
        if ready:
            self._tell(Signal(frozenset(queues), min(row.job.priority for row in ready)))
        return Admission(len(ready), queues, tuple(dict.fromkeys(again)), later)

    async def waiting(self, after: str, limit: int) -> list[str]:
        """Return lanes in which jobs wait."""
        names = sorted(lane for lane in list(self._lines) if lane > after and self._first(lane))
        return names[:limit]

    async def forget(self, unused: float) -> list[str]:
        """Forget lanes that nobody used for long."""
        now = self._clock()
        old = now - timedelta(seconds=unused)
        names = [
            name
            for name, lane in self._lanes.items()
            if lane.paused_at is None
            and lane.used_at < old
            and (lane.full_at is None or lane.full_at < now)
        ]
        for name in names:
            del self._lanes[name]
        return names

    async def pause(self, lane: str) -> bool:
        """Pause a lane, and put back what does not run."""
        known = self._lanes.setdefault(lane, Lane(self._clock()))
        changed, known.paused_at = known.paused_at is None, known.paused_at or self._clock()
        for row in list(self._to_put_back(lane)):
            row.waits_in = lane
            self._settle(row, JobState.WAITING)
        if changed:
            self._tell(Signal(pauses=True))
        return changed

    async def resume(self, lane: str) -> bool:
        """End a pause."""
        known = self._lanes.get(lane)
        if known is None or known.paused_at is None:
            return False
        known.paused_at, known.used_at = None, self._clock()
        self._tell(Signal(pauses=True, lanes=(lane,)))
        return True

    async def pauses(self) -> list[Pause]:
        """Return what is paused."""
        return [
            as_pause(name, lane.paused_at)
            for name, lane in sorted(self._lanes.items())
            if lane.paused_at is not None
        ]

    async def park(self, worker: int, jobs: Sequence[tuple[int, int, str]]) -> list[int]:
        """Put jobs that were just claimed into a line."""
        rows = {row.id: row for row in self._all_rows()}
        parked = []
        for job, attempt, lane in jobs:
            row = rows.get(job)
            if row is not None and (row.worker, row.attempt) == (worker, attempt):
                row.attempt -= 1
                row.waits_in = lane
                self._settle(row, JobState.WAITING)
                parked.append(job)
        return parked

    def _admit(self, lane: str, most: int) -> tuple[list[Row], float | None]:
        # Returns those that are let in, and the seconds until the rate allows the next.
        first, known = self._first(lane), self._lanes.get(lane)
        if first is None or (known is not None and known.paused_at is not None):
            return [], None
        limit = self._limit_for(first)
        held = self._count(lane)
        starts = math.inf
        if limit.burst is not None and limit.gap is not None:
            now = self._clock()
            known = self._lanes.setdefault(lane, Lane(now))
            unstarted = sum(row.state is JobState.AVAILABLE for row in self._let_in[lane].values())
            known.full_at = max(
                known.full_at or now,
                now + timedelta(seconds=min(unstarted, limit.burst) * limit.gap),
            )
            starts = math.floor(limit.burst - (known.full_at - now).total_seconds() / limit.gap)
        rows = self._take(lane, int(min(most, max(starts, 0))), held)
        self._let_in[lane] |= {row.id: row for row in rows}
        if rows:
            known = self._lanes.setdefault(lane, Lane(self._clock()))
            known.used_at = self._clock()
        if known is None or known.full_at is None or limit.gap is None or limit.burst is None:
            return rows, None
        known.full_at += timedelta(seconds=len(rows) * limit.gap)
        if starts - len(rows) >= 1:
            return rows, None
        wait = self._seconds_until(known.full_at) + (1 - limit.burst) * limit.gap
        return rows, max(wait, LEAST)

    def _take(self, lane: str, most: int, held: int) -> list[Row]:
        taken: list[Row] = []
        ids: set[int] = set()
        while len(taken) < most and (row := self._first(lane)) is not None:
            if taken and self._is_mixed(lane, taken):
                break
            concurrency = self._limit_for(row).concurrency
            if concurrency is not None and held + len(taken) >= concurrency:
                break
            heapq.heappop(self._lines[lane])
            if row.id not in ids:  # one that left the line and came back stands there twice
                ids.add(row.id)
                taken.append(row)
        return taken

    def _is_mixed(self, lane: str, taken: Sequence[Row]) -> bool:
        # Whether the next has another rate, which counts only once he is the first.
        row = self._first(lane)
        return row is not None and self._limit_for(row)[2:] != self._limit_for(taken[0])[2:]

    def _first(self, lane: str) -> Row | None:
        line = self._lines.get(lane)
        while line:
            row = line[0][-1]
            if row.state is JobState.WAITING and row.waits_in == lane and row.stored:
                return row
            heapq.heappop(line)
        self._lines.pop(lane, None)
        return None

    def _count(self, lane: str) -> int:
        held = {number: row for number, row in self._let_in[lane].items() if holds(row, lane)}
        self._let_in[lane] = held
        return len(held)

    def _limit_for(self, row: Row) -> Limit:
        rule = _rule(row) if row.waits_in == row.lane else row.waits_in or ""
        if row.waits_in not in {row.lane, row.queue_lane}:
            return Limit(rule)
        known = self._limits.get(rule)
        return Limit(rule) if known is None else known.limit

    def _to_put_back(self, lane: str) -> Iterator[Row]:
        kind, _, name = lane.partition(":")
        movable = {JobState.AVAILABLE, JobState.WAITING}
        if kind == "job":
            for row in self._all_rows():
                if row.job.name == name and row.state in movable and row.waits_in != lane:
                    yield row
        elif kind == "key":
            for row in self._let_in[lane].values():
                if row.state in movable and holds(row, lane):
                    yield row

    def _seconds_until(self, moment: datetime) -> float:
        return max(0.0, (moment - self._clock()).total_seconds())


def _rule(row: Row) -> str:
    return f"job:{row.job.name}"


def next_lane(row: Row) -> str | None:
    """Return the lane behind the one that *row* was let in by; None if it may run."""
    if row.waits_in == row.queue_lane:
        return None
    if row.waits_in == row.lane:
        return row.queue_lane
    return row.lane or row.queue_lane


def holds(row: Row, lane: str) -> bool:
    """Return whether *row* takes one of the places of *lane*."""
    if not row.stored:
        return False
    if row.state in {JobState.AVAILABLE, JobState.RUNNING}:
        return lane in {row.lane, row.queue_lane}
    if lane != row.lane:
        return False
    if row.state is JobState.WAITING:
        return row.waits_in == row.queue_lane
    return row.state is JobState.SCHEDULED and row.lane_kept
