"""Totals that never fall while this process lives.

The database counts without waiting for the disk, so a crash of the server, or a failover, may
lose the last second. Prometheus takes a counter that fell for one that began anew, and would
add all of it once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.statistics import Tally, Total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Rising:
    """Remembers the most that was told of each queue and job name."""

    def __init__(self) -> None:
        self._most: dict[tuple[str, str], Total] = {}
        self._enqueued = 0

    def totals(self, found: Mapping[tuple[str, str], Total]) -> dict[tuple[str, str], Total]:
        """Return *found*, where nothing is less than before; unless the count began anew."""
        for key, total in found.items():
            known = self._most.get(key)
            is_same = known is not None and known.since == total.since
            tally = _most(known.tally, total.tally) if known and is_same else total.tally
            self._most[key] = Total(total.since, tally)
        return {key: self._most[key] for key in found}

    def enqueued(self, found: int) -> int:
        """Return *found*, or what it was before if that is more."""
        self._enqueued = max(self._enqueued, found)
        return self._enqueued


def _most(one: Tally, other: Tally) -> Tally:
    return Tally(
        succeeded=max(one.succeeded, other.succeeded),
        failed=max(one.failed, other.failed),
        retried=max(one.retried, other.retried),
        cancelled=max(one.cancelled, other.cancelled),
        rescued=max(one.rescued, other.rescued),
        waits=_each(one.waits, other.waits),
        runs=_each(one.runs, other.runs),
        waited=max(one.waited, other.waited),
        ran=max(one.ran, other.ran),
    )


def _each(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [max(pair) for pair in zip(one, other, strict=True)]
