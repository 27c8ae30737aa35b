"""What a storage does for those who wait for jobs, and with what is kept of them.

The attribute `results` of an adapter; its rules are those of `Storage`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.types import JobStatus, Progress

LINGER = 60.0
"""Seconds that a watched job stays which would have been deleted when it ended."""


class ResultStorage(Protocol):
    """Results, progress, and rows that are kept for a time."""

    async def watch(self, ids: Sequence[int]) -> list[int]:
        """Note that somebody wants to hear of *ids*; return those that were noted now.

        Not those that have ended, that were watched before, or that cannot be changed at
        this very moment: `look` tells which. From then on listeners hear of the job's ends,
        retries and progress by signals with `changed`, and workers that hold one of the jobs
        hear a signal with `watched`.
        """
        ...

    async def look(self, ids: Sequence[int]) -> list[JobStatus]:
        """Return how it stands with those of *ids* that exist, by id."""
        ...

    async def report(self, worker: int, reports: Sequence[Progress]) -> None:
        """Store how far jobs are that *worker* holds at these attempts; ignore others."""
        ...

    async def count_expired(
        self, queues: Sequence[str], retain: float | None, most: int
    ) -> tuple[int, int]:
        """Return how many jobs `prune_retained` and `prune_ended` would remove.

        Those of each are counted up to *most*, of `prune_ended` in each queue; 0 of these
        without *retain*.
        """
        ...

    async def prune_retained(self, limit: int) -> int:
        """Remove up to *limit* ended jobs whose `retain` is over, and return how many."""
        ...

    async def prune_ended(self, queues: Sequence[str], retain: float, limit: int) -> int:
        """Remove jobs of *queues* that ended *retain* seconds ago and have no `retain`.

        At most *limit*; returns how many.
        """
        ...
