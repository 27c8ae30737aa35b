"""The operations of the JSON API on schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from asyncjobs.dashboard.models import Changed, Name, Strict, Text
from asyncjobs.dashboard.operation import Call, Operation
from asyncjobs.dashboard.pages.schedules import RUNS, TICKS, is_removable
from asyncjobs.dashboard.timetable import next_ticks, timetable
from asyncjobs.errors import RecurrenceError
from asyncjobs.glance.standings import told_of
from asyncjobs.glance.stored import arguments_of
from asyncjobs.schedule_types import Standing  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from asyncjobs.schedule_types import Schedule


class SchedulesQuery(Strict):
    """Which schedules: a part of the name, or of that of the job."""

    q: Text = ""
    standing: Standing | None = None
    after: Name | None = None
    """What the page before says."""
    limit: int = Field(default=50, ge=1, le=200)


class OneSchedule(Strict):
    """Which one."""

    name: Name


class ScheduleAnswer(BaseModel):
    """A schedule. What is hidden by the dashboard is hidden here. Durations are seconds."""

    name: str
    job: str
    queue: str
    priority: int
    args: dict[str, Any]
    when: str
    """In plain words."""
    cron: str | None
    timezone: str
    every: float | None
    starting_at: datetime | None
    catch_up: str
    overlap: str
    standing: Standing
    is_declared: bool
    """Whether the code of a job made it, and not a call of `later`."""
    what: str
    """How it stands, in words."""
    advice: str
    """What to do; empty if nothing is to be done."""
    next_at: datetime | None
    last_at: datetime | None
    last_result: str | None
    finished_at: datetime | None
    skipped_at: datetime | None
    failures: int
    gave_up_at: datetime | None
    retired_at: datetime | None
    problem: str | None
    created_at: datetime


class SchedulesAnswer(BaseModel):
    """Some schedules by name."""

    schedules: list[ScheduleAnswer]
    after: str | None
    """What to ask the next page with."""


class RunAnswer(BaseModel):
    """A run that is stored."""

    id: int
    state: str
    tick: datetime | None
    """None if somebody asked for it."""
    attempt: int
    run_at: datetime
    attempted_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    """How long its last attempt took."""


class OneScheduleAnswer(ScheduleAnswer):
    """A schedule with its next ticks, and its last runs that are stored."""

    ticks: list[datetime]
    runs: list[RunAnswer]


class RunNowAnswer(BaseModel):
    """The id of the run; null if one has not ended, and its overlap is "skip"."""

    job: int | None


async def find_schedules(call: Call) -> SchedulesAnswer:
    """Return some schedules."""
    query: SchedulesQuery = call.query
    found = await call.desk.storage.schedules.find(
        after=query.after,
        containing=query.q or None,
        standing=query.standing,
        limit=query.limit + 1,
    )
    shown = found[: query.limit]
    return SchedulesAnswer(
        schedules=[ScheduleAnswer(**_facts(call, schedule)) for schedule in shown],
        after=shown[-1].name if len(found) > query.limit else None,
    )


async def get_schedule(call: Call) -> OneScheduleAnswer:
    """Return one schedule."""
    schedule = await _schedule(call, call.query.name)
    runs = await call.desk.storage.overview.runs([schedule.name], RUNS)
    return OneScheduleAnswer(
        **_facts(call, schedule),
        ticks=next_ticks(schedule, datetime.now(UTC), TICKS),
        runs=[RunAnswer(**run._asdict(), seconds=run.seconds) for run in runs],
    )


async def run_schedule(call: Call) -> RunNowAnswer:
    """Store a run of a schedule beside its ticks."""
    schedule = await _schedule(call, call.body.name)
    return RunNowAnswer(job=await call.actions.run_schedule(schedule.name))


async def enable_schedule(call: Call) -> Changed:
    """Switch a schedule on; one that gave up starts again."""
    return await _switch(call, enabled=True)


async def disable_schedule(call: Call) -> Changed:
    """Switch a schedule off."""
    return await _switch(call, enabled=False)


async def remove_schedule(call: Call) -> Changed:
    """Remove a schedule that no code declares."""
    schedule = await _schedule(call, call.body.name)
    if not is_removable(schedule):
        raise RecurrenceError(f"the schedule {schedule.name!r} is declared in the code")
    return Changed(changed=await call.actions.remove_schedule(schedule.name))


OPERATIONS = [
    Operation(
        "GET", "/schedules", "Some schedules", find_schedules, SchedulesAnswer, SchedulesQuery
    ),
    Operation(
        "GET", "/schedules/one", "One schedule", get_schedule, OneScheduleAnswer, OneSchedule
    ),
    Operation(
        "POST", "/schedules/run", "Run one now", run_schedule, RunNowAnswer, body=OneSchedule
    ),
    Operation(
        "POST", "/schedules/enable", "Switch one on", enable_schedule, Changed, body=OneSchedule
    ),
    Operation(
        "POST", "/schedules/disable", "Switch one off", disable_schedule, Changed, body=OneSchedule
    ),
    Operation(
        "POST", "/schedules/remove", "Remove one", remove_schedule, Changed, body=OneSchedule
    ),
]


async def _schedule(call: Call, name: str) -> Schedule:
    found = await call.desk.storage.schedules.get([name])
    if not found:
        raise HTTPException(404, f"There is no schedule {name!r}.")
    return found[0]


async def _switch(call: Call, *, enabled: bool) -> Changed:
    schedule = await _schedule(call, call.body.name)
    await call.actions.switch_schedule(schedule.name, enabled=enabled)
    was_on = schedule.enabled and (not enabled or schedule.gave_up_at is None)
    return Changed(changed=was_on is not enabled)


def _facts(call: Call, schedule: Schedule) -> dict[str, Any]:
    told = told_of(schedule, datetime.now(UTC))
    facts = {
        name: value
        for name, value in schedule._asdict().items()
        if name in ScheduleAnswer.model_fields
    }
    return facts | {
        "args": call.desk.redaction.arguments(schedule.job, arguments_of(schedule)),
        "when": timetable(schedule),
        "every": None if schedule.every is None else schedule.every.total_seconds(),
        "standing": schedule.standing,
        "is_declared": schedule.declared is not None,
        "what": told.what,
        "advice": told.advice,
    }
