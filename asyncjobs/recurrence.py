"""When jobs recur: the options that say so, and the ticks that follow from them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, get_args

from asyncjobs.clock import seconds
from asyncjobs.cron import Cron
from asyncjobs.errors import CronError, RecurrenceError
from asyncjobs.schedule_types import CatchUp, Overlap, Plan, Recurrence, Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST, LONGEST = 1.0, 10 * 365 * 86_400.0
"""Seconds between two ticks of ``every=``."""
LATE = timedelta(seconds=60)
"""A tick this old has passed, for ``catch_up="skip"``: less is the pace of a busy database."""
MOST = 1_000
"""Ticks that are run by one plan, with ``catch_up="all"``; the others follow at once."""


class RecurrenceOptions(TypedDict, total=False):
    """The options that make a job recur, of `later` and of ``@jobs.job``. One of *cron* and
    *every* is needed."""

    cron: str | None
    """Five fields, six with seconds first, or a name such as @daily."""
    every: float | timedelta | None
    """Seconds or a timedelta between two runs."""
    starting_at: datetime | None
    """A moment with a time zone that *every* counts from. Without one it is the moment when
    the schedule is first stored."""
    timezone: str | None
    """The IANA name of the zone that *cron* speaks of; UTC without one."""
    catch_up: CatchUp | None
    """What becomes of ticks that passed while no worker ran: "skip" them, run the last of
    them "once", or run "all". "once" without one."""
    overlap: Overlap | None
    """"skip" a tick while a run of the same schedule has not ended, or "allow" both. "skip"
    without one."""


def recurrence_of(options: Mapping[str, Any]) -> Recurrence | None:
    """Return what *options* say; None if nothing recurs.

    Raises RecurrenceError, CronError, UnknownTimezoneError.
    """
    given = {name: options.get(name) for name in RecurrenceOptions.__annotations__}
    cron, every = given["cron"], given["every"]
    if cron is None and every is None:
        for name, value in given.items():
            if value is not None:
                raise RecurrenceError(f"{name} goes with cron or every, got {name}={value!r} alone")
        return None
    if cron is not None and every is not None:
        raise RecurrenceError(f"give cron or every, not both: got {cron!r} and {every!r}")
    wrong = "timezone" if cron is None else "starting_at"
    if given[wrong] is not None:
        raise RecurrenceError(f"{wrong} goes with {'cron' if cron is None else 'every'} only")
    if cron is not None and not isinstance(cron, str):
        raise CronError(cron, "it is no text")
    if not isinstance(given["timezone"], str | None):
        raise RecurrenceError(f"timezone must be the name of one, got {given['timezone']!r}")
    found = Recurrence(
        cron,
        None if every is None else _check_every(every),
        _check_start(given["starting_at"]),
        "UTC" if given["timezone"] is None else given["timezone"],
        _check_choice("catch_up", given["catch_up"], "once", get_args(CatchUp)),
        _check_choice("overlap", given["overlap"], "skip", get_args(Overlap)),
    )
    if (found.catch_up, found.overlap) == ("all", "skip"):
        raise RecurrenceError('catch_up="all" needs overlap="allow": several runs begin together')
    if cron is not None:
        _cron(cron, found.timezone)
    return found


def plan(schedule: Schedule, now: datetime) -> Plan:
    """Return what is to become of *schedule*, by the storage's clock *now*.

    Raises RecurrenceError or UnknownTimezoneError for what somebody wrote into the row.
    """
    for name in ("after_at", "starting_at"):
        moment = getattr(schedule, name)
        if moment is not None and moment.tzinfo is None:  # so an infinite one is told
            raise RecurrenceError(f"{name} must be in a year from 2 to 9998")
    timing = timing_of(schedule)
    after = schedule.after_at
    covered = max(after, now)  # the clock may have been set back
    if schedule.catch_up == "all":
        ticks = _ticks(timing, after, covered)
        covered = ticks[-1] if len(ticks) == MOST else covered
        return Plan(schedule.name, after, ticks, None, covered, timing.next(covered))
    newest = timing.latest(after, covered)
    runs = newest is not None and (schedule.catch_up == "once" or covered - newest < LATE)
    return Plan(
        schedule.name,
        after,
        [newest] if newest is not None and runs else [],
        None if runs else newest,
        covered,
        timing.next(covered),
    )


class Timing(Protocol):
    """The ticks of a schedule."""

    def next(self, after: datetime) -> datetime:
        """Return the first tick later than *after*."""
        ...

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last tick later than *after* and not later than *until*; None for none."""
        ...


class Every:
    """Ticks at the same distance, from a first one on."""

    def __init__(self, every: timedelta, first: datetime) -> None:
        self._every, self._first = every, first

    def next(self, after: datetime) -> datetime:
        """Return the first tick later than *after*."""
        if after < self._first:
            return self._first
        return self._first + ((after - self._first) // self._every + 1) * self._every

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last tick later than *after* and not later than *until*; None for none."""
        if until < self._first:
            return None
        tick = self._first + (until - self._first) // self._every * self._every
        return tick if tick > after else None


def timing_of(schedule: Schedule) -> Timing:
    """Return the ticks of *schedule*. Raises RecurrenceError, UnknownTimezoneError."""
    if schedule.cron is not None:
        return _cron(schedule.cron, schedule.timezone)
    if schedule.every is None or schedule.starting_at is None:
        raise RecurrenceError("it has neither cron nor every")
    return Every(_check_every(schedule.every), schedule.starting_at)


@lru_cache(maxsize=1_000)
def _cron(expression: str, timezone: str) -> Cron:
    return Cron(expression, timezone)


def _ticks(timing: Timing, after: datetime, until: datetime) -> list[datetime]:
    ticks: list[datetime] = []
    tick = timing.next(after)
    while tick <= until and len(ticks) < MOST:
        ticks.append(tick)
        tick = timing.next(tick)
    return ticks


def _check_every(every: object) -> timedelta:
    if isinstance(every, bool) or not isinstance(every, int | float | timedelta):
        raise RecurrenceError(f"every must be seconds or a timedelta, got {every!r}")
    try:
        duration = seconds(every)
    except OverflowError:
        duration = math.inf
    if not SHORTEST <= duration <= LONGEST:
        raise RecurrenceError(
            f"every must be from {SHORTEST:g} to {LONGEST:.0f} s, got {duration:g} s"
        )
    return timedelta(seconds=duration)


def _check_start(moment: object) -> datetime | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise RecurrenceError(f"starting_at must be a datetime, got {moment!r}")
    if moment.utcoffset() is None:
        raise RecurrenceError(
            f"starting_at must have a time zone, got the naive {moment.isoformat()}: "
            "add tzinfo, such as ZoneInfo('Europe/Zurich')"
        )
    if not 1900 <= moment.year <= 9000:
        raise RecurrenceError(
            f"starting_at must be in a year from 1900 to 9000, got {moment.isoformat()}"
        )
    return moment


def _check_choice(name: str, value: Any, default: str, known: tuple[str, ...]) -> Any:
    if value is None:
        return default
    if value not in known:
        options = " or ".join(f'"{choice}"' for choice in known)
        raise RecurrenceError(f"{name} must be {options}, got {value!r}")
    return value
