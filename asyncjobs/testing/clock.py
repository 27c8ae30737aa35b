"""A clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from asyncjobs.clock import seconds


class MovableClock:
    """Tells a time that stands still until it is moved; from now, if no *start* is given.

    It is what `MemoryAdapter(clock=…)` takes. Raises ValueError for a naive *start*.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self.now = datetime.now(UTC) if start is None else _with_zone(start)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def move(self, by: float | timedelta) -> datetime:
        """Move the time *by* seconds or a timedelta, and return it.

        Raises ValueError if it is negative.
        """
        return self.move_to(self.now + timedelta(seconds=seconds(by)))

    def move_to(self, moment: datetime) -> datetime:
        """Move the time to *moment*, and return it.

        Raises ValueError if *moment* has passed, or is naive.
        """
        if _with_zone(moment) < self.now:
            raise ValueError(
                f"the clock goes on from {self.now.isoformat()}, not back to {moment.isoformat()}"
                ": give it an earlier start"
            )
        self.now = moment
        return self.now


def _with_zone(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"the clock needs a time zone, got the naive {moment.isoformat()}")
    return moment
