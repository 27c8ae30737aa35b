"""The table of jobs: storing, claiming, finishing, and what people ask of it."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from asyncjobs.errors import NotMigratedError, TransactionError
from asyncjobs.storage.postgres.external import driver_connection
from asyncjobs.storage.postgres.failures import translated
from asyncjobs.storage.postgres.records import as_record
from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT, transaction
from asyncjobs.storage.postgres.unique import UniqueJobs
from asyncjobs.storage.schedule_records import notes_of
from asyncjobs.types import Completion, JobRecord, NewJob, Promotion, StoredJob, tuple_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import Outcome

ARGS = NewJob._fields.index("args")
BY_ID = attrgetter("id", "attempt")
ROW_TIME = 0.001
"""Seconds more for each row of an insert until a server that is silent counts as gone."""
SEPARATOR = "\x1e"
"""Between JSON texts in one text: no JSON text contains it. Source: RFC 7464. To asyncpg one
text is less work than an array of texts."""
LOOK_TIMEOUT = 5.0
"""Seconds to wait for a transaction that has not ended; whoever asks may ask again."""
CANCEL_BATCH = 300
"""Ids in one statement: a notification holds 8 000 bytes, an id up to 20."""


def is_plain(job: NewJob) -> bool:
    """Whether *job* may run at once, and asks for nothing else."""
    return job.wait is None and job.wait_until is None and job.extras is None


def _array_text(numbers: list[int]) -> str:
    return f"{{{str(numbers)[1:-1]}}}"


class Fetching(Protocol):
    """A lane, or a connection in a transaction."""

    async def fetch(self, statement: str, /, *args: Any) -> Sequence[Any]:
        """Run *statement* and return its rows."""
        ...


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
        if not *is_patient*.
        """
        if not jobs:
            return []
        if len(jobs) == 1 and is_plain(jobs[0]):
            return [await self._enqueue_one(jobs[0], connection)]
        *columns, extras, parents = zip(*jobs, strict=True)
        if any(one is not None and one.unique is not None for one in extras):
            return await self._unique.enqueue(jobs, connection, is_patient=is_patient)
        if any(extras):
            return await self._enqueue_special(jobs, connection)
        args = columns.pop(ARGS)
        columns.append(parents)
        if all(column.count(column[0]) == len(jobs) for column in columns):
            common = [column[0] for column in columns]
            common.insert(ARGS, SEPARATOR.join(args))
            [row] = await self._insert(self._sql.enqueue_alike, common, len(jobs), connection)
            ids, state, run_at = row
            return [tuple_of(StoredJob, (job, state, run_at, True, None, None)) for job in ids]
        columns.insert(ARGS, args)
        rows = await self._insert(self._sql.enqueue_jobs, columns, len(jobs), connection)
        return [StoredJob(*row) for row in rows]

    async def _enqueue_one(self, job: NewJob, connection: object | None) -> StoredJob:
        values = [job.name, job.queue, job.priority, job.args, job.parent_id]
        [row] = await self._insert(self._sql.enqueue_one, values, 1, connection)
        return tuple_of(StoredJob, (row[0], "available", row[1], True, None, None))

    async def _enqueue_special(
        self, jobs: Sequence[NewJob], connection: object | None
    ) -> list[StoredJob]:
        if not self._keeps and any(j.extras and j.extras.retain for j in jobs):
            raise NotMigratedError(self._schema)
        records = json.dumps([as_record(job) for job in jobs])
        rows = await self._insert(self._sql.enqueue_special, [records], len(jobs), connection)
        return [StoredJob(*row) for row in rows]

    async def _insert(
        self, statement: str, arguments: list[Any], count: int, connection: object | None
    ) -> Sequence[Any]:
        if connection is None:
            timeout = HOT_TIMEOUT + count * ROW_TIME
            return await self._lanes.enqueue.fetch(
                statement, *arguments, self._channel, timeout=timeout
            )
        driver = await driver_connection(connection)
        with translated(self._schema):
            rows: Sequence[Any] = await driver.fetch(statement, *arguments, self._channel)
            return rows

    async def finish(self, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        """Record *outcomes*: a statement each for rows that go, that stay, and that say more."""
        if any(outcome.run for outcome in outcomes):
            return await self._finish_runs(worker, outcomes)
        return await self._finish(self._lanes.finish, worker, outcomes)

    async def finish_within(self, connection: object, worker: int, outcome: Outcome) -> Completion:
        """Write a success into the transaction of *connection*."""
        driver = await driver_connection(connection)
        if not driver.is_in_transaction():
            raise TransactionError("the job has ended it inside its block")
        with translated(self._schema):
            found = await driver.fetch(self._sql.fence_job, worker, outcome.id, outcome.attempt)
            if not found:
                return Completion.LOST
            if found[0]["interrupt"]:
                return Completion.CANCELLED
            recorded = await self._finish(driver, worker, [outcome])
            if outcome.run:
                await self._note_runs(driver, [outcome], recorded)
            return Completion.RECORDED

    async def completion(self, worker: int, outcome: Outcome) -> Completion:
        """Return what became of a success that was written by `finish_within`."""
        rows = await self._lanes.admin.fetch(
            self._sql.find_completion, worker, outcome.id, outcome.attempt, timeout=LOOK_TIMEOUT
        )
        if not rows or rows[0]["succeeded"]:
            return Completion.RECORDED
        return Completion.HELD if rows[0]["held"] else Completion.LOST

    async def _finish(self, lane: Fetching, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        outcomes = sorted(outcomes, key=BY_ID)  # as the statements look into their arrays
        gone = [outcome for outcome in outcomes if outcome.delete and outcome.kept is None]
        recorded: list[int] = []
        if gone:
            recorded += await self._delete(lane, worker, gone)
        if len(gone) < len(outcomes):
            stay = [out for out in outcomes if not out.delete and out.kept is None]
            if stay:
                recorded += await self._update(lane, worker, stay)
            if len(gone) + len(stay) < len(outcomes):
                kept = [outcome for outcome in outcomes if outcome.kept is not None]
                recorded += await self._keep(lane, worker, kept)
        return recorded

    async def _finish_runs(self, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        # With what their schedules are told, or not at all.
        async with self._lanes.finish.transaction() as connection:
            recorded = await self._finish(connection, worker, outcomes)
            await self._note_runs(connection, outcomes, recorded)
            return recorded

    async def _note_runs(
        self, within: Fetching, outcomes: Sequence[Outcome], recorded: list[int]
    ) -> None:
        told = set(recorded)
        notes = notes_of(outcome for outcome in outcomes if outcome.id in told)
        if notes:
            columns = [list(column) for column in zip(*notes, strict=True)]
            await within.fetch(self._sql.note_runs, *columns)

    async def _delete(self, lane: Fetching, worker: int, outcomes: list[Outcome]) -> list[int]:
        rows = await lane.fetch(
            self._sql.finish_by_delete,
            worker,
            _array_text([outcome.id for outcome in outcomes]),
            _array_text([outcome.attempt for outcome in outcomes]),
        )
        return [row[0] for row in rows]

    async def _update(self, lane: Fetching, worker: int, outcomes: list[Outcome]) -> list[int]:
        arguments = [*self._told(worker, outcomes), self._channel]
        return await self._record(lane, self._sql.finish_by_update, arguments, outcomes)

    async def _keep(self, lane: Fetching, worker: int, outcomes: list[Outcome]) -> list[int]:
        arguments = [
            *self._told(worker, outcomes),
            [outcome.kept and outcome.kept.result for outcome in outcomes],
            [outcome.kept and outcome.kept.progress for outcome in outcomes],
            [outcome.delete for outcome in outcomes],
            self._channel,
        ]
        return await self._record(lane, self._sql.finish_kept, arguments, outcomes)

    def _told(self, worker: int, outcomes: list[Outcome]) -> list[Any]:
        return [
            worker,
            [outcome.id for outcome in outcomes],
            [outcome.attempt for outcome in outcomes],
            [outcome.state for outcome in outcomes],
            [outcome.delay for outcome in outcomes],
            [outcome.refund for outcome in outcomes],
            [outcome.error for outcome in outcomes],
        ]

    async def _record(
        self, lane: Fetching, statement: str, arguments: list[Any], outcomes: list[Outcome]
    ) -> list[int]:
        strict = [outcome.id for outcome in outcomes if outcome.keeps_lane]
        if not strict:
            rows = await lane.fetch(statement, *arguments)
        elif lane is self._lanes.finish:
            # In one transaction: nobody may take the lane of a retry in between.
            async with self._lanes.finish.connection() as connection, transaction(connection):
                rows = await self._record_and_keep_lanes(connection, statement, arguments, strict)
        else:
            rows = await self._record_and_keep_lanes(lane, statement, arguments, strict)
        return [row[0] for row in rows]

    async def _record_and_keep_lanes(
        self, within: Any, statement: str, arguments: list[Any], strict: list[int]
    ) -> Sequence[Any]:
        rows: Sequence[Any] = await within.fetch(statement, *arguments, timeout=HOT_TIMEOUT)
        recorded = {row[0] for row in rows}
        kept = [job for job in strict if job in recorded]
        await within.fetch(self._sql.keep_lanes, kept, timeout=HOT_TIMEOUT)
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
            rows = await self._lanes.admin.fetch(
                self._sql.cancel_jobs, batch, interrupt, self._channel, None
            )
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
