"""A count of how large values were, cheap enough for what happens all the time."""

from __future__ import annotations

from bisect import bisect_left

SIZES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Bounds for numbers of jobs."""
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds."""


class Meter:
    """How often values were at most each of *bounds*, which ascend, and how often larger."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts = bounds, [0] * (len(bounds) + 1)
        self.total = 0.0
        """All values together."""

    def add(self, value: float) -> None:
        """Count *value*."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
