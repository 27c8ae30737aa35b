"""How many jobs to claim: the free slots, and ahead of them what will start soon.

Soon is within a few hundredths of a second at the present pace (see `pace`). Jobs claimed
ahead that do not start soon, because long jobs came between, are given back for others to run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from asyncjobs.worker.pace import Pace

if TYPE_CHECKING:
    from asyncjobs.worker.backlog import Kind
    from asyncjobs.worker.executor import Executor

MAX_CLAIM = 1_000
STALE = 0.5
"""Seconds without a start after which what waits is given back."""
PAUSE = 0.2
"""Seconds without a start after which nothing is claimed ahead."""


class Supply:
    """What one worker claims of one *kind*; without it, of all kinds that have no own supply."""

    def __init__(self, executor: Executor, kind: Kind | None = None) -> None:
        self._executor, self.kind = executor, kind
        self._pace, self._took = Pace(), 0.0
        self._counted = self._started
        self.may_be_more = True
        self.is_dry = False
        """Whether the last look found less than it asked for."""

    @property
    def room(self) -> int:
        """How many to claim now."""
        executor, waiting = self._executor, self._waiting
        started = self._started
        self._pace.started(started - self._counted)
        self._counted = started
        free = executor.free if self.kind is None else min(executor.free, self.kind.free)
        ahead = self.ahead
        if waiting and waiting >= ahead / 2:
            return 0
        if not free and waiting >= ahead:
            return 0
        return min(free + ahead - waiting, MAX_CLAIM)

    @property
    def ahead(self) -> int:
        """How many to hold that will start soon."""
        ahead = self._pace.ahead(self._took)
        return 0 if time.monotonic() - self._last_start > PAUSE else ahead

    @property
    def is_stale(self) -> bool:
        """Whether something waits, and nothing started for long."""
        return bool(self._waiting) and time.monotonic() - self._last_start > STALE

    def note(self, asked: int, found: int, took: float) -> None:
        """Note what came of a claim, and the seconds that it took."""
        self._took = took
        self.is_dry = found < asked
        if not self.is_dry:
            self.may_be_more = True

    @property
    def _waiting(self) -> int:
        backlog = self._executor.backlog
        return len(backlog.rows if self.kind is None else self.kind.aside)

    @property
    def _started(self) -> int:
        return self._executor.plain_starts if self.kind is None else self.kind.started

    @property
    def _last_start(self) -> float:
        return self._executor.last_start if self.kind is None else self.kind.last_start
