"""How fast jobs start, and so how many may be claimed ahead."""

from __future__ import annotations

import time

AHEAD, MOST_SECONDS = 0.05, 0.2
"""Seconds of work to hold in the buffer: at least and at most. Long enough to hide a claim,
short enough that what is claimed ahead starts soon."""
FEW = 5
"""Jobs held at least before it is more because of slow claims: few that take long can wait."""
CLAIMS = 3
"""Claims in whose time what is held may start: they are made when half of it is left."""
MOST_AHEAD = 1_000
WINDOW = 0.1
"""Seconds over which starts are counted."""


class Pace:
    """Counts starts in short windows."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._count = 0
        self._since = time.monotonic()

    def started(self, jobs: int = 1) -> None:
        """Note that jobs started."""
        self._count += jobs

    def ahead(self, claim: float) -> int:
        """Return how many jobs to hold that will start soon at this pace.

        *claim* is the seconds that one takes.
        """
        elapsed = time.monotonic() - self._since
        if elapsed >= WINDOW:
            # A second's idleness forgets the past; a burst counts from its first window.
            recent = self._count / elapsed
            self._rate = recent if elapsed >= 1 else (self._rate + recent) / 2
            self._count, self._since = 0, time.monotonic()
        elif self._count:
            self._rate = max(self._rate, self._count / WINDOW)
        held = self._rate * AHEAD
        if held >= FEW:
            held = self._rate * min(max(CLAIMS * claim, AHEAD), MOST_SECONDS)
        return min(int(held), MOST_AHEAD)
