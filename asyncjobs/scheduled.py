"""A stored job as a program holds it: to wait for, to look at, to follow."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar

from asyncjobs.clock import MAX_WAIT, check_duration, seconds
from asyncjobs.errors import (
    DetachedJobError,
    JobCancelledError,
    JobFailedError,
    JobGoneError,
    NotAJobError,
    ResultNotKeptError,
    ResultTimeoutError,
)
from asyncjobs.types import FINAL, Extras, JobState, NewJob, StoredJob, told_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from asyncjobs.types import JobRecord, JobStatus, Json

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

STATES = {state.value: state for state in JobState}


class Follower(Protocol):
    """One who waits for one job."""

    async def next(self) -> JobStatus | None:
        """Return how it stands, first now and then after each change; None: it is gone."""
        ...


class Watching(Protocol):
    """What knows how it stands with stored jobs."""

    def following(self, job_id: int, /) -> AbstractContextManager[Follower]:
        """Give the body a follower of a job."""
        ...

    async def look(self, job_id: int, /) -> JobStatus | None:
        """Return how it stands with a job; None if nothing is stored of it."""
        ...


class Decoder(Protocol):
    """What makes results of JSON."""

    def decode(self, stored: Json, /) -> Any:
        """Return the result. Raises StoredResultError."""
        ...


class JobEvent(NamedTuple):
    """How it stands with a job at one moment."""

    id: int
    state: JobState | None
    """None: nothing is stored of the job any more, so nobody can say how it ended."""
    attempt: int = 0
    """The number of the current or last attempt; 0 before the first."""
    progress: float | None = None
    """From 0 to 1, if the job said so."""
    message: str | None = None
    """What the job said with it."""

    @property
    def is_last(self) -> bool:
        """Whether no other event follows."""
        return self.state is None or self.state in FINAL


class ScheduledJob(Generic[R_co]):
    """A job that is stored. `later` returns it, and `later.job` for an id from elsewhere.

    It can be pickled; a copy knows what it says, but cannot wait or look.
    """

    __slots__ = ("_returns", "_row", "_stored", "_watch")

    def __init__(
        self,
        row: NewJob,
        stored: StoredJob,
        watch: Watching | None = None,
        returns: Decoder | None = None,
    ) -> None:
        # No more than this: hardly any caller of `later` looks at more than the id.
        self._row, self._stored, self._watch, self._returns = row, stored, watch, returns

    @property
    def id(self) -> int:
        """The job's number."""
        return self._stored.id

    @property
    def name(self) -> str:
        """The job's name."""
        return self._row.name

    @property
    def queue(self) -> str:
        """Where it waits."""
        return self._row.queue if self._stored.queue is None else self._stored.queue

    @property
    def priority(self) -> int:
        """Lower runs first."""
        told = self._stored.priority
        return self._row.priority if told is None else told

    @property
    def parent_id(self) -> int | None:
        """The job that scheduled it while it ran; None for a job that no job scheduled.

        Also None if it `is_new` is false: then it is somebody else's, of whom `later.get` tells.
        """
        return self._row.parent_id if self._stored.is_new else None

    @property
    def is_new(self) -> bool:
        """Whether it was stored by this call; False: an equal one existed, and this is that."""
        return self._stored.is_new

    @property
    def state(self) -> JobState:
        """As it was when it was stored, or when anybody looked last by this object."""
        return STATES[self._stored.state]

    @property
    def run_at(self) -> datetime:
        """The earliest start, by the database's clock."""
        return self._stored.run_at

    async def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait until the job has ended and return what it returned.

        At most *timeout*, in seconds or as a timedelta; 0 looks once. Needs `retain`. Raises
        ResultNotKeptError at once for others, JobFailedError, JobCancelledError,
        ResultTimeoutError, JobGoneError if its row was removed, StoredResultError,
        DetachedJobError, WaitError for what is no time.
        """
        watch = self._attached()
        limit = None if timeout is None else _bound(timeout)
        try:
            async with asyncio.timeout(limit or None) as bound:  # a look takes as long as it takes
                if not await self._keeps_result(watch):
                    raise ResultNotKeptError(self.id, self.name)
                status = await (self._look() if limit == 0 else self._ended(watch))
        except TimeoutError:
            if limit is None or not bound.expired():
                raise
            raise ResultTimeoutError(self.id, self.name, limit) from None
        if not status.has_ended:
            raise ResultTimeoutError(self.id, self.name, 0.0)
        return self._outcome(status)

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        """Yield how it stands: now, and after each change of state or progress, to the end.

        Changes that come quickly may be told as one. A job whose row goes when it succeeds
        is told as succeeded all the same, if it was followed before it ended; otherwise its
        state is None. Raises DetachedJobError.
        """
        last: JobEvent | None = None
        with self._attached().following(self.id) as follower:
            while last is None or not last.is_last:
                event = self._event(await follower.next())
                if event != last:
                    last = event
                    yield event

    async def refresh(self) -> Self:
        """Look how it stands, and return this object with its `state` and `run_at` of now.

        Raises JobGoneError if nothing is stored of it, as of one that succeeded and keeps no
        result, and DetachedJobError.
        """
        await self._look()
        return self

    async def _look(self) -> JobStatus:
        status = await self._attached().look(self.id)
        if status is None:
            raise JobGoneError(self.id, self.name)
        self._take(status)
        return status

    async def _keeps_result(self, watch: Watching) -> bool:
        extras = self._row.extras
        asked = extras is not None and extras.retain is not None
        if self.is_new and (extras is None or extras.unique is None):
            return asked
        found = await watch.look(self.id)  # another call has, or may have had, the last word
        return found.keeps if found is not None else asked or not self.is_new

    async def _ended(self, watch: Watching) -> JobStatus:
        with watch.following(self.id) as follower:
            while True:
                status = await follower.next()
                if status is None:
                    raise JobGoneError(self.id, self.name)
                self._take(status)
                if status.has_ended:
                    return status

    def _outcome(self, status: JobStatus) -> R_co:
        if status.state == JobState.CANCELLED:
            raise JobCancelledError(self.id, self.name)
        if status.state == JobState.FAILED:
            raise JobFailedError(self.id, self.name, json.loads(status.error or "{}"))
        if status.result is None:  # a worker of an older version ran it
            raise ResultNotKeptError(self.id, self.name)
        returns, stored = self._returns, status.result
        value: R_co = json.loads(stored) if returns is None else returns.decode(stored)
        return value

    def _event(self, status: JobStatus | None) -> JobEvent:
        if status is None:
            return JobEvent(self.id, None)
        self._take(status)
        progress = _progress(status.progress)
        return JobEvent(
            self.id, self.state, status.attempt, progress.get("done"), progress.get("message")
        )

    def _take(self, status: JobStatus) -> None:
        self._stored = self._stored._replace(state=status.state, run_at=status.run_at)

    def _attached(self) -> Watching:
        if self._watch is None:
            raise DetachedJobError(self.id, self.name)
        return self._watch

    def __reduce__(self) -> tuple[type[Self], tuple[NewJob, StoredJob]]:
        return type(self), (self._row._replace(args=""), self._stored)

    def __repr__(self) -> str:
        return f"<ScheduledJob {self.name} {self.id} {self.state.value}>"


def from_record(record: JobRecord, watch: Watching, returns: Decoder | None) -> ScheduledJob[Any]:
    """Return the job that *record* is of."""
    extras = Extras(retain=told_in(record.extra).get("retain"))
    row = NewJob(
        record.name, record.queue, record.priority, "", extras=extras, parent_id=record.parent_id
    )
    return ScheduledJob(row, StoredJob(record.id, record.state, record.run_at), watch, returns)


def _bound(timeout: float | timedelta) -> float:
    # What is past is now, and what is endless as good as that.
    if isinstance(timeout, timedelta):
        timeout = seconds(timeout)
    if isinstance(timeout, int | float) and not 0 <= timeout <= MAX_WAIT and timeout == timeout:  # noqa: PLR0124 - NaN
        return 0.0 if timeout < 0 else MAX_WAIT
    return check_duration("timeout", timeout)


async def wait_all(jobs: Iterable[ScheduledJob[R]], timeout: float | timedelta | None) -> list[R]:
    """Return the results of *jobs* in their order, or raise the first error."""
    every = list(jobs)
    for job in every:
        if not isinstance(job, ScheduledJob):
            raise NotAJobError(f"wait_all takes jobs as later returns them, got {job!r}")
    waiting = [asyncio.ensure_future(job.result(timeout)) for job in every]
    try:
        return list(await asyncio.gather(*waiting))
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _progress(stored: Json | None) -> dict[str, Any]:
    progress: dict[str, Any] = json.loads(stored) if stored else {}
    return progress
