"""A job's own transaction: its writes and its success are committed together, or not at all.

The success is written last, and only if the worker still holds the job at this attempt, so
whoever takes the job over finds either everything done, or nothing.

When the answer to a commit is lost, the row tells what happened: it is locked until the
transaction has ended, and after a commit it is no longer this worker's. Should we give up
looking, nothing goes wrong either: what is reported then is fenced by the same row.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import (
    AsyncJobsError,
    JobCancelledError,
    LeaseLostError,
    NotCommittedError,
    TransactionError,
)
from asyncjobs.types import Completion
from asyncjobs.worker import outcome
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.outcome import Interruption

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.keeper import Keeper


class Step(Enum):
    """How far the transaction has come."""

    NONE = "none"
    OPEN = "open"
    WRITTEN = "written"
    """The success is written; whether that was committed is not known yet."""
    COMMITTED = "committed"


REFUSED = {
    Step.OPEN: "the job is inside one already",
    Step.WRITTEN: "the job's success is written already, into another one",
    Step.COMMITTED: "the job has succeeded already, by the commit of another one",
}


class OwnTransaction:
    """The transaction of one attempt; a new one may be opened after a rollback."""

    def __init__(self, attempt: Attempt, finisher: Finisher, keeper: Keeper) -> None:
        self._attempt, self._finisher, self._keeper = attempt, finisher, keeper
        self._storage, self._log = finisher.storage, attempt.log
        self._success = outcome.succeeded(attempt.row, attempt.limit)
        self._step = Step.NONE
        self._refusal: LeaseLostError | JobCancelledError | None = None

    @property
    def is_committed(self) -> bool:
        """Whether the job has succeeded, so that nothing is left to be recorded."""
        return self._step is Step.COMMITTED

    @asynccontextmanager
    async def open(self, connection: object | None) -> AsyncIterator[Any]:
        """Give a connection inside the transaction; see `JobContext.transaction`."""
        if self._step is not Step.NONE:
            raise TransactionError(REFUSED[self._step])
        self._step = Step.OPEN
        try:
            async with self._storage.transaction(connection) as within:
                yield within
                await self._write(within)
        except BaseException as error:
            if self._step is Step.OPEN:
                self._step = Step.NONE
            elif isinstance(error, Exception):
                await self._find()
            if not self.is_committed:
                raise
        else:
            if connection is None:
                self._note_committed()

    async def settle(self, failure: BaseException | None) -> BaseException | None:
        """Return why the attempt failed, now that its code has ended; None if it did not."""
        if self._step is Step.WRITTEN:
            try:
                await self._find()
            except asyncio.CancelledError:  # once: see `Attempt.interrupt`
                with contextlib.suppress(asyncio.CancelledError):
                    await self._find()
            if failure is None and not self.is_committed:
                failure = NotCommittedError()
        if self.is_committed:
            self._report_late(failure)
            return None
        if self._refusal is not None and self._attempt.interruption is None:
            is_lost = isinstance(self._refusal, LeaseLostError)
            reason = Interruption.LEASE_LOST if is_lost else Interruption.CANCELLED
            self._attempt.note(reason)
        return self._refusal or failure

    async def _write(self, connection: object) -> None:
        worker, row = self._finisher.worker, self._attempt.row
        self._success = outcome.succeeded(row, self._attempt.limit)
        self._keeper.propose(self._success, row)
        found = await self._storage.finish_within(connection, worker, self._success)
        if found is Completion.RECORDED:
            self._step = Step.WRITTEN
            return
        if found is Completion.CANCELLED:
            self._refusal = JobCancelledError(row.id, row.name)
        else:
            self._refusal = LeaseLostError(row.name, row.id, row.attempt)
        raise self._refusal

    async def _find(self) -> None:
        """Find out whether it was committed; give up when the attempt was interrupted."""
        row = self._attempt.row
        for delay in growing_delays():
            try:
                found = await self._storage.completion(self._finisher.worker, self._success)
            except AsyncJobsError as error:
                self._log.warning("commit.unknown", job=row.name, id=row.id, error=str(error))
            else:
                break
            if self._attempt.interruption is not None:
                return
            await asyncio.sleep(delay)
        if found is Completion.RECORDED:
            self._note_committed()
            return
        self._step = Step.NONE
        if found is Completion.LOST:
            self._refusal = LeaseLostError(row.name, row.id, row.attempt)

    def _note_committed(self) -> None:
        self._step = Step.COMMITTED
        self._keeper.forget(self._attempt.row)
        self._finisher.note_freed([self._success])

    def _report_late(self, failure: BaseException | None) -> None:
        # What an interruption raised in a job that has succeeded is nobody's concern.
        if failure is not None and self._attempt.interruption is None:
            row = self._attempt.row
            self._log.error("job.failed_late", job=row.name, id=row.id, exc_info=failure)
