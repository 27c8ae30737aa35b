"""What became of attempts: recorded only while the worker still holds them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from asyncjobs.errors import TransactionError
from asyncjobs.storage.postgres.external import driver_connection
from asyncjobs.storage.postgres.failures import in_doubt, translated
from asyncjobs.storage.postgres.patience import PATIENCE
from asyncjobs.storage.postgres.transactions import CHARACTER_TIME, HOT_TIMEOUT, transaction
from asyncjobs.storage.schedule_records import notes_of
from asyncjobs.types import Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import Outcome

BY_ID = attrgetter("id", "attempt")
LOOK_TIMEOUT = 5.0
"""Seconds to wait for a transaction that has not ended; whoever asks may ask again."""


def _array_text(numbers: list[int]) -> str:
    return f"{{{str(numbers)[1:-1]}}}"


class Fetching(Protocol):
    """A lane, or a connection in a transaction."""

    async def fetch(
        self, statement: str, /, *args: Any, timeout: float | None = None
    ) -> Sequence[Any]:
        """Run *statement* and return its rows."""
        ...


def time_for(outcomes: Sequence[Outcome]) -> float:
    """Return the seconds that a statement for *outcomes* may take."""
    kept = [outcome.kept for outcome in outcomes if outcome.kept is not None]
    return HOT_TIMEOUT + sum([len(one.result or "") for one in kept]) * CHARACTER_TIME


class Outcomes:
    """The statements that end attempts."""

    def __init__(self, lanes: Lanes, statements: Statements, schema: str, channel: str) -> None:
        self._lanes, self._sql = lanes, statements
        self._schema, self._channel = schema, channel

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
                await self._note_runs(driver, [outcome], recorded, patience=None)
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
        async with self._lanes.finish.transaction(time_for(outcomes)) as connection:
            recorded = await self._finish(connection, worker, outcomes)
            with in_doubt("the same schedule"):
                await self._note_runs(connection, outcomes, recorded, patience=PATIENCE)
            return recorded

    async def _note_runs(
        self,
        within: Fetching,
        outcomes: Sequence[Outcome],
        recorded: list[int],
        *,
        patience: str | None,
    ) -> None:
        told = set(recorded)
        notes = notes_of(outcome for outcome in outcomes if outcome.id in told)
        if notes:
            columns = [list(column) for column in zip(*notes, strict=True)]
            await within.fetch(self._sql.note_runs, *columns, patience)

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
        timeout = time_for(outcomes)
        if not strict:
            # In the user's own transaction it waits as long as its other statements do.
            limit = timeout if lane is self._lanes.finish else None
            rows = await lane.fetch(statement, *arguments, timeout=limit)
        elif lane is self._lanes.finish:
            # In one transaction: nobody may take the lane of a retry in between.
            async with self._lanes.finish.connection() as connection, transaction(connection):
                rows = await self._keep_lanes(connection, statement, arguments, strict, timeout)
        else:
            rows = await self._keep_lanes(lane, statement, arguments, strict, timeout)
        return [row[0] for row in rows]

    async def _keep_lanes(
        self,
        within: Any,
        statement: str,
        arguments: list[Any],
        strict: list[int],
        timeout: float,
    ) -> Sequence[Any]:
        rows: Sequence[Any] = await within.fetch(statement, *arguments, timeout=timeout)
        recorded = {row[0] for row in rows}
        kept = [job for job in strict if job in recorded]
        await within.fetch(self._sql.keep_lanes, kept, timeout=HOT_TIMEOUT)
        return rows
