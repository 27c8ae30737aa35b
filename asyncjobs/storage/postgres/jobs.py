"""The table of jobs: storing, claiming, finishing, and what people ask of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import NotMigratedError, RowRefusedError
from asyncjobs.storage.postgres.external import driver_connection
from asyncjobs.storage.postgres.failures import translated
from asyncjobs.storage.postgres.patience import THESE_JOBS, fetch_patiently
from asyncjobs.storage.postgres.records import as_record
from asyncjobs.storage.postgres.transactions import CHARACTER_TIME, HOT_TIMEOUT
from asyncjobs.storage.postgres.unique import UniqueJobs
from asyncjobs.types import JobRecord, NewJob, Promotion, StoredJob, tuple_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements

ARGS = NewJob._fields.index("args")
ROW_TIME = 0.001
"""Seconds more for each row of an insert until a server that is silent counts as gone."""
LARGEST = 250_000_000
"""Characters of arguments in one statement: PostgreSQL takes 1 GB, and a character may be 4."""
SEPARATOR = "\x1e"
"""Between JSON texts in one text: no JSON text contains it. Source: RFC 7464. To asyncpg one
text is less work than an array of texts."""
CANCEL_BATCH = 300
"""Ids in one statement: a notification holds 8 000 bytes, an id up to 20."""


def is_plain(job: NewJob) -> bool:
    """Whether *job* may run at once, and asks for nothing else."""
    return job.wait is None and job.wait_until is None and job.extras is None


def time_for(jobs: Sequence[NewJob]) -> float:
    """Return the seconds that an insert of *jobs* may take. Raises RowRefusedError."""
    size = sum([len(job.args) for job in jobs])
    if size > LARGEST:
        raise RowRefusedError(
            f"arguments of {size} characters of JSON are more than the {LARGEST} that are sent "
            "at once"
        )
    return HOT_TIMEOUT + len(jobs) * ROW_TIME + size * CHARACTER_TIME


class JobsTable:
    """The statements about jobs."""

    def __init__(self, lanes: Lanes, statements: Statements, schema: str, channel: str) -> None:
        self._lanes, self._sql = lanes, statements
        self._schema, self._channel = schema, channel
        self._keeps = "incoming.retain" in statements.enqueue_special
        """Whether the schema is new enough to keep results; older ones do without that line."""
        self._unique = UniqueJobs(lanes, statements, schema, channel)

    async def enqueue(
        self,
        jobs: Sequence[NewJob],
        connection: object | None = None,
        *,
        is_patient: bool = True,
    ) -> list[StoredJob]:
        """Store *jobs* by the gathering lane, or by the user's own connection.

        There a unique one waits for a transaction that has its key, or raises KeyInDoubtError
        if not *is_patient*. Raises RowRefusedError for arguments that no statement holds.
        """
        if not jobs:
            return []
        timeout = time_for(jobs)
        if len(jobs) == 1 and is_plain(jobs[0]):
            return [await self._enqueue_one(jobs[0], timeout, connection)]
        *columns, extras, parents = zip(*jobs, strict=True)
        if any(extras):
            if any(one is not None and one.unique is not None for one in extras):
                return await self._unique.enqueue(jobs, connection, is_patient=is_patient)
            return await self._enqueue_special(jobs, timeout, connection)
        args = columns.pop(ARGS)
        columns.append(parents)
        if all(column.count(column[0]) == len(jobs) for column in columns):
            common = [column[0] for column in columns]
            common.insert(ARGS, SEPARATOR.join(args))
            [row] = await self._insert(self._sql.enqueue_alike, common, timeout, connection)
            ids, state, run_at = row
            return [tuple_of(StoredJob, (job, state, run_at, True, None, None)) for job in ids]
        columns.insert(ARGS, args)
        rows = await self._insert(self._sql.enqueue_jobs, columns, timeout, connection)
        return [StoredJob(*row) for row in rows]

    async def _enqueue_one(
        self, job: NewJob, timeout: float, connection: object | None
    ) -> StoredJob:
        values = [job.name, job.queue, job.priority, job.args, job.parent_id]
        [row] = await self._insert(self._sql.enqueue_one, values, timeout, connection)
        return tuple_of(StoredJob, (row[0], "available", row[1], True, None, None))

    async def _enqueue_special(
        self, jobs: Sequence[NewJob], timeout: float, connection: object | None
    ) -> list[StoredJob]:
        if not self._keeps and any(j.extras and j.extras.retain for j in jobs):
            raise NotMigratedError(self._schema)
        records = json.dumps([as_record(job) for job in jobs])
        rows = await self._insert(self._sql.enqueue_special, [records], timeout, connection)
        return [StoredJob(*row) for row in rows]

    async def _insert(
        self, statement: str, arguments: list[Any], timeout: float, connection: object | None
    ) -> Sequence[Any]:
        if connection is None:
            return await self._lanes.enqueue.fetch(
                statement, *arguments, self._channel, timeout=timeout
            )
        driver = await driver_connection(connection)
        with translated(self._schema, is_callers=True):
            rows: Sequence[Any] = await driver.fetch(statement, *arguments, self._channel)
            return rows

    async def promote(self, limit: int) -> Promotion:
        """Make due jobs available."""
        [row] = await self._lanes.fleet.fetch(self._sql.promote_jobs, limit, self._channel)
        return Promotion(row["jobs"], row["next_in"])

    async def offer(self, names: Sequence[str]) -> int:
        """Make postponed jobs available."""
        [row] = await self._lanes.fleet.fetch(self._sql.offer_jobs, list(names), self._channel)
        count: int = row["jobs"]
        return count

    async def cancel(self, ids: Sequence[int], *, interrupt: bool) -> list[int]:
        """Cancel in statements that a notification can tell of."""
        cancelled: list[int] = []
        for start in range(0, len(ids), CANCEL_BATCH):
            batch = list(ids[start : start + CANCEL_BATCH])
            asked = (self._sql.cancel_jobs, batch, interrupt, self._channel, None)
            rows = await fetch_patiently(self._lanes.admin, THESE_JOBS, *asked)
            cancelled += [row[0] for row in rows]
        return cancelled

    async def clear(self) -> int:
        """Remove all jobs."""
        [row] = await self._lanes.admin.fetch(self._sql.clear_jobs)
        count: int = row[0]
        return count

    async def get(self, ids: Sequence[int]) -> list[JobRecord]:
        """Return the jobs of *ids* that exist."""
        rows = await self._lanes.admin.fetch(self._sql.get_jobs, list(ids))
        return [JobRecord(*row) for row in rows]

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by queue and state."""
        rows = await self._lanes.admin.fetch(self._sql.count_jobs)
        return {(row["queue"], row["state"]): row["jobs"] for row in rows}
