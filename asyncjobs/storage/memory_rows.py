"""What MemoryAdapter holds: jobs and workers."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from asyncjobs.types import (
    EXPIRED,
    MAX_ERRORS,
    ClaimedJob,
    Extras,
    JobRecord,
    JobState,
    Json,
    NewJob,
    NewLane,
    Unique,
    WorkerInfo,
)

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(slots=True, eq=False)
class Row:
    """A stored job."""

    id: int
    job: NewJob
    position: int
    """The order among equals: the id, until the job becomes available again after a wait."""
    run_at: datetime
    created_at: datetime
    state: JobState = JobState.AVAILABLE
    attempt: int = 0
    attempted_at: datetime | None = None
    finished_at: datetime | None = None
    worker: int | None = None
    """Who holds the job; None unless it is running."""
    cancel_requested: bool = False
    interrupt: bool = False
    """The worker is to be told of the cancellation."""
    errors: deque[Json] = field(default_factory=lambda: deque(maxlen=MAX_ERRORS))
    losses: int = 0
    """How many of the errors are those of lost workers."""

    @property
    def is_postponed(self) -> bool:
        """Whether it was given back by a worker that left it to others."""
        return self.state is JobState.SCHEDULED and self.position < 0

    def lose(self, worker: WorkerRow, at: datetime) -> None:
        """Note that *worker*, which runs it, is gone. See free_jobs.sql for what counts."""
        attempt = self.attempt
        self.attempt -= worker.leaving or self.losses == 1
        if not worker.leaving:
            self.errors.append(lost_record(attempt, at, worker.info.name))
            self.losses += 1

    watched: bool = False
    """Somebody wants to hear what becomes of it."""
    retain: timedelta | None = None
    """How long it stays after its end; None: until somebody removes it."""
    result: Json | None = None
    progress: Json | None = None

    @property
    def extra(self) -> Json | None:
        """What the worker must know beyond the arguments."""
        extra = self.job.extras and self.job.extras.extra
        if not self.watched:
            return extra
        return json.dumps({**json.loads(extra or "{}"), "watched": True})

    waits_in: str | None = None
    """The lane in whose line it stands; None unless it is waiting."""
    lane_kept: bool = False
    """It goes on to hold its own lane while it waits for a retry."""
    stored: bool = True
    """False once it was removed."""

    @property
    def lane(self) -> str | None:
        """The lane of its own."""
        return self.job.extras and self.job.extras.lane

    @property
    def queue_lane(self) -> str | None:
        """The lane of its queue."""
        return self.job.extras and self.job.extras.queue_lane

    @property
    def expires_at(self) -> datetime | None:
        """The moment from which the job is not started any more."""
        extras = self.job.extras
        if extras is None or extras.expires is None:
            return extras and extras.expires_at
        return self.created_at + timedelta(seconds=extras.expires)

    @property
    def unique(self) -> Unique | None:
        """What makes the job unique."""
        return None if self.job.extras is None else self.job.extras.unique

    @property
    def has_key(self) -> bool:
        """Whether the job, as it is now, keeps others of its key out."""
        return self.has_key_in(self.state)

    def has_key_in(self, state: JobState) -> bool:
        """Whether the job keeps others of its key out while it is in *state*."""
        unique = self.unique
        if unique is None or state not in unique.states:
            return False
        return self.attempted_at is None or JobState.RUNNING in unique.states

    @property
    def waits(self) -> bool:
        """Whether the job is for later, or for whoever comes first."""
        return self.state in {JobState.SCHEDULED, JobState.WAITING, JobState.AVAILABLE}

    def become(self, job: NewJob, now: datetime) -> None:
        """Ask for what *job* asks for from *now* on. Attempts so far do not count."""
        if job.extras is not None and job.extras.expires is not None:
            ends = now + timedelta(seconds=job.extras.expires)
            job = job._replace(extras=job.extras._replace(expires=None, expires_at=ends))
        self.job = begun_before(job, self.attempt) if self.attempt else job

    def renew(self, args: Json | None, unique_key: str | None, now: datetime) -> None:
        """Become one that is to run again; the caller moves it to its state."""
        if self.finished_at is not None and self.attempt:
            self.job = begun_before(self.job, self.attempt)
        if args is not None:
            self.job = self.job._replace(args=args)
        extras, unique = self.job.extras, self.unique
        if unique_key is not None and extras is not None and unique is not None:
            unique = unique._replace(key=unique_key)
            self.job = self.job._replace(extras=extras._replace(unique=unique))
        if self.expires_at is not None and self.expires_at <= now and self.job.extras is not None:
            lasting = self.job.extras._replace(expires=None, expires_at=None)
            self.job = self.job._replace(extras=lasting)
        self.finished_at = None
        self.cancel_requested = self.interrupt = False

    def become_of(self, lane: NewLane) -> None:
        """Belong to *lane*, and tell so whoever claims it; the caller puts it into its line."""
        extras = self.job.extras or Extras()
        told = json.loads(extras.extra) if extras.extra else {}
        told["lanes"] = [name for name in (lane.name, extras.queue_lane) if name is not None]
        told.pop("strict", None)
        if lane.is_strict:
            told["strict"] = True
        self.job = self.job._replace(extras=extras._replace(extra=json.dumps(told), lane=lane.name))

    def claimed(self) -> ClaimedJob:
        """Return what the worker that holds the job is told."""
        job, end = self.job, self.expires_at
        extra = self.extra
        if end is not None and self.attempted_at is not None and end < self.attempted_at:
            extra = EXPIRED
        return ClaimedJob(
            id=self.id,
            name=job.name,
            queue=job.queue,
            priority=job.priority,
            attempt=self.attempt,
            run_at=self.run_at,
            args=job.args,
            position=self.position,
            losses=self.losses,
            extra=extra,
        )

    def record(self) -> JobRecord:
        """Return everything there is to say of the job."""
        return JobRecord(
            id=self.id,
            name=self.job.name,
            queue=self.job.queue,
            priority=self.job.priority,
            state=self.state.value,
            attempt=self.attempt,
            run_at=self.run_at,
            created_at=self.created_at,
            attempted_at=self.attempted_at,
            finished_at=self.finished_at,
            args=self.job.args,
            errors=f"[{', '.join(self.errors)}]",
            tags=list(self.job.extras.tags) if self.job.extras else [],
            extra=self.extra,
            expires_at=self.expires_at,
            progress=self.progress,
            result=self.result,
            lane=self.lane,
            waits_in=self.waits_in,
            unique_key=self.unique and self.unique.key,
            parent_id=self.job.parent_id,
            worker_id=self.worker,
        )


@dataclass(slots=True, eq=False)
class WorkerRow:
    """A registered worker."""

    info: WorkerInfo
    started_at: datetime
    seen_at: datetime
    leaving: bool = False
    """Its process ends; nothing that it holds is counted as an attempt."""
    quiet_at: datetime | None = None
    """Since when it is to claim nothing more."""
    quiet_unheard: bool = False
    """It was told so since its last heartbeat."""
    stop_at: datetime | None = None
    """Since when it is to end."""
    stopping_at: datetime | None = None
    """Since when it does."""
    holds: dict[int, Row] = field(default_factory=dict)

    def is_silent(self, now: datetime, watched: float) -> bool:
        """Whether others who *watched* for so many seconds may take its jobs."""
        ends_at = self.seen_at + timedelta(seconds=self.info.lease)
        return ends_at <= now and self.info.lease <= 2 * watched

    def held(self) -> list[Row]:
        """Return the jobs that it holds, by id."""
        return [row for _, row in sorted(self.holds.items())]


def due_at(job: NewJob, now: datetime) -> datetime:
    """Return the earliest start of *job*, which is stored *now*."""
    return now + timedelta(seconds=job.wait) if job.wait else job.wait_until or now


def begun_before(job: NewJob, attempts: int) -> NewJob:
    """Return *job* as one of which so many *attempts* do not count any more."""
    extras = job.extras or Extras()
    extra = (json.loads(extras.extra) if extras.extra else {}) | {"before": attempts}
    return job._replace(extras=extras._replace(extra=json.dumps(extra)))


def lost_record(attempt: int, at: datetime, worker: str) -> Json:
    """Return the record of an attempt that ended because *worker* fell silent."""
    return json.dumps(
        {
            "attempt": attempt,
            "at": at.isoformat(),
            "error": "WorkerLost",
            "message": f"the worker {worker} fell silent",
            "traceback": None,
            "worker": worker,
        }
    )
