"""When a schedule runs, in plain words.

Cron expressions are told by the library cron-descriptor, where what it says is what happens.
It is not for steps that do not divide their field, as of ``*/7`` minutes, which is a shorter
step once an hour; for steps of days, and two steps together, as each five minutes of each two
hours; and for the last or the second of something beside other days. Those are told as they
are written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from cron_descriptor import ExpressionDescriptor, FormatError, Options
from cron_descriptor.Exception import MissingFieldError, WrongArgumentError

from asyncjobs.cron import NICKNAMES, Cron
from asyncjobs.errors import AsyncJobsError, CronError
from asyncjobs.glance.words import duration, moment
from asyncjobs.recurrence import timing_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from asyncjobs.schedule_types import Schedule

SPECIAL = re.compile(r"#|\bLW?\b|\d[LW]")
"""The last of something, the second of it, the nearest working day."""
AT_TIME = re.compile(r"At \d\d:\d\d")
SIZES = (24, 60, 60)
"""How many hours, minutes and seconds there are for a step to divide."""


def timetable(schedule: Schedule) -> str:
    """Return when *schedule* runs, as ``Every day at 02:00, Europe/Zurich``."""
    if schedule.cron is not None:
        return f"{cron_in_words(schedule.cron)}, {schedule.timezone}"
    if schedule.every is None:
        return "Never: it has neither cron nor every"
    return every_in_words(schedule.every)


def every_in_words(every: timedelta) -> str:
    """Return a distance from tick to tick in words."""
    seconds = every.total_seconds()
    named: dict[float, str] = {
        1: "second",
        60: "minute",
        3_600: "hour",
        86_400: "day",
        604_800: "week",
    }
    return f"Every {named.get(seconds) or duration(seconds).replace('.0 s', ' s')}"


@lru_cache(maxsize=1_000)
def cron_in_words(expression: str) -> str:
    """Return a cron expression in words, or as it is written if no words are right."""
    fields = NICKNAMES.get(expression.strip().lower(), expression).split()
    text = _described(fields) if _is_told_rightly(fields) else None
    return f"By cron {expression}" if text is None else text


def next_ticks(schedule: Schedule, now: datetime, most: int) -> list[datetime]:
    """Return the next ticks after *now*; none of a schedule that does not run."""
    if not schedule.is_active:
        return []
    try:
        timing, ticks = timing_of(schedule), [max(schedule.after_at, now)]
        for _ in range(most):
            ticks.append(timing.next(ticks[-1]))
    except (AsyncJobsError, OverflowError):  # somebody wrote it into the row
        return []
    return ticks[1:]


def counted_from(schedule: Schedule) -> str:
    """Return what the ticks of ``every=`` are counted from."""
    return "" if schedule.starting_at is None else moment(schedule.starting_at)


def _is_told_rightly(fields: list[str]) -> bool:
    if len(fields) not in {5, 6}:
        return False
    *clock, day, month, weekday = fields
    days = (day, month, weekday)
    if any("/" in field or (field.startswith("*") and field != "*") for field in days):
        return False
    is_special = SPECIAL.search(day) or SPECIAL.search(weekday)
    if is_special and ("," in day + weekday or "*" not in {day, weekday}):
        return False
    if len(clock) == 3 and not clock[0].isdigit() and clock[1:] != ["*", "*"]:
        return False
    if sum("/" in field for field in clock) > 1:
        return False
    return all(map(_has_even_step, reversed(clock), SIZES))


def _has_even_step(field: str, size: int) -> bool:
    if "/" not in field:
        return True
    step = field.rpartition("/")[2]
    return "," not in field and step.isdigit() and int(step) > 1 and size % int(step) == 0


def _described(fields: list[str]) -> str | None:
    options = Options()
    options.use_24hour_time_format = True
    try:
        Cron(" ".join(fields), "UTC")
        text = str(ExpressionDescriptor(" ".join(fields), options).get_description())
    except (CronError, FormatError, MissingFieldError, WrongArgumentError, ValueError, IndexError):
        return None
    is_daily = fields[-3:] == ["*"] * 3
    return f"Every day at{text[2:]}" if is_daily and AT_TIME.match(text) else text
