"""What is shown of one job: its facts as they are stored, put into an order to be read in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.dashboard.literals import literal
from asyncjobs.dashboard.tracebacks import Fold, fold
from asyncjobs.glance.stored import (
    arguments_of,
    error_records_of,
    extra_of,
    meta_of,
    moment_of,
    tags_of,
)
from asyncjobs.redaction import readable
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from asyncjobs.glance.redaction import Redaction
    from asyncjobs.job import Job
    from asyncjobs.types import JobRecord

ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
ENDS: dict[str, tuple[str, str]] = {
    JobState.SUCCEEDED: ("Succeeded", "good"),
    JobState.FAILED: ("Failed for good", "bad"),
    JobState.CANCELLED: ("Cancelled", ""),
}
LINES: dict[str, str] = {
    JobState.WAITING: "Waits for its limit, or for what is paused, since",
    JobState.AVAILABLE: "Waits for a worker since",
}
WAITS = (JobState.SCHEDULED, JobState.WAITING, JobState.AVAILABLE)


class Failure(NamedTuple):
    """A failed attempt."""

    attempt: Any
    at: datetime | None
    error: str
    message: str
    worker: str
    traceback: Sequence[Fold]


class Progress(NamedTuple):
    """How far a job said it is."""

    done: float
    """From 0 to 1."""
    message: str


class Event(NamedTuple):
    """Something that happened to a job, or will."""

    at: datetime | None
    what: str
    level: str = ""
    """good, bad, now, or nothing."""
    failure: Failure | None = None


def progress_of(record: JobRecord) -> Progress | None:
    """Return how far the job said it is; None if it said nothing, or somebody wrote nonsense."""
    found = readable(record.progress) if record.progress else None
    if not isinstance(found, dict):
        return None
    done, message = found.get("done"), found.get("message")
    if isinstance(done, bool) or not isinstance(done, int | float) or not 0 <= done <= 1:
        return None
    return Progress(done, "" if message is None else str(message))


def result_of(record: JobRecord, redaction: Redaction) -> Any:
    """Return what may be shown of what the job returned; None also if nothing is kept."""
    return None if record.result is None else redaction.result(readable(record.result))


def failures_of(record: JobRecord) -> list[Failure]:
    """Return the failed attempts, the oldest first. What others wrote there is borne with."""
    return [_failure(error) for error in error_records_of(record)]


def last_failure(record: JobRecord) -> Failure | None:
    """Return the last failed attempt of a job that has not succeeded since."""
    failures = failures_of(record) if record.state != JobState.SUCCEEDED else []
    return failures[-1] if failures else None


def events_of(record: JobRecord) -> list[Event]:
    """Return what happened to the job, the oldest first, and what is to come."""
    failures = failures_of(record)
    events = [Event(record.created_at, "Stored")]
    events += [
        Event(failure.at, f"Attempt {failure.attempt} failed", "bad", failure)
        for failure in failures
    ]
    state = record.state
    if record.attempted_at is not None and state not in WAITS:
        began = Event(record.attempted_at, f"Attempt {record.attempt} began")
        events.append(began)
    events.sort(key=lambda event: (event.at is not None, event.at or record.created_at))
    return [*events, _last(record)]


def _last(record: JobRecord) -> Event:
    if record.state == JobState.RUNNING:
        return Event(None, "Runs now", "now")
    if record.state == JobState.SCHEDULED:
        again = f"Attempt {record.attempt + 1}" if record.attempt else "First attempt"
        return Event(record.run_at, f"{again} is to begin", "now")
    if record.state in LINES:
        return Event(record.run_at, LINES[record.state], "now")
    what, level = ENDS[record.state]
    return Event(record.finished_at, what, level)


def later_line(record: JobRecord, redaction: Redaction, job: Job[..., Any] | None = None) -> str:
    """Return the call of `later` that stores a job like this one, which *job* defines."""
    stored, typed = arguments_of(record), _typed(record, job)
    texts = {
        name: literal(typed[name])
        if name in typed and name in stored and value == stored[name]
        else repr(value)
        for name, value in redaction.arguments_of(record).items()
    }
    call = ", ".join(
        f"{name}={text}" if name.isidentifier() else f"**{{{name!r}: {text}}}"
        for name, text in texts.items()
    )
    options = [f"queue={record.queue!r}", f"priority={record.priority}"]
    if tags := tags_of(record):
        options.append(f"tags={tags!r}")
    if meta := meta_of(record):
        options.append(f"meta={redaction.value(meta)!r}")
    if record.lane is not None and record.lane.startswith("key:"):
        options.append(f"concurrency_key={record.lane.removeprefix('key:')!r}")
    if (retain := extra_of(record).get("retain")) is not None:
        options.append(f"retain={retain!r}")
    name = record.name if record.name.isidentifier() else f"jobs.registry[{record.name!r}]"
    return f"await later({name}({call}), {', '.join(options)})"


def _typed(record: JobRecord, job: Job[..., Any] | None) -> dict[str, Any]:
    # As the parameters are annotated: later takes no text for a datetime.
    try:
        return job.codec.decode(record.args) if job is not None else {}
    except Exception:  # noqa: BLE001 - of an older version of the job, or of the user's own types
        return {}


def shown_arguments(record: JobRecord, redaction: Redaction) -> str:
    """Return the arguments in one line, without what is hidden."""
    return summary(redaction.arguments_of(record))


def when(record: JobRecord) -> tuple[str, datetime]:
    """Return the moment that says most of a job in its state, and what that is."""
    if record.finished_at is not None:
        return "ended", record.finished_at
    if record.state == JobState.RUNNING and record.attempted_at is not None:
        return "began", record.attempted_at
    if record.state == JobState.SCHEDULED:
        return "due", record.run_at
    return "waits since", record.run_at


def pretty(value: Any) -> str:
    """Return JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def summary(value: dict[str, Any], most: int = 120) -> str:
    """Return arguments in one line, cut off if it is long."""
    text = ", ".join(
        f"{name}={json.dumps(inner, ensure_ascii=False, default=str)}"
        for name, inner in value.items()
    )
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _failure(error: dict[str, Any]) -> Failure:
    return Failure(
        error.get("attempt", "?"),
        moment_of(error.get("at")),
        str(error.get("error", "")),
        str(error.get("message", "")),
        str(error.get("worker", "")),
        fold(str(error.get("traceback") or "")),
    )
