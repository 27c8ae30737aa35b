"""What the JSON API takes and returns; its OpenAPI document is made of these."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from asyncjobs.dashboard.story import progress_of, result_of
from asyncjobs.glance.stored import errors_of, meta_of, tags_of

if TYPE_CHECKING:
    from asyncjobs.glance.overview import Overview
    from asyncjobs.glance.redaction import Redaction
    from asyncjobs.types import JobRecord

MAX_PAGE = 200
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Search = Annotated[str, Field(max_length=2_000, description="As in the search box of the page.")]
State = Annotated[str, Field(max_length=20, description="A state, or nothing for all.")]


Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=1_000, pattern=r"^[^\x00]+$")]


class Strict(BaseModel):
    """Refuses what it does not know: a misspelt condition must not mean more jobs."""

    model_config = ConfigDict(extra="forbid")


class PeriodQuery(Strict):
    """How far back."""

    period: Annotated[str, Field(pattern="^(now|hour|day|week)$")] = "hour"


class JobsQuery(Strict):
    """Which jobs."""

    q: Search = ""
    state: State = ""


class PageQuery(JobsQuery):
    """Which page of which jobs."""

    after: Annotated[str, Field(max_length=500, description="What the page before says.")] = ""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50


class Nothing(Strict):
    """No parameters."""


class Chosen(Strict):
    """Which jobs to act on: those with *ids*, or with *all* those that match."""

    ids: Annotated[list[Id], Field(max_length=10_000)] = []
    all: bool = False
    q: Search = ""
    state: State = ""


class Later(Chosen):
    """The same, and when they are to run."""

    wait: Annotated[float, Field(ge=0, le=10 * 366 * 86_400)] | None = None
    """Seconds."""
    wait_until: datetime | None = None


class NewArguments(Strict):
    """Arguments in place of those of the job, by name. What is hidden stays as it is where it
    is sent as it is shown."""

    args: dict[str, JsonValue]


class Problem(BaseModel):
    """Why it was not done."""

    error: str


class Done(BaseModel):
    """To how many jobs it was done."""

    jobs: int


class Changed(BaseModel):
    """Whether anything was changed by it."""

    changed: bool


class CountAnswer(BaseModel):
    """How many jobs match."""

    jobs: int
    is_exact: bool


class ProgressAnswer(BaseModel):
    """How far a job said it is."""

    done: float
    """From 0 to 1."""
    message: str


class JobAnswer(BaseModel):
    """A job. What is hidden by the dashboard is hidden here."""

    id: int
    name: str
    queue: str
    priority: int
    state: str
    attempt: int
    run_at: datetime
    created_at: datetime
    attempted_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    args: dict[str, Any]
    meta: dict[str, Any]
    tags: list[str]
    errors: list[Any]
    unique_key: str | None
    """Hidden where an argument is: it is a hash of them."""
    schedule: str | None
    """The schedule whose run it is."""
    parent_id: int | None
    """The job that scheduled it while it ran."""
    worker_id: int | None
    """The worker that runs it."""
    progress: ProgressAnswer | None
    result: Any
    """What it returned, if that is kept."""


class PageAnswer(BaseModel):
    """Some jobs."""

    jobs: list[JobAnswer]
    after: str | None
    """What to ask the next page with."""
    is_cut_short: bool
    """So much was looked at that the page ends before it is full."""


class QueueLineAnswer(BaseModel):
    """What became of the jobs of a queue; durations in seconds."""

    queue: str
    ended: int
    failed: int
    retried: int
    wait_half: float | None
    wait_most: float | None
    run_half: float | None
    run_most: float | None


class LineAnswer(QueueLineAnswer):
    """What became of one job name in one queue."""

    name: str


class ChartAnswer(BaseModel):
    """Attempts that ended, by span of time."""

    width: int
    times: list[int]
    succeeded: list[int]
    failed: list[int]
    retried: list[int]
    cancelled: list[int]


class FindingAnswer(BaseModel):
    """One thing to know of the database's health."""

    level: str
    what: str
    advice: str


class OverviewAnswer(BaseModel):
    """How things stand."""

    pace: float
    """Attempts that ended per second in the last minute."""
    running: int
    waiting: int
    waiting_is_exact: bool
    """Otherwise there are more."""
    waited: float | None
    workers: int
    ended: int
    failed: int
    retried: int
    chart: ChartAnswer
    jobs: list[LineAnswer]
    queues: list[QueueLineAnswer]
    findings: list[FindingAnswer]


def job_answer(record: JobRecord, redaction: Redaction) -> JobAnswer:
    """Return what the API says of *record*."""
    progress = progress_of(record)
    return JobAnswer(
        id=record.id,
        name=record.name,
        queue=record.queue,
        priority=record.priority,
        state=record.state,
        attempt=record.attempt,
        run_at=record.run_at,
        created_at=record.created_at,
        attempted_at=record.attempted_at,
        finished_at=record.finished_at,
        expires_at=record.expires_at,
        args=redaction.arguments_of(record),
        meta=redaction.value(meta_of(record)),
        tags=tags_of(record),
        errors=errors_of(record),
        unique_key=redaction.unique_key_of(record),
        schedule=record.schedule,
        parent_id=record.parent_id,
        worker_id=record.worker_id,
        progress=None if progress is None else ProgressAnswer(**progress._asdict()),
        result=result_of(record, redaction),
    )


def overview_answer(overview: Overview) -> OverviewAnswer:
    """Return what the API says of *overview*."""
    return OverviewAnswer(
        pace=overview.pace,
        running=overview.running,
        waiting=overview.waiting,
        waiting_is_exact=overview.waiting_is_exact,
        waited=overview.waited,
        workers=overview.alive,
        ended=overview.ended,
        failed=overview.failed,
        retried=overview.retried,
        chart=ChartAnswer(**overview.chart._asdict()),
        jobs=[LineAnswer(**line._asdict()) for line in overview.lines],
        queues=[QueueLineAnswer(**line._asdict()) for line in overview.queues],
        findings=[FindingAnswer(**finding._asdict()) for finding in overview.findings],
    )
