"""Where claims ended: see `claims`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from asyncjobs.types import ALL_QUEUES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from asyncjobs.types import ClaimedJob

Told: TypeAlias = dict[str, int]
"""The first position that was told of in each queue while a claim was under way."""

FAR = 10_000
"""Positions that a mark goes back at most: so many entries cost a claim a few ms."""
MAX_MARKS = 64
"""Queues and priorities with a mark; the ones longest without a job go first."""


class Marks:
    """Where claims ended, by queue and priority."""

    def __init__(self) -> None:
        self._positions: dict[tuple[str, int], int] = {}
        self._under_way: list[Told] = []

    def begin(self) -> Told:
        """Note that a claim begins, which sees all that was told of so far.

        What is told of until its `end` is put into what this returns.
        """
        told: Told = {}
        self._under_way.append(told)
        return told

    def end(self, told: Told) -> None:
        """Note that the claim has ended to which `begin` gave *told*."""
        self._under_way = [other for other in self._under_way if other is not told]

    def learn(self, rows: Sequence[ClaimedJob], told: Told, *, exhausted: bool) -> None:
        """Set the marks to the last of *rows*, which are in order, and before what was *told*.

        *exhausted* says that there was nothing else: then no mark goes back.
        """
        latest = {(row.queue, row.priority): row.position for row in rows}
        for key, position in latest.items():
            before = self._positions.pop(key, -1)  # the last that had a job stands last
            self._positions[key] = max(before, position) if exhausted else position
        while len(self._positions) > MAX_MARKS:
            del self._positions[next(iter(self._positions))]
        for queue, first in told.items():  # perhaps after the claim had looked
            self._lower(queue, first - 1)

    def expect(self, queues: frozenset[str], priority: int) -> None:
        """Look at *priority* in *queues* too, from its head if it was not met before."""
        for queue in self._named(queues):
            self._positions.setdefault((queue, priority), -1)

    def go_back(self, queues: frozenset[str], first: int) -> None:
        """Look at jobs from the position *first* on again, unless that is far back."""
        for queue in self._named(queues):
            if self._lower(queue, first - 1):
                for told in self._under_way:
                    told[queue] = min(first, told.get(queue, first))

    def _named(self, queues: frozenset[str]) -> Collection[str]:
        return [queue for queue, _ in self._positions] if ALL_QUEUES in queues else queues

    def _lower(self, queue: str, position: int) -> bool:
        # Whether it is near what is claimed now: behind some mark, or before all that there are.
        marks = [(key, mark) for key, mark in self._positions.items() if key[0] == queue]
        behind = [key for key, mark in marks if position < mark <= position + FAR]
        self._positions.update(dict.fromkeys(behind, position))
        return bool(behind) or all(mark <= position for _, mark in marks)

    def count(self, queues: Sequence[str]) -> int:
        """Return how many marks there are in *queues*."""
        return sum(queue in queues for queue, _ in self._positions)

    def columns(self, queues: Sequence[str]) -> tuple[list[str], list[int], list[int]]:
        """Return queues, priorities and positions of the marks in *queues*."""
        found = [(*key, position) for key, position in self._positions.items() if key[0] in queues]
        names, priorities, positions = zip(*found, strict=True) if found else ((), (), ())
        return list(names), list(priorities), list(positions)
