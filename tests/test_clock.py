"""Durations and moments as users give them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncjobs.clock import MAX_WAIT, check_moment, check_wait, seconds
from asyncjobs.errors import WaitError

NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "found"),
    [(3, 3.0), (0.25, 0.25), (timedelta(minutes=2), 120.0), (timedelta(microseconds=1), 1e-6)],
)
def test_a_duration_is_a_number_of_seconds_or_a_timedelta(
    value: float | timedelta, found: float
) -> None:
    assert seconds(value) == found


def test_without_a_time_a_job_does_not_wait() -> None:
    assert check_wait(None, None) == (None, None)


@pytest.mark.parametrize(
    "wait", [0, 0.0, 60, 0.001, timedelta(days=2), MAX_WAIT], ids=lambda wait: f"{wait}"
)
def test_a_wait_becomes_seconds(wait: float | timedelta) -> None:
    found, until = check_wait(wait, None)

    assert found == seconds(wait)
    assert type(found) is float
    assert until is None


@given(st.floats(0, MAX_WAIT) | st.integers(0, int(MAX_WAIT)))
def test_every_wait_within_the_bounds_is_taken_as_it_is(wait: float) -> None:
    assert check_wait(wait, None) == (wait, None)


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        datetime(2, 1, 1, tzinfo=UTC),
        datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2030, 6, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2030, 6, 1, 12, tzinfo=timezone(timedelta(hours=-5))),
    ],
    ids=str,
)
def test_a_moment_with_a_time_zone_is_kept(moment: datetime) -> None:
    assert check_wait(None, moment) == (None, moment)


@pytest.mark.parametrize(
    ("wait", "shown"),
    [
        (-1, "-1 s"),
        (-0.001, "-0.001 s"),
        (timedelta(seconds=-5), "-5 s"),
        (math.nan, "nan s"),
        (math.inf, "inf s"),
        (MAX_WAIT * 2, "6.3072e+10 s"),
        (10**400, "inf s"),
        (True, "True"),
        ("60", "'60'"),
        (Decimal(60), "Decimal('60')"),
        (NOON, "datetime.datetime(2030"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_wait_that_cannot_be_is_refused_and_shown(wait: Any, shown: str) -> None:
    with pytest.raises(WaitError, match=r"^wait must be ") as caught:
        check_wait(wait, None)

    assert shown in str(caught.value)


def test_a_wait_out_of_bounds_is_told_the_bounds() -> None:
    with pytest.raises(WaitError, match=r"from 0 to 31536000000 s, got -1 s"):
        check_wait(-1, None)


def test_a_naive_datetime_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(WaitError, match=r"naive 2030-06-01T12:00:00: write datetime\.now\(UTC\)"):
        check_wait(None, NOON.replace(tzinfo=None))


@pytest.mark.parametrize("moment", [date(2030, 6, 1), 60, "2030-06-01T12:00:00Z"], ids=repr)
def test_a_moment_that_is_no_datetime_is_refused(moment: Any) -> None:
    with pytest.raises(WaitError, match="wait_until must be a datetime, got "):
        check_wait(None, moment)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
    ids=str,
)
def test_a_moment_at_the_ends_of_the_calendar_is_refused(moment: datetime) -> None:
    with pytest.raises(WaitError, match="in a year from 2 to 9998, got "):
        check_wait(None, moment)


def test_a_refused_moment_is_told_of_by_the_name_that_it_was_given_by() -> None:
    for moment in (NOON.replace(tzinfo=None), datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(WaitError, match=r"^expires must "):
            check_moment("expires", moment)


def test_a_wait_and_a_moment_at_once_are_refused() -> None:
    with pytest.raises(WaitError, match="wait or wait_until, not both: got 5 and datetime"):
        check_wait(5, NOON)


def test_a_refused_time_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not both"):
        check_wait(0, NOON)
