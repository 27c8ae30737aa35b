"""What is known of each job, and what must hold of it, line by line as the jobs write it.

Whoever stores calls notes what was acknowledged and what was promised with it: not before when,
how often it fails, whether it is cancelled. Whoever kills a worker notes what that held. Against
both, every line of the record is judged at once:

- exclusion: no attempt begins before the last one has ended, or its process was killed;
- counting: an attempt has the number that the failures and the losses before it explain;
- delays: no attempt begins before its time, be that of the call or of the retry;
- limits: never more in a lane at once than it admits, and none overtakes where order is strict;
- schedules: each tick has one job, which does not begin before it;

and at the end completeness: every call that was acknowledged has ended, every tick has run.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from record import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND = 1_000_000_000
"""In nanoseconds, as all moments here: of the monotonic clock, but for ticks."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOLERANCE = SECOND // 200
"""How far the monotonic clock and the database's may drift apart within a delay."""
UNDONE_WITHIN = 60.0
"""Seconds after its last line within which a job may turn out not to have ended."""


def in_milliseconds(moment: datetime) -> int:
    """Return *moment* as ticks are told: in milliseconds since 1970."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


Place = tuple[int, int]
"""An attempt: its number, and the process that had it."""


@dataclass
class Life:
    """What is known of a job that has not ended for certain."""

    stored_at: int
    not_before: int = 0
    backoff: float = 0.0
    """Seconds from a failure to the next attempt."""
    attempts: int | None = None
    """After how many it is failed; None if it succeeds before."""
    may_be_cancelled: bool = False
    begin: int | None = None
    pid: int = 0
    lanes: tuple[str, ...] = ()
    failed: set[Place] = field(default_factory=set)
    lost: set[Place] = field(default_factory=set)
    """An attempt may be in both: its process was killed before the failure was stored."""
    ended: set[Place] = field(default_factory=set)
    """Successes, which a kill may have undone likewise."""
    rested: tuple[Place, int] | None = None
    """The last failure, and until when it is to rest after that."""

    @property
    def expected_attempt(self) -> int:
        """Which attempt the next one is."""
        return 1 + len(self.failed - self.lost) + len(self.lost) - (len(self.lost) >= 2)

    @property
    def is_over(self) -> bool:
        """Whether the job has come to its end, as far as is known."""
        is_hopeless = self.attempts is not None and self.expected_attempt > self.attempts
        return bool(self.ended - self.lost) or is_hopeless

    @property
    def due(self) -> int:
        """Before when no attempt may begin."""
        if self.rested is None or self.rested[0] in self.lost:
            return self.not_before
        return max(self.not_before, self.rested[1])


@dataclass
class Books:
    """All lives, and what was found wrong."""

    deaths: Mapping[int, int]
    """When processes were killed."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """How many each lane admits at once; of lanes without a limit nothing is judged."""
    lives: dict[int, Life] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    latencies: array[float] = field(default_factory=lambda: array("f"))
    """Seconds from the call to the first attempt, of jobs that were due at once."""
    delays: array[float] = field(default_factory=lambda: array("f"))
    """Seconds from the earliest moment to the first attempt, of those that were not."""
    ticks: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """By schedule, the job of each tick."""
    in_lanes: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """By lane, what runs there and in which process."""
    turns: dict[str, int] = field(default_factory=dict)
    """By lane of strict order, the turn of its last attempt."""
    runs_in_lanes: Counter[str] = field(default_factory=Counter)
    most_in_lanes: Counter[str] = field(default_factory=Counter)
    failed_attempts: int = 0
    over: deque[tuple[float, int]] = field(default_factory=deque)
    """Jobs that have ended, and when; forgotten when no kill can undo that any more."""
    unknown: dict[int, list[Line | Place]] = field(default_factory=dict)
    """Of jobs whose call has not returned yet: lines and losses, as they came."""

    def stored(self, job: int, life: Life) -> None:
        """Note a call that was acknowledged."""
        self.lives[job] = life
        for event in self.unknown.pop(job, ()):
            if isinstance(event, Line):
                self._judge(event)
            else:
                life.lost.add(event)

    def lose(self, job: int, attempt: int, pid: int) -> None:
        """Note that *pid*, whose lines have all been taken, was killed while it held *job*."""
        if job in self.lives:
            self.lives[job].lost.add((attempt, pid))
        else:
            self.unknown.setdefault(job, []).append((attempt, pid))

    def take(self, line: Line) -> None:
        """Judge a line of the record."""
        if "schedule" in line.facts:
            self._tick(line)
        if line.job in self.lives:
            self._judge(line)
        else:
            self.unknown.setdefault(line.job, []).append(line)

    def forget(self) -> None:
        """Let go of what ended some time ago, and has not begun again."""
        while self.over and self.over[0][0] < time.monotonic() - UNDONE_WITHIN:
            _, job = self.over.popleft()
            if job in self.lives and self.lives[job].is_over:
                del self.lives[job]

    def expect_ticks(self, schedule: str, first: int, last: int, period: int) -> None:
        """Judge which ticks have run: all from *first* to *last*, and no others."""
        expected, ran = set(range(first, last + 1, period)), self.ticks[schedule].keys()
        for what, ticks in (("never ran", expected - ran), ("should not run", ran - expected)):
            if ticks:
                self.wrong.append(f"{len(ticks)} ticks of {schedule} {what}: {sorted(ticks)[:5]}")

    def close(self) -> None:
        """Judge what has not ended although all is over."""
        lives = self.lives.items()
        left = [job for job, life in lives if not life.is_over and not life.may_be_cancelled]
        if left:
            self.wrong.append(f"{len(left)} calls never ended: {left[:10]}")
        if self.unknown:
            self.wrong.append(f"jobs that nobody stored ran: {[*self.unknown][:10]}")

    def _tick(self, line: Line) -> None:
        schedule, tick = line.facts["schedule"], int(line.facts["tick"])
        if (late := int(line.facts["late"])) < 0:
            self.wrong.append(f"job {line.job} begins {-late} ns before tick {tick} of {schedule}")
        known = self.ticks[schedule]
        if tick not in known:
            known[tick] = line.job
            self.stored(line.job, Life(line.at))
        elif known[tick] != line.job:
            self.wrong.append(f"tick {tick} of {schedule} has jobs {known[tick]} and {line.job}")

    def _judge(self, line: Line) -> None:
        life = self.lives[line.job]
        place = line.attempt, line.pid
        if line.kind == "begin":
            self._begin(line, life)
            return
        life.begin = None
        for lane in life.lanes:
            self.in_lanes[lane].pop(line.job, None)
        if line.kind == "failed":
            life.failed.add(place)
            life.rested = place, line.at + int(life.backoff * SECOND) - TOLERANCE
            self.failed_attempts += 1
        elif line.kind == "succeeded" or life.may_be_cancelled:
            life.ended.add(place)
        if life.is_over:
            self.over.append((time.monotonic(), line.job))

    def _begin(self, line: Line, life: Life) -> None:
        job, attempt, pid, at = line.job, line.attempt, line.pid, line.at
        if life.begin is not None and not self._is_dead(life.pid, at):
            self.wrong.append(f"job {job} runs in {pid} while it runs in {life.pid}")
        if life.is_over or attempt != life.expected_attempt:
            self.wrong.append(f"job {job}: attempt {attempt} in {pid} after {life}")
        if at < life.due:
            self.wrong.append(f"job {job} begins {life.due - at} ns early in {pid}: {life}")
        if not life.failed and not life.lost and not line.facts:
            waits = self.delays if life.not_before else self.latencies
            waits.append((at - max(life.stored_at, life.not_before)) / SECOND)
        life.begin, life.pid = at, pid
        life.lanes = tuple(filter(None, line.facts.get("lanes", "").split(",")))
        for lane in life.lanes:
            self._enter(lane, line)
            if "turn" in line.facts:
                self._take_turn(lane, int(line.facts["turn"]))

    def _enter(self, lane: str, line: Line) -> None:
        inside = self.in_lanes[lane]
        for job, pid in [*inside.items()]:
            if self._is_dead(pid, line.at):
                del inside[job]
        inside[line.job] = line.pid
        self.runs_in_lanes[lane] += 1
        self.most_in_lanes[lane] = max(self.most_in_lanes[lane], len(inside))
        kind = lane.partition(":")[0]  # those of each process have one limit
        if len(inside) > self.limits.get(lane, self.limits.get(kind, len(inside))):
            self.wrong.append(f"{len(inside)} run in {lane} at once: {sorted(inside)}")

    def _take_turn(self, lane: str, turn: int) -> None:
        last = self.turns.get(lane, turn)
        if turn < last:
            self.wrong.append(f"turn {turn} of {lane} begins after turn {last}")
        self.turns[lane] = turn

    def _is_dead(self, pid: int, at: int) -> bool:
        return self.deaths.get(pid, at + 1) <= at
