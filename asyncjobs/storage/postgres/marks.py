"""Where claims ended: see `claims`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.types import ClaimedJob

MAX_MARKS = 64
"""Queues and priorities with a mark; the ones longest without a job go first."""


class Marks:
    """Where claims ended, by queue and priority."""

    def __init__(self) -> None:
        self._positions: dict[tuple[str, int], int] = {}

    def learn(self, rows: Sequence[ClaimedJob], *, exhausted: bool) -> None:
        """Set the marks to the last of *rows*, which are in order.

        *exhausted* says that there was nothing else: then no mark goes back.
        """
        latest = {(row.queue, row.priority): row.position for row in rows}
        for key, position in latest.items():
            before = self._positions.pop(key, -1)  # the last that had a job stands last
            self._positions[key] = max(before, position) if exhausted else position
        while len(self._positions) > MAX_MARKS:
            del self._positions[next(iter(self._positions))]

    def expect(self, queues: frozenset[str], priority: int) -> None:
        """Look at *priority* in *queues* too, from its head if it was not met before."""
        for queue in queues:
            self._positions.setdefault((queue, priority), -1)

    def count(self, queues: Sequence[str]) -> int:
        """Return how many marks there are in *queues*."""
        return sum(queue in queues for queue, _ in self._positions)

    def columns(self, queues: Sequence[str]) -> tuple[list[str], list[int], list[int]]:
        """Return queues, priorities and positions of the marks in *queues*."""
        found = [(*key, position) for key, position in self._positions.items() if key[0] in queues]
        names, priorities, positions = zip(*found, strict=True) if found else ((), (), ())
        return list(names), list(priorities), list(positions)
