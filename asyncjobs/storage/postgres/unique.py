"""Storing unique jobs: the database decides who is first, by an index on their keys."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import asyncpg

from asyncjobs.errors import (
    JobExistsError,
    KeyInDoubtError,
    StorageUnavailableError,
)
from asyncjobs.storage.postgres.external import driver_connection
from asyncjobs.storage.postgres.failures import translated
from asyncjobs.storage.postgres.lanes import STATEMENT_TIMEOUT
from asyncjobs.storage.postgres.records import as_record
from asyncjobs.storage.postgres.transactions import transaction
from asyncjobs.types import Extras, StoredJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import NewJob, Unique

PATIENCE, OF_ONE = "20ms", "5ms"
"""How long a batch waits for a transaction that holds one of its keys before it is split, and a
job alone, which nobody waits for, before it is tried later: others wait for the connection."""
TRIES = 100
"""Statements for jobs that others store, run and remove all the time, between two of ours."""
STRENGTH = ("ignore", "reschedule", "replace", "raise")
"""Ways with a conflict: of two in one batch, what each later one does includes the earlier."""


class UniqueJobs:
    """The statements that store unique jobs."""

    def __init__(self, lanes: Lanes, statements: Statements, schema: str, channel: str) -> None:
        self._lanes, self._sql = lanes, statements
        self._schema, self._channel = schema, channel

    async def enqueue(
        self, jobs: Sequence[NewJob], connection: object | None, *, is_patient: bool
    ) -> list[StoredJob]:
        """Store *jobs* by the lane for unique ones, or by the user's own connection.

        Raises JobExistsError, and KeyInDoubtError without *connection* or if not *is_patient*;
        nothing is stored then.
        """
        batch = Batch(jobs)
        if connection is None:
            await self._store_by_lane(batch)
        else:
            driver = await driver_connection(connection)
            await self._store_within(batch, driver, is_patient=is_patient)
        return batch.answers()

    async def _store_by_lane(self, batch: Batch) -> None:
        async with self._lanes.unique.connection() as driver, AsyncExitStack() as stack:
            if batch.is_all_or_none:
                await stack.enter_async_context(transaction(driver))
            await self._store(driver, batch, is_patient=False)

    async def _store_within(self, batch: Batch, driver: Any, *, is_patient: bool) -> None:
        with translated(self._schema, is_callers=True):
            async with AsyncExitStack() as stack:
                if batch.is_all_or_none:  # in a transaction this is a savepoint
                    await stack.enter_async_context(driver.transaction())
                await self._store(driver, batch, is_patient=is_patient)

    async def _store(self, driver: Any, batch: Batch, *, is_patient: bool) -> None:
        patience = None if is_patient else PATIENCE if len(batch.pending) > 1 else OF_ONE
        for _ in range(TRIES):
            records = json.dumps([batch.record(place) for place in batch.pending])
            try:
                rows = await driver.fetch(
                    self._sql.enqueue_unique,
                    records,
                    self._channel,
                    patience,
                    timeout=STATEMENT_TIMEOUT if patience else None,
                )
            except asyncpg.LockNotAvailableError as error:
                if patience is None:
                    raise
                raise KeyInDoubtError from error
            batch.learn(rows)
            if not batch.pending:
                return
        raise StorageUnavailableError("others change the jobs with these unique keys all the time")


class Batch:
    """Jobs to store, of which several may have the same key: they are folded into one."""

    def __init__(self, jobs: Sequence[NewJob]) -> None:
        self._jobs = list(jobs)
        self._first: list[int] = []
        """For each job the place of the first one of its key."""
        self._found: dict[int, StoredJob] = {}
        firsts: dict[str, int] = {}
        for place, job in enumerate(jobs):
            unique = unique_of(job)
            first = place if unique is None else firsts.setdefault(unique.key, place)
            self._first.append(first)
            if first != place and unique is not None:
                self._jobs[first] = folded(self._jobs[first], job, unique)
        self.pending = sorted(set(self._first))
        """The places of the jobs that have no answer yet."""

    @property
    def is_all_or_none(self) -> bool:
        """Whether one clash is to undo the whole batch."""
        uniques = map(unique_of, self._jobs)
        return len(self._jobs) > 1 and any(u.on_conflict == "raise" for u in uniques if u)

    def record(self, place: int) -> dict[str, Any]:
        """Return the job at *place* as the statement takes it."""
        job = self._jobs[place]
        record = as_record(job)
        if (unique := unique_of(job)) is not None:
            record |= {
                "unique_key": unique.key,
                "unique_states": unique.states,
                "period": unique.period,
                # To raise is to leave what is there as it is, and then to say so.
                "on_conflict": "ignore" if unique.on_conflict == "raise" else unique.on_conflict,
            }
        return record

    def learn(self, rows: Sequence[Any]) -> None:
        """Take the answers to what is pending. Raises JobExistsError."""
        open_places = []
        for place, row in zip(self.pending, rows, strict=True):
            unique = unique_of(self._jobs[place])
            if row["id"] is None:
                open_places.append(place)
            elif unique is not None and unique.on_conflict == "raise" and not row["is_new"]:
                raise JobExistsError(self._jobs[place].name, row["id"])
            else:
                self._found[place] = StoredJob(row[0], row[1] or "succeeded", *row[2:])
        self.pending = open_places

    def answers(self) -> list[StoredJob]:
        """Return what became of each job."""
        return [
            self._found[first] if first == place else self._found[first]._replace(is_new=False)
            for place, first in enumerate(self._first)
        ]


def unique_of(job: NewJob) -> Unique | None:
    """Return what makes *job* unique."""
    return None if job.extras is None else job.extras.unique


def folded(first: NewJob, job: NewJob, unique: Unique) -> NewJob:
    """Return what *first* is once *job*, of the same key, was stored after it.

    Its own way with a conflict becomes one that does what both would have done one after the
    other. Raises JobExistsError.
    """
    if unique.on_conflict == "raise":
        raise JobExistsError(job.name, None)
    if unique.on_conflict == "ignore":
        return first
    after = job
    if unique.on_conflict == "reschedule":
        after = first._replace(wait=job.wait, wait_until=job.wait_until)
    before = unique_of(first) or unique
    strongest = max(before.on_conflict, unique.on_conflict, key=STRENGTH.index)
    extras = after.extras or Extras()
    unique = (extras.unique or unique)._replace(on_conflict=strongest)
    return after._replace(extras=extras._replace(unique=unique))
