"""How it stands with a schedule, in words that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asyncjobs.glance.words import duration, plural, relative
from asyncjobs.schedule_types import LATE

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from asyncjobs.schedule_types import Schedule


class Told(NamedTuple):
    """What is to be said of a schedule."""

    level: str
    """good, warning, bad, or nothing for what is as somebody wanted it."""
    word: str
    what: str
    advice: str = ""
    """What to do; empty if nothing is to be done."""


def told_of(schedule: Schedule, now: datetime) -> Told:
    """Return how *schedule* stands."""
    if not schedule.is_active:
        return _at_rest(schedule, now)
    if schedule.problem is not None:
        return _with_problem(schedule)
    return _late(schedule, now) or _after_runs(schedule, now)


def paused_lane(schedule: Schedule, paused: Collection[str]) -> str | None:
    """Return what is paused of what *schedule* needs, as ``queue email``; None if nothing is."""
    for lane in (f"job:{schedule.job}", f"queue:{schedule.queue}"):
        if lane in paused:
            return lane.replace(":", " ", 1)
    return None


def _at_rest(schedule: Schedule, now: datetime) -> Told:
    if schedule.retired_at is not None:
        return Told(
            "",
            "retired",
            f"The code of no worker has declared it since {relative(schedule.retired_at, now)}.",
            "If it was taken out on purpose, remove it here. If not, start a worker whose code "
            "has it.",
        )
    if not schedule.enabled:
        return Told(
            "",
            "off",
            "It was switched off, and deploys leave it so.",
            "Switch it on to have it run again; what passed meanwhile is not made up for.",
        )
    assert schedule.gave_up_at is not None
    return Told(
        "bad",
        "gave up",
        f"A run had used up its attempts {relative(schedule.gave_up_at, now)}, after "
        f"{plural(schedule.failures, 'failed attempt')} since one succeeded. Nothing runs any "
        "more.",
        "Look at the errors of its runs, mend the job, and start it again.",
    )


def _with_problem(schedule: Schedule) -> Told:
    problem = schedule.problem or ""
    if problem.startswith("no worker knows"):
        advice = (
            "Start a worker whose code has this job. If the job is gone for good, switch the "
            "schedule off."
        )
    else:
        advice = "Correct when it runs: in the code, by later, or in its row."
    return Told("bad", "problem", f"{problem[:1].upper()}{problem[1:]}.", advice)


def _late(schedule: Schedule, now: datetime) -> Told | None:
    due = schedule.next_at or schedule.after_at
    if due > now - LATE:
        return None
    planned = "Its run was due" if schedule.next_at else "Its next run has not been planned since"
    advice = f"Start a worker whose code has the job {schedule.job}."
    if schedule.is_unique:
        advice += (
            " Or, if the log says schedule.in_doubt, end the transaction that stores a job with "
            "the same unique key."
        )
    what = f"{planned} {relative(due, now)}, and no worker has seen to it."
    return Told("warning", "late", what, advice)


def _after_runs(schedule: Schedule, now: datetime) -> Told:
    if schedule.last_result == "failed":
        return Told(
            "warning",
            "failing",
            f"The last run failed; {plural(schedule.failures, 'attempt')} failed since one "
            "succeeded.",
            "Look at its errors. When as many have failed as a run may have attempts, the schedule "
            "gives up.",
        )
    skipped, last = schedule.skipped_at, schedule.last_at
    if skipped is not None and (last is None or skipped > last):
        reasons, advice = [], "Ticks come too late while no worker with the job's code runs."
        if schedule.is_unique:
            reasons.append("an equal unique job existed")
            advice = "If runs take longer than they may, run it less often, or without unique."
        if schedule.overlap == "skip":
            reasons.append("the run before had not ended")
            advice = 'If runs take longer than they may, run it less often, or say overlap="allow".'
        why = ", or ".join([*reasons, "it came too late"])
        ago = duration((now - skipped).total_seconds())
        return Told("warning", "skipped", f"The tick {ago} ago made no run: {why}.", advice)
    return Told("good", "on", "It runs as it should.")
