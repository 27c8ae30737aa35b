"""What happened to stored jobs, as it can be read off their rows.

A row tells when its job was stored, each attempt that failed, since when it runs, and how it
ended. A job that succeeded and is not kept has no row any more: nothing tells of it but the
counts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.glance.stored import error_records_of, moment_of
from asyncjobs.types import FINAL, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncjobs.filters import JobFilter
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import JobRecord

LOOKED_AT = 200
"""Jobs of each kind that one look sees."""
KNOWN = 100_000
"""Happenings that are remembered, so that none is told twice."""


class Happening(NamedTuple):
    """Something that happened to a job."""

    at: datetime
    event: str
    """stored, started, raised (an attempt failed), succeeded, failed, cancelled, or gone: its
    row was removed, when it had succeeded or because somebody did."""
    id: int
    job: str
    queue: str
    attempt: int
    error: str | None = None
    message: str | None = None
    traceback: str | None = None
    worker: str | None = None


def happenings_of(record: JobRecord) -> Iterator[Happening]:
    """Return what happened to one job, in no order."""

    def at(moment: datetime, event: str, attempt: int = record.attempt) -> Happening:
        return Happening(moment, event, record.id, record.name, record.queue, attempt)

    yield at(record.created_at, "stored", 0)
    if record.attempted_at is not None:
        yield at(record.attempted_at, "started")
    if record.finished_at is not None and record.state in FINAL:
        yield at(record.finished_at, record.state)
    for error in error_records_of(record):
        moment = moment_of(error.get("at"))
        attempt = error.get("attempt")
        if moment is not None and isinstance(attempt, int):
            told = (error.get(name) for name in ("error", "message", "traceback", "worker"))
            texts = [None if each is None else str(each) for each in told]
            yield at(moment, "raised", attempt)._replace(
                error=texts[0], message=texts[1], traceback=texts[2], worker=texts[3]
            )


class Follower:
    """Looks at the jobs that fit *where*, again and again, and tells what is new.

    A look sees the newest `LOOKED_AT` jobs that fit, and besides as many that run, that failed,
    and that wait for another attempt; and all whose end it has not seen yet.
    """

    def __init__(self, storage: Storage, where: JobFilter) -> None:
        self._storage, self._where = storage, where
        self._told: dict[tuple[int, str, int, datetime], None] = {}
        self._open: dict[int, JobRecord] = {}

    async def look(self) -> list[Happening]:
        """Return what happened since the last look, in its order. Raises StorageError."""
        records = {record.id: record for page in self._pages() for record in (await page).jobs}
        missing = [job for job in self._open if job not in records]
        for record in await self._storage.get(missing) if missing else ():
            records[record.id] = record
        gone = [self._open[job] for job in missing if job not in records]
        self._open = {record.id: record for record in records.values() if record.state not in FINAL}
        found = [each for record in records.values() for each in happenings_of(record)]
        now = datetime.now(UTC)
        found += [
            Happening(now, "gone", record.id, record.name, record.queue, record.attempt)
            for record in gone
        ]
        return sorted(self._new(found), key=lambda each: each.at)

    def _pages(self) -> Iterator[Any]:
        where, find = self._where, self._storage.admin.find
        yield find(where, limit=LOOKED_AT)
        if where.state is None and where.ids is None:
            for state in (JobState.RUNNING, JobState.FAILED):
                yield find(replace(where, state=state), limit=LOOKED_AT)
            if where.min_attempt is None and where.max_attempt is None:
                retried = replace(where, state=JobState.SCHEDULED, min_attempt=1)
                yield find(retried, limit=LOOKED_AT)

    def _new(self, found: Iterable[Happening]) -> Iterator[Happening]:
        for each in found:
            key = (each.id, each.event, each.attempt, each.at)
            if key not in self._told:
                self._told[key] = None
                yield each
        while len(self._told) > KNOWN:
            del self._told[next(iter(self._told))]
