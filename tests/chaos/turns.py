"""What must be true of limited jobs and of ticks, checked line by line as the jobs write."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LANE = 1_000_000
"""A place in a lane is one number: that of the lane times this, and the turn."""


@dataclass
class Lanes:
    """Who is in which lane. *widths* says how many may be at once, *deaths* who was killed when.

    In a lane of one, the turns never go back: it is a queue.
    """

    widths: Mapping[int, int]
    deaths: Mapping[int, int]
    inside: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """By lane: the jobs in it, and the processes that run them."""
    turns: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    entered: int = 0

    def enter(self, job: int, place: int, pid: int, at: int) -> None:
        """Check that *job* may be in its lane from *at* on."""
        lane, turn = divmod(place, LANE)
        inside = self.inside[lane]
        for other, holder in list(inside.items()):
            if self.deaths.get(holder, at + 1) <= at:
                del inside[other]
        inside[job] = pid
        self.entered += 1
        if len(inside) > self.widths[lane]:
            self.wrong.append(f"lane {lane} of {self.widths[lane]} holds {sorted(inside)}")
        if self.widths[lane] == 1 and turn < self.turns.get(lane, turn):
            self.wrong.append(f"lane {lane}: turn {turn} after {self.turns[lane]}")
        self.turns[lane] = turn

    def leave(self, job: int, place: int, pid: int) -> None:
        """Note that *job* is out, as far as *pid* knows."""
        inside = self.inside[place // LANE]
        if inside.get(job) == pid:
            del inside[job]


@dataclass
class Ticks:
    """Which jobs ran for which tick, in seconds, of a schedule with a tick every second."""

    runs: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def take(self, job: int, tick: int) -> None:
        """Note that *job* ran for *tick*."""
        self.runs[tick].add(job)

    def wrong(self) -> list[str]:
        """Return what is wrong, once all runs have ended."""
        if not self.runs:
            return ["no tick was run"]
        several = [
            f"tick {tick} has the runs {runs}" for tick, runs in self.runs.items() if len(runs) > 1
        ]
        missing = sorted(set(range(min(self.runs), max(self.runs))) - set(self.runs))
        return several + ([f"ticks without a run: {missing[:10]}"] if missing else [])
