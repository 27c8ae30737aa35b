"""Cron expressions, by the library cronsim.

Chosen over croniter by trying both. When the clock is set back, "30 2 * * *" comes once with
cronsim, as with the cron of Debian, and twice with croniter; and cronsim says at once that
30 February never comes. What it has not is added here: the nicknames, and the same care for
an expression with seconds, which cronsim gives only to those without. Where the clock moves
by half an hour, on Lord Howe Island only, cronsim may pass over a tick of that morning if the
hour begins with a star.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from asyncjobs.errors import CronError, UnknownTimezoneError

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
SECOND = timedelta(seconds=1)
FIRST_WINDOW = timedelta(minutes=1)
PROBED_FROM = datetime(2024, 1, 1, tzinfo=UTC)


class Cron:
    """The ticks of one expression in one time zone. They are moments in UTC."""

    def __init__(self, expression: str, timezone: str) -> None:
        """Raise CronError for what never comes, and UnknownTimezoneError."""
        self.expression = expression
        self._zone = zone_named(timezone)
        self._minutes, self._seconds = _parsed(expression)
        if self._first(PROBED_FROM) is None:
            raise CronError(expression, "it has no date in the next 50 years")

    def next(self, after: datetime) -> datetime:
        """Return the first tick later than *after*."""
        tick = self._first(after)
        if tick is None:
            raise CronError(self.expression, f"it has no date in the 50 years after {after}")
        return tick

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last tick later than *after* and not later than *until*; None for none."""
        # Looking back by a window that grows: only as far as the newest tick is, however many
        # there were.
        window = FIRST_WINDOW
        while True:
            start = max(after, until - window) if window < until - after else after
            tick = self._first(start)
            if tick is not None and tick <= until:
                return self._last_from(tick, until)
            if start == after:
                return None
            window *= 2

    def _last_from(self, tick: datetime, until: datetime) -> datetime:
        while (following := self._first(tick)) is not None and following <= until:
            tick = following
        return tick

    def _first(self, after: datetime) -> datetime | None:
        # By minutes, to which the seconds are added. When the clock is set back, the library
        # may begin with a minute that has passed.
        minute = after.astimezone(UTC).replace(second=0, microsecond=0)
        for start in CronSim(self._minutes, (minute - SECOND).astimezone(self._zone)):
            for second in self._seconds:
                if (tick := start.astimezone(UTC) + second * SECOND) > after:
                    return tick
        return None


@lru_cache(maxsize=1_000)
def zone_named(name: str) -> ZoneInfo:
    """Return the time zone *name*. Raises UnknownTimezoneError."""
    try:
        return ZoneInfo(name)
    except (TypeError, ValueError, OSError, LookupError):
        raise UnknownTimezoneError(name, available_timezones()) from None


def _parsed(expression: str) -> tuple[str, list[int]]:
    """Return the five fields of *expression* that speak of minutes, and its seconds."""
    if not isinstance(expression, str):
        raise CronError(expression, "it is no text")
    text = expression.strip()
    if text.startswith("@") and text.lower() not in NICKNAMES:
        raise CronError(expression, f"the names are {', '.join(NICKNAMES)}")
    fields = NICKNAMES.get(text.lower(), text).split()
    if len(fields) not in {5, 6}:
        raise CronError(expression, f"it has {len(fields)} fields in place of 5, or 6 with seconds")
    try:
        seconds = CronSim(" ".join(fields), PROBED_FROM).seconds
    except (CronSimError, ValueError, AssertionError) as error:
        raise CronError(expression, _problem(fields, error)) from None
    return " ".join(fields[-5:]), sorted(seconds)


def _problem(fields: list[str], error: Exception) -> str:
    day, month = fields[-3], fields[-2]
    try:
        CronSim(f"0 0 {day} * *", PROBED_FROM)
        CronSim(f"0 0 * {month} *", PROBED_FROM)
    except (CronSimError, ValueError, AssertionError):
        return str(error).lower() or "it cannot be read"
    if "day-of-month" in str(error):
        return f"the day {day} never comes in the month {month}"
    return str(error).lower() or "it cannot be read"
