"""What every storage makes of a schedule: its record, its definition, and its runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from pydantic import TypeAdapter

from asyncjobs.errors import RowRefusedError
from asyncjobs.types import Extras, JobState, Json, NewJob, Outcome

if TYPE_CHECKING:
    from asyncjobs.schedule_types import NewSchedule, Run
    from asyncjobs.types import StoredJob

DUE = {JobState.WAITING, JobState.AVAILABLE}
"""What a tick replaces is in one of these states then: its time is now."""
OF_EACH_RUN = {"schedule", "tick"}
NAMES = {"Json": Json, **{kind.__name__: kind for kind in (datetime, timedelta, Sequence, Mapping)}}


class Template(NamedTuple):
    """What the runs of a schedule are made of."""

    job: str
    queue: str
    priority: int
    args: Json
    extras: Json | None


def as_record(schedule: NewSchedule) -> dict[str, Any]:
    """Return *schedule* as JSON has it, with its definition."""
    job, when = schedule.job, schedule.recurrence
    record = {
        "name": schedule.name,
        "job": job.name,
        "queue": job.queue,
        "priority": job.priority,
        "args": job.args,
        "extras": extras_as_json(job.extras),
        "cron": when.cron,
        "timezone": when.timezone,
        "every": when.every and when.every.total_seconds(),
        "starting_at": when.starting_at and when.starting_at.isoformat(),
        "catch_up": when.catch_up,
        "overlap": when.overlap,
    }
    text = json.dumps(record, sort_keys=True)
    return {**record, "definition": hashlib.sha256(text.encode()).hexdigest()[:16]}


def run_of(schedule: str, tick: datetime | None, template: Template) -> NewJob:
    """Return the run of *schedule* for *tick*; None for one that somebody asked for.

    Nobody hears a tick raise that an equal job exists: it then has no run of its own. Raises
    RowRefusedError for extras that this version does not know or cannot read.
    """
    try:
        given, extra = _read_extras(template.extras)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RowRefusedError(f"the extras of a schedule cannot be read: {error}") from error
    unique = given.get("unique")
    if unique is not None and tick is not None and unique.on_conflict == "raise":
        given["unique"] = unique._replace(on_conflict="ignore")
    extra["schedule"] = {"name": schedule, "tick": tick and tick.isoformat()}
    given |= {"extra": json.dumps(extra), "schedule": schedule, "tick": tick}
    extras = Extras(**given)
    return NewJob(template.job, template.queue, template.priority, template.args, extras=extras)


def split_runs(
    wanted: Sequence[NewJob], stored: Sequence[StoredJob]
) -> tuple[list[Run], list[Run]]:
    """Return what came of storing runs: those that were made, and those an equal job kept out."""
    made: list[Run] = []
    skipped: list[Run] = []
    for job, one in zip(wanted, stored, strict=True):
        extras = job.extras or Extras()
        assert extras.schedule is not None
        assert extras.tick is not None
        replaces = extras.unique is not None and extras.unique.on_conflict == "replace"
        is_made = one.is_new or (replaces and one.state in DUE)
        (made if is_made else skipped).append((extras.schedule, extras.tick, one))
    return made, skipped


def _read_extras(extras: Json | None) -> tuple[dict[str, Any], dict[str, Any]]:
    kept = json.loads(extras) if extras else {}
    given = {name: _adapter(name).validate_json(json.dumps(value)) for name, value in kept.items()}
    extra = json.loads(given.pop("extra", None) or "{}")
    return given, dict(extra.items())


class RunsNote(NamedTuple):
    """How runs of one schedule ended, that were recorded together."""

    schedule: str
    result: str
    """Of the last of them."""
    cleared: bool
    """One succeeded: what had failed before does not count any more."""
    failures: int
    """Failed attempts of those that failed after that."""
    most: int
    """With so many the schedule gives up."""


def notes_of(outcomes: Iterable[Outcome]) -> list[RunsNote]:
    """Return what to note in the schedules whose runs are among *outcomes*."""
    notes: dict[str, RunsNote] = {}
    for outcome in outcomes:
        if (run := outcome.run) is not None:
            _, _, cleared, failures, _ = notes.get(run.schedule, (None, None, False, 0, 0))
            if outcome.state == "succeeded":
                cleared, failures = True, 0
            else:
                failures += outcome.attempt
            note = RunsNote(run.schedule, outcome.state, cleared, failures, run.most)
            notes[run.schedule] = note
    return list(notes.values())


def extras_as_json(extras: Extras | None) -> Json | None:
    """Return what the runs of a schedule ask for that few jobs do; None if that is nothing."""
    if extras is None:
        return None
    defaults = Extras()._asdict()
    given = {
        name: _adapter(name).dump_python(value, mode="json")
        for name, value in extras._asdict().items()
        if value != defaults[name] and name not in OF_EACH_RUN
    }
    return json.dumps(given) if given else None


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    if name not in Extras._fields:
        raise RowRefusedError(f"the extras of a schedule have {name!r}, unknown to this version")
    return TypeAdapter(get_type_hints(Extras, localns=NAMES)[name])
