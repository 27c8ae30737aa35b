"""Numbers, durations and moments as people read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncjobs.storage.admin import Count

NOTHING = "\u2013"
THIN = "\u202f"
"""A narrow space that no line is broken at."""
KEPT = 4_096
"""Texts that are kept: an open page has hundreds of them, which are the same a second later."""
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
SIZES = ("bytes", "kB", "MB", "GB", "TB")


@lru_cache(KEPT)
def number(value: float | None) -> str:
    """Return a count with its digits in groups."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", THIN)


def rate(per_second: float) -> str:
    """Return a pace, in the unit that makes it a number one can picture."""
    if per_second >= 10:
        return f"{number(per_second)}/s"
    if per_second >= 1:
        return f"{per_second:.1f}/s"
    return f"{number(per_second * 60)}/min"


def duration(seconds: float | None) -> str:
    """Return a duration with two digits that count: ``1.4 ms``, ``35 s``, ``2 h 5 min``."""
    if seconds is None:
        return NOTHING
    if seconds < 0.0995:
        return f"{_two_digits(seconds * 1_000)} ms"
    if seconds < 59.5:
        return f"{_two_digits(seconds)} s"
    for (unit, size), smaller in zip(UNITS, (*UNITS[1:], ("s", 1)), strict=True):
        if seconds >= size:
            whole, rest = divmod(round(seconds), size)
            parts = rest // smaller[1]
            is_long = whole >= 10 or not parts
            return f"{whole} {unit}" if is_long else f"{whole} {unit} {parts} {smaller[0]}"
    return "1 min"


def size(count: float | None) -> str:
    """Return a number of bytes."""
    if count is None:
        return NOTHING
    for unit in SIZES:
        if count < 999.5 or unit == SIZES[-1]:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{_two_digits(count)} {unit}"
        count /= 1_000
    raise AssertionError("the last unit is always returned")


def share(part: float, whole: float) -> str:
    """Return *part* of *whole* in percent; nothing of nothing is nothing."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    return "<0.1%" if percent < 0.1 else f"{_two_digits(percent)}%"


def percent(part: float) -> str:
    """Return a share of 1 in whole percent, 100% only for all of it."""
    return f"{int(100 * part)}%"


def count_of(value: int, most: int) -> str:
    """Return a count that stops at *most*."""
    return f"{number(most)}+" if value >= most else number(value)


def plural(value: float, one: str, many: str | None = None) -> str:
    """Return ``1 job`` or ``2 jobs``."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def told(found: Count) -> str:
    """Return how many there are."""
    return number(found.jobs) if found.is_exact else f"about {number(found.jobs)}"


def moment(at: datetime) -> str:
    """Return a moment exactly, in UTC; the page's script puts it into the reader's zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@lru_cache(KEPT)
def instant(seconds: float) -> str:
    """Return a moment, in seconds since 1970, as HTML has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def quoted(text: str) -> str:
    """Return *text* as a search has it: in quotes if it has to be."""
    plain = text and not any(letter.isspace() or letter in '"\\,*' for letter in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def relative(at: datetime, now: datetime) -> str:
    """Return how far a moment is from *now*."""
    seconds = (at - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"


def _two_digits(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def printable(text: object) -> str:
    """Return *text*, stored by anybody, on one line; what a terminal would obey made visible."""
    return "".join(
        one if one.isprintable() or one == THIN else one.encode("unicode_escape").decode()
        for one in str(text)
    )
