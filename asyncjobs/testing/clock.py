"""A clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from asyncjobs.clock import seconds


class MovableClock:
    """Tells a time that stands still until it is moved; from now, if no *start* is given.

    It is what `MemoryAdapter(clock=…)` takes. Raises ValueError for a naive *start*.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.utcoffset() is None:
            raise ValueError(f"the clock needs a time zone, got the naive {start.isoformat()}")
        self.now = datetime.now(UTC) if start is None else start

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def move(self, by: float | timedelta) -> datetime:
        """Move the time *by* seconds or a timedelta, and return it."""
        self.now += timedelta(seconds=seconds(by))
        return self.now

    def move_to(self, moment: datetime) -> datetime:
        """Move the time to *moment*, unless that has passed, and return it."""
        self.now = max(self.now, moment)
        return self.now
