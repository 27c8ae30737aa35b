"""The keys of unique jobs in memory: which are taken, by which job, and until when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from asyncjobs.errors import JobExistsError
from asyncjobs.types import JobState, StoredJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from asyncjobs.storage.memory_rows import Row
    from asyncjobs.types import NewJob, Unique


class Taken(NamedTuple):
    """A key that is taken for a time."""

    job: int
    stored_at: datetime
    expires_at: datetime


class Keys:
    """The keys of the jobs in *rows*."""

    def __init__(self, rows: Mapping[int, Row]) -> None:
        self._rows = rows
        self._jobs: dict[str, int] = {}
        self._periods: dict[str, Taken] = {}

    def holder(self, key: str) -> Row | None:
        """Return the job that keeps others of this *key* out."""
        row = self._rows.get(self._jobs.get(key, 0))
        if row is None or row.unique is None or row.unique.key != key:
            return None
        return row if row.has_key else None

    def rival(self, row: Row, key: str | None) -> Row | None:
        """Return another job that keeps *row* from being available, with *key* or its own."""
        if not row.has_key_in(JobState.AVAILABLE):
            return None
        holder = self.holder(key or (row.unique.key if row.unique else ""))
        return None if holder is row else holder

    def take(self, row: Row) -> None:
        """Note the key of *row*, if that keeps others out now."""
        if (unique := row.unique) is not None and row.has_key:
            self._jobs[unique.key] = row.id

    def take_for(self, row: Row, now: datetime, unique: Unique) -> None:
        """Note that *row*, which is stored *now*, keeps others out for its period."""
        if unique.period is not None:
            ends = now + timedelta(seconds=unique.period)
            self._periods[unique.key] = Taken(row.id, now, ends)

    def found(self, unique: Unique, now: datetime) -> StoredJob | None:
        """Return the job for which one with *unique* is refused; None if it may be stored."""
        row = self.holder(unique.key)
        taken = self._periods.get(unique.key) if unique.period is not None else None
        if row is None and taken is not None:
            if taken.expires_at <= now:
                del self._periods[unique.key]
                return None
            row = self._rows.get(taken.job)
            if row is None:
                return StoredJob(taken.job, "succeeded", taken.stored_at, is_new=False)
        return None if row is None else existing(row)

    def check(self, jobs: Sequence[NewJob], now: datetime) -> None:
        """Raise JobExistsError if one of *jobs* is not to be stored beside what there is."""
        seen: set[str] = set()
        for job in jobs:
            unique = None if job.extras is None else job.extras.unique
            if unique is None:
                continue
            if unique.on_conflict == "raise":
                if unique.key in seen:
                    raise JobExistsError(job.name, None)
                if (other := self.found(unique, now)) is not None:
                    raise JobExistsError(job.name, other.id)
            seen.add(unique.key)

    def prune(self, now: datetime, limit: int) -> int:
        """Forget up to *limit* keys whose period is over, and return how many."""
        over = [key for key, taken in self._periods.items() if taken.expires_at <= now][:limit]
        for key in over:
            del self._periods[key]
        return len(over)

    def clear(self) -> None:
        """Forget all keys."""
        self._jobs.clear()
        self._periods.clear()


def existing(row: Row) -> StoredJob:
    """Return *row* as the answer to whoever wanted to store an equal one."""
    job = row.job
    return StoredJob(row.id, row.state.value, row.run_at, False, job.queue, job.priority)
