"""Jobs that are not registered here, as those of newer code during a rolling deploy.

They go back uncounted, for workers that know them: one that registers is offered them at
once, and others find them again after a delay, which grows while nobody does.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncjobs.types import ClaimedJob

INTERVAL = 60.0
"""Seconds between two lines about the same name."""
FIRST_DELAY, LAST_DELAY = 2.0, 30.0
"""Seconds. The last is less than what `offer` looks ahead."""
MAX_KNOWN = 10_000
"""Names, and jobs, that are remembered; beyond that all is forgotten, which only costs lines
of log and looks at jobs."""


class UnknownNames:
    """Says which names are not known, each seldom, and how long their jobs wait."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._met: dict[str, tuple[float, int]] = {}
        """By name: when it was told of last, and how many jobs came since."""
        self._delays: dict[int, float] = {}

    def meet(self, row: ClaimedJob) -> float:
        """Tell of the name of *row*, unless that was done lately; return the job's delay."""
        now = time.monotonic()
        told, jobs = self._met.get(row.name, (-math.inf, 0))
        if now - told >= INTERVAL:
            self._log.warning(
                "job.unknown", job=row.name, id=row.id, queue=row.queue, jobs=jobs + 1
            )
            told, jobs = now, -1
        if len(self._met) > MAX_KNOWN:
            self._met.clear()
        self._met[row.name] = (told, jobs + 1)
        return self._delay(row.id)

    def _delay(self, job: int) -> float:
        if len(self._delays) > MAX_KNOWN:
            self._delays.clear()
        delay = min(2 * self._delays.get(job, FIRST_DELAY / 2), LAST_DELAY)
        self._delays[job] = delay
        return delay
