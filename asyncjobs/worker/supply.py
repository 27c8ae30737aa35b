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
PAUSE = 0.2
"""Seconds without a start after which nothing is claimed ahead."""


class Supply:
    """What one worker claims of one *kind*, or of the rest: of all that have no own supply."""

    def __init__(self, executor: Executor, kind: Kind) -> None:
        self._executor, self.kind = executor, kind
        self._pace = Pace()
        self.took = 0.0
        """Seconds that its last claim took."""
        self._counted = kind.started
        self.may_be_more = True
        self.is_dry = False
        """Whether the last look found less than it asked for."""

    @property
    def room(self) -> int:
        """How many to claim now."""
        kind, waiting = self.kind, len(self.kind.waiting)
        self._pace.started(kind.started - self._counted)
        self._counted = kind.started
        free, ahead = min(self._executor.free, kind.free), self.ahead
        if waiting and waiting >= ahead / 2:
            return 0
        if not free and waiting >= ahead:
            return 0
        return min(free + ahead - waiting, MAX_CLAIM)

    @property
    def ahead(self) -> int:
        """How many to hold that will start soon."""
        ahead = self._pace.ahead(self.took)
        return 0 if time.monotonic() - self.kind.last_start > PAUSE else ahead

    def note(self, asked: int, found: int) -> None:
        """Note what came of a claim."""
        self.is_dry = found < asked
        if not self.is_dry:
            self.may_be_more = True
