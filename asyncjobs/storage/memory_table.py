"""The jobs in memory: where each of them waits, who has its key, and who hears of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

from asyncjobs.storage.memory_rows import Row, due_at
from asyncjobs.storage.memory_unique import Keys, existing
from asyncjobs.storage.memory_waiting import Future, Waiting
from asyncjobs.types import JobState, NewJob, Signal, StoredJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from asyncjobs.storage.protocol import OnSignal
    from asyncjobs.types import NewLane

CHANGING = ("replace", "reschedule")
"""What an equal job may do to one that waits."""


class Table:
    """What MemoryAdapter keeps of jobs. *clock* tells the time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.rows: dict[int, Row] = {}
        self.keys = Keys(self.rows)
        self.waiting, self.future = Waiting(), Future()
        self.listeners: list[OnSignal] = []
        self.numbers = count(1)
        self.given = 0
        """How many ids jobs got."""
        self.line_up: Callable[[Row], None] = _nowhere
        """Puts a row into the line of its lane."""

    def clear(self) -> None:
        """Remove all jobs. Their ids are not given again."""
        self.rows.clear()
        self.keys.clear()
        self.waiting.clear()
        self.future.clear()

    def store(self, job: NewJob, now: datetime, touched: list[Row]) -> StoredJob:
        """Store *job*, or do to an equal one what it wants; add what changed to *touched*."""
        unique = None if job.extras is None else job.extras.unique
        if unique is None or (found := self.keys.found(unique, now)) is None:
            number = next(self.numbers)
            self.given += 1
            row = self.rows[number] = Row(number, job, number, due_at(job, now), created_at=now)
            if job.extras is not None and job.extras.retain is not None:
                row.retain = timedelta(seconds=job.extras.retain)
            if row.run_at > now:
                self.put(row, JobState.SCHEDULED)
            else:
                self.enter(row)
            if unique is not None:
                self.keys.take_for(row, now, unique)
            touched.append(row)
            return StoredJob(row.id, row.state.value, row.run_at)
        waiting = self.keys.holder(unique.key)
        if waiting is None or not waiting.waits or unique.on_conflict not in CHANGING:
            return found
        if unique.on_conflict == "replace":
            lanes = waiting.lane, waiting.queue_lane
            waiting.become(job, now)
            if lanes != (waiting.lane, waiting.queue_lane):
                waiting.state = JobState.SCHEDULED  # it has to be let in anew
        self.place(waiting, due_at(job, now))
        touched.append(waiting)
        return existing(waiting)

    def place(self, row: Row, run_at: datetime) -> None:
        """Let *row* wait for *run_at*, or for a worker; one that does keeps its place."""
        is_due = run_at <= self.clock()
        stays = is_due and row.state in {JobState.WAITING, JobState.AVAILABLE}
        if not stays:
            row.position = next(self.numbers)
        row.run_at = run_at
        if not is_due:
            self.put(row, JobState.SCHEDULED)
        elif not stays:
            row.lane_kept = False
            self.enter(row)
        elif row.state is JobState.AVAILABLE:
            self.put(row, JobState.AVAILABLE)

    def enter(self, row: Row) -> None:
        """Let *row*, which is due, wait in the line of its next lane, or for a worker."""
        row.waits_in = row.queue_lane if row.lane_kept else row.lane or row.queue_lane
        row.lane_kept = False
        self.put(row, JobState.WAITING if row.waits_in else JobState.AVAILABLE)

    def change_lane(self, row: Row, lane: NewLane) -> None:
        """Give *row* another lane, which has to let it in even if the one before did already.

        One that is paused goes on to wait where it does.
        """
        own_line = row.waits_in is not None and row.waits_in == row.lane
        is_parked = not own_line and row.waits_in not in {None, row.queue_lane}
        row.become_of(lane)
        is_there = row.state in {JobState.WAITING, JobState.AVAILABLE}
        if is_there and not is_parked and (own_line or lane.name is not None):
            row.position = next(self.numbers)
            self.enter(row)

    def drop(self, row: Row) -> None:
        """Remove *row*, which nobody holds, also from where it waits."""
        row.state, row.stored = JobState.CANCELLED, False
        del self.rows[row.id]

    def put(self, row: Row, state: JobState) -> None:
        """Move *row*, which nobody holds any more, to *state*; to cancelled if that was asked."""
        given_back = state in {JobState.SCHEDULED, JobState.WAITING, JobState.AVAILABLE}
        row.state = JobState.CANCELLED if given_back and row.cancel_requested else state
        row.worker = None
        self.keys.take(row)
        if row.state is JobState.WAITING:
            self.line_up(row)
            return
        row.waits_in = None
        if row.state is JobState.AVAILABLE:
            self.waiting.add(row)
        elif row.state is JobState.SCHEDULED:
            self.future.add(row)
        else:
            row.finished_at = self.clock()

    def wake(self, rows: Iterable[Row]) -> None:
        """Tell the listeners of those of *rows* that wait."""
        if signal := news_of(list(rows), self.seconds_until):
            self.tell(signal)

    def seconds_until(self, moment: datetime) -> float:
        """Return the seconds until *moment*, 0 if it has passed."""
        return max(0.0, (moment - self.clock()).total_seconds())

    def tell(self, signal: Signal) -> None:
        """Tell the listeners of *signal*."""
        for on_signal in list(self.listeners):
            on_signal(signal)


def _nowhere(row: Row) -> None:
    raise AssertionError(f"there are no lines for job {row.id}")


def news_of(rows: Sequence[Row], seconds_until: Callable[[datetime], float]) -> Signal | None:
    """Return what listeners are told of *rows* that have just come where they are."""
    ready = [row.job for row in rows if row.state is JobState.AVAILABLE]
    future = [row.run_at for row in rows if row.state is JobState.SCHEDULED]
    lanes = tuple({row.waits_in for row in rows if row.waits_in})
    if not (ready or future or lanes):
        return None
    due_in = seconds_until(min(future)) if future else None
    priority = min((job.priority for job in ready), default=0)
    return Signal(frozenset(job.queue for job in ready), priority, due_in, lanes=lanes)
