"""Durations and moments as users give them, checked."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from asyncjobs.errors import WaitError

MAX_WAIT = timedelta(days=365 * 1000).total_seconds()
"""A bound far below what a timestamp can hold, so that adding to it cannot overflow."""


def seconds(value: float | timedelta) -> float:
    """Return *value* in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def check_wait(
    wait: float | timedelta | None,
    wait_until: datetime | None,
    *,
    name: str = "wait",
    is_required: bool = False,
) -> tuple[float | None, datetime | None]:
    """Return *wait* in seconds and *wait_until*, at most one of them set.

    Errors about the first call it *name*.

    Raises WaitError for both at once, a negative or endless wait, and a naive datetime; with
    *is_required* also for neither.
    """
    if wait is not None and wait_until is not None:
        raise WaitError(f"give wait or wait_until, not both: got {wait!r} and {wait_until!r}")
    if wait is None and wait_until is None and is_required:
        raise WaitError("give wait or wait_until")
    if wait_until is not None:
        return None, check_moment("wait_until", wait_until)
    return (None, None) if wait is None else (check_duration(name, wait), None)


def check_duration(name: str, wait: float | timedelta) -> float:
    """Return the duration *wait* in seconds. Raises WaitError that calls it *name*."""
    if isinstance(wait, bool) or not isinstance(wait, int | float | timedelta):
        raise WaitError(f"{name} must be seconds or a timedelta, got {wait!r}")
    try:
        duration = seconds(wait)
    except OverflowError:
        duration = math.inf
    if not 0 <= duration <= MAX_WAIT:
        raise WaitError(f"{name} must be from 0 to {MAX_WAIT:.0f} s, got {duration:g} s")
    return duration


def parse_moment(text: str) -> datetime:
    """Return the moment, with or without a time zone, or the start of the day that *text* is.

    Raises ValueError, also for a date with a zone and no time: to `datetime.fromisoformat` any
    character divides them, and the zone in 2030-01-01+02:00 would be the time.
    """
    if text[10:11] not in ("", "T", "t", " "):
        raise ValueError(f"no date and time: {text!r}")
    return datetime.fromisoformat(text)


def check_moment(name: str, moment: datetime) -> datetime:
    """Return *moment*. Raises WaitError that calls it *name*, also if it has no time zone."""
    if not isinstance(moment, datetime):
        raise WaitError(f"{name} must be a datetime, got {moment!r}")
    if moment.utcoffset() is None:
        raise WaitError(
            f"{name} must have a time zone, got the naive {moment.isoformat()}: "
            "write datetime.now(UTC) + …, or add tzinfo"
        )
    if not datetime.min.year < moment.year < datetime.max.year:
        # In UTC it may be none; and the last moment of all is infinity to PostgreSQL.
        raise WaitError(f"{name} must be in a year from 2 to 9998, got {moment.isoformat()}")
    return moment
