"""How fast jobs start, and so how many may be claimed ahead."""

from __future__ import annotations

import time

AHEAD = 0.05
"""Seconds of work to hold in the buffer: long enough to hide a round trip to the database,
short enough that what is claimed ahead starts soon."""
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

    def ahead(self) -> int:
        """Return how many jobs will start within the next `AHEAD` seconds at this pace."""
        elapsed = time.monotonic() - self._since
        if elapsed >= WINDOW:
            # A second's idleness forgets the past; a burst counts from its first window.
            recent = self._count / elapsed
            self._rate = recent if elapsed >= 1 else (self._rate + recent) / 2
            self._count, self._since = 0, time.monotonic()
        elif self._count:
            self._rate = max(self._rate, self._count / WINDOW)
        return min(int(self._rate * AHEAD), MOST_AHEAD)
