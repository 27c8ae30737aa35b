from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from asyncjobs import CronError, RecurrenceError, Schedule, UnknownTimezoneError
from asyncjobs.recurrence import MOST, Every, plan, recurrence_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def a_schedule(**facts: Any) -> Schedule:
    given: dict[str, Any] = {"cron": "@hourly", "catch_up": "once", "after_at": NOON} | facts
    blank: dict[str, Any] = dict.fromkeys(Schedule._fields)
    return Schedule(**blank | {"name": "nightly", "timezone": "UTC"} | given)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"cron": "@daily", "every": 5}, "give cron or every, not both"),
        ({"timezone": "UTC"}, "timezone goes with cron or every"),
        ({"catch_up": "all"}, "catch_up goes with cron or every"),
        ({"every": 5, "timezone": "UTC"}, "timezone goes with cron only"),
        ({"cron": "@daily", "starting_at": NOON}, "starting_at goes with every only"),
        ({"every": 0.5}, "every must be from 1 to 315360000 s, got 0.5 s"),
        ({"every": timedelta(days=5000)}, "every must be from 1"),
        ({"every": float("nan")}, "every must be from 1"),
        ({"every": float("inf")}, "every must be from 1"),
        ({"every": True}, "every must be seconds or a timedelta"),
        ({"every": "5"}, "every must be seconds or a timedelta"),
        ({"every": 5, "starting_at": datetime(2026, 1, 1)}, "starting_at must have a time zone"),
        ({"every": 5, "starting_at": "now"}, "starting_at must be a datetime"),
        ({"every": 5, "starting_at": datetime.min.replace(tzinfo=UTC)}, "in a year from 1900"),
        ({"cron": "@daily", "catch_up": "twice"}, 'must be "skip" or "once" or "all"'),
        ({"cron": "@daily", "overlap": "wait"}, 'overlap must be "skip" or "allow"'),
        ({"cron": "@daily", "catch_up": "all"}, 'needs overlap="allow"'),
        ({"cron": "@daily", "timezone": ZoneInfo("UTC")}, "timezone must be the name of one"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecurrenceError, match=problem):
        recurrence_of(options)


def test_cron_and_zone_are_checked_at_once() -> None:
    with pytest.raises(CronError):
        recurrence_of({"cron": "0 0 30 2 *"})
    with pytest.raises(CronError):
        recurrence_of({"cron": ["*"] * 5})
    with pytest.raises(UnknownTimezoneError):
        recurrence_of({"cron": "@daily", "timezone": "Europe/Zurch"})


def test_nothing_recurs_by_itself() -> None:
    assert recurrence_of({}) is None
    assert recurrence_of({"cron": None, "every": None, "timezone": None}) is None


def test_what_is_not_said_has_a_default() -> None:
    found = recurrence_of({"every": 90})
    assert found == (None, timedelta(seconds=90), None, "UTC", "once", "skip")


def test_every_counts_from_its_first_tick() -> None:
    every = Every(2 * HOUR, NOON)
    assert every.next(NOON - 100 * HOUR) == NOON
    assert every.next(NOON) == NOON + 2 * HOUR
    assert every.next(NOON + 3 * HOUR) == NOON + 4 * HOUR
    assert every.latest(NOON - HOUR, NOON) == NOON
    assert every.latest(NOON, NOON + HOUR) is None
    assert every.latest(NOON, NOON + 1001 * HOUR) == NOON + 1000 * HOUR
    assert every.latest(NOON - HOUR, NOON - SECOND) is None


def test_every_knows_no_clock_changes() -> None:
    zurich = ZoneInfo("Europe/Zurich")
    every = Every(HOUR, datetime(2026, 3, 29, 1, 0, tzinfo=zurich).astimezone(UTC))
    assert every.next(every.next(NOON)) - every.next(NOON) == HOUR


@pytest.mark.parametrize("catch_up", ["skip", "once", "all"])
def test_a_tick_that_comes_is_run(catch_up: str) -> None:
    schedule = a_schedule(catch_up=catch_up)
    found = plan(schedule, NOON + HOUR + timedelta(milliseconds=3))
    assert found.ticks == [NOON + HOUR]
    assert found.after_at == NOON
    assert found.covered_at == NOON + HOUR + timedelta(milliseconds=3)
    assert (found.next_at, found.skipped_at) == (NOON + 2 * HOUR, None)


def test_nothing_is_run_before_its_tick() -> None:
    found = plan(a_schedule(), NOON + HOUR - SECOND)
    assert (list(found.ticks), found.next_at) == ([], NOON + HOUR)


@pytest.mark.parametrize(
    ("catch_up", "runs"),
    [("skip", []), ("once", [3]), ("all", [1, 2, 3])],
)
def test_ticks_that_passed(catch_up: str, runs: list[int]) -> None:
    found = plan(a_schedule(catch_up=catch_up), NOON + 3 * HOUR + 10 * MINUTE)
    assert found.ticks == [NOON + hours * HOUR for hours in runs]
    assert found.next_at == NOON + 4 * HOUR
    assert found.skipped_at == (None if runs else NOON + 3 * HOUR)


def test_a_tick_that_a_busy_database_delays_is_not_skipped() -> None:
    assert plan(a_schedule(catch_up="skip"), NOON + HOUR + 59 * SECOND).ticks
    assert not plan(a_schedule(catch_up="skip"), NOON + HOUR + 60 * SECOND).ticks


def test_many_ticks_that_passed_are_run_in_parts() -> None:
    schedule = a_schedule(catch_up="all", cron="* * * * * *")
    found = plan(schedule, NOON + 2 * HOUR)
    assert len(found.ticks) == MOST
    assert found.covered_at == found.ticks[-1]
    assert found.next_at == found.ticks[-1] + SECOND
    rest = plan(schedule._replace(after_at=found.covered_at), NOON + 2 * HOUR)
    assert rest.ticks[0] == found.next_at


def test_a_clock_that_is_set_back_repeats_no_tick() -> None:
    found = plan(a_schedule(after_at=NOON + 5 * SECOND), NOON - 3 * HOUR)
    assert (list(found.ticks), found.next_at) == ([], NOON + HOUR)
    assert found.covered_at == NOON + 5 * SECOND


def test_what_time_zone_data_say_now_counts() -> None:
    # The row was planned with data by which the tick came an hour earlier.
    stale = a_schedule(next_at=NOON + HOUR / 2)
    found = plan(stale, NOON + HOUR / 2)
    assert (list(found.ticks), found.next_at) == ([], NOON + HOUR)


def test_what_somebody_wrote_into_the_row_is_checked() -> None:
    with pytest.raises(CronError):
        plan(a_schedule(cron="bad"), NOON)
    with pytest.raises(UnknownTimezoneError):
        plan(a_schedule(timezone="Europe/Zurch"), NOON)
    with pytest.raises(RecurrenceError):
        plan(a_schedule(cron=None), NOON)
