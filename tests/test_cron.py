from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncjobs import CronError, UnknownTimezoneError
from asyncjobs.cron import NICKNAMES, Cron

ZURICH = ZoneInfo("Europe/Zurich")
BEFORE_GAP = datetime(2026, 3, 28, 12, tzinfo=ZURICH)
BEFORE_REPEAT = datetime(2026, 10, 24, 12, tzinfo=ZURICH)


def ticks(expression: str, after: datetime, count: int, zone: str = "Europe/Zurich") -> list[str]:
    cron, found = Cron(expression, zone), []
    for _ in range(count):
        after = cron.next(after)
        assert after.tzinfo is UTC
        found.append(after.astimezone(ZoneInfo(zone)).strftime("%d %H:%M:%S%z"))
    return found


# In spring 02:00 to 03:00 does not exist on the 29th of March; in autumn it comes twice on the
# 25th of October.


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["29 03:00:00+0200", "30 02:30:00+0200"]),
        ("0 30 2 * * *", ["29 03:00:00+0200", "30 02:30:00+0200"]),
        ("20 30 2 * * *", ["29 03:00:20+0200", "30 02:30:20+0200"]),
        ("15,45 2 * * *", ["29 03:00:00+0200", "30 02:15:00+0200", "30 02:45:00+0200"]),
        ("0 2,3 * * *", ["29 03:00:00+0200", "30 02:00:00+0200", "30 03:00:00+0200"]),
        ("0 0 29 3 *", ["29 00:00:00+0100"]),
    ],
)
def test_what_would_fall_into_the_gap_comes_after_it_and_once(
    expression: str, expected: list[str]
) -> None:
    assert ticks(expression, BEFORE_GAP, len(expected)) == expected


def test_what_comes_every_so_often_passes_over_the_gap() -> None:
    start = datetime(2026, 3, 29, 1, 0, tzinfo=ZURICH)
    assert ticks("*/30 * * * *", start, 3) == [
        "29 01:30:00+0100", "29 03:00:00+0200", "29 03:30:00+0200"
    ]  # fmt: skip


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *"])
def test_what_has_its_hour_comes_once_when_the_hour_is_repeated(expression: str) -> None:
    expected = ["25 02:30:00+0200", "26 02:30:00+0100"]
    assert ticks(expression, BEFORE_REPEAT, 2) == expected
    in_between = datetime(2026, 10, 25, 2, 10, tzinfo=ZURICH, fold=1)
    assert ticks(expression, in_between, 1) == expected[1:]


def test_what_comes_every_so_often_comes_in_both_hours() -> None:
    start = datetime(2026, 10, 25, 1, 30, tzinfo=ZURICH)
    assert ticks("*/30 * * * *", start, 5) == [
        "25 02:00:00+0200", "25 02:30:00+0200", "25 02:00:00+0100", "25 02:30:00+0100",
        "25 03:00:00+0100",
    ]  # fmt: skip
    start = datetime(2026, 10, 25, 2, 59, 40, tzinfo=ZURICH)
    assert ticks("*/20 * * * * *", start, 1) == ["25 02:00:00+0100"]


def test_a_midnight_that_does_not_exist_is_the_first_moment_of_the_day() -> None:
    start = datetime(2026, 9, 5, 12, tzinfo=UTC)
    assert ticks("@daily", start, 2, "America/Santiago") == ["06 01:00:00-0300", "07 00:00:00-0300"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", ["01 00:00:01+0000", "01 00:00:02+0000"]),
        ("*/10 * * * * *", ["01 00:00:10+0000", "01 00:00:20+0000"]),
        ("0,30 5 0 * * *", ["01 00:05:00+0000", "01 00:05:30+0000", "02 00:05:00+0000"]),
        ("@hourly", ["01 01:00:00+0000", "01 02:00:00+0000"]),
        ("@Daily", ["02 00:00:00+0000"]),
        ("@midnight", ["02 00:00:00+0000"]),
        ("@weekly", ["04 00:00:00+0000"]),
        ("0 12 * * MON", ["05 12:00:00+0000"]),
        ("0 0 L * *", ["31 00:00:00+0000", "28 00:00:00+0000"]),
        (" 0  12 * * 7 ", ["04 12:00:00+0000"]),
    ],
)
def test_every_way_to_write_it(expression: str, expected: list[str]) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert ticks(expression, start, len(expected), "UTC") == expected


def test_months_and_years_have_names() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert Cron("@monthly", "UTC").next(start) == datetime(2026, 2, 1, tzinfo=UTC)
    for name in ("@yearly", "@annually"):
        assert Cron(name, "UTC").next(start) == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("0 0 30 2 *", "the day 30 never comes in the month 2"),
        ("0 0 31 4,6 *", "the day 31 never comes in the month 4,6"),
        ("61 * * * *", "bad minute"),
        ("60 * * * * *", "bad second"),
        ("0 24 * * *", "bad hour"),
        ("0 0 0 * *", "bad day-of-month"),
        ("0 0 * 13 *", "bad month"),
        ("0 0 * * 8", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("* * * *", "it has 4 fields in place of 5, or 6 with seconds"),
        ("* * * * * * *", "it has 7 fields"),
        ("", "it has 0 fields"),
        ("@reboot", "the names are @yearly"),
        ("every day", "it has 2 fields"),
        ("/ - , # L", "bad minute"),
        (5, "it is no text"),
        (None, "it is no text"),
    ],
)
def test_what_cannot_be_is_refused_and_says_why(expression: str, problem: str) -> None:
    with pytest.raises(CronError) as caught:
        Cron(expression, "UTC")
    assert caught.value.problem.startswith(problem)
    assert repr(expression) in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.expression) == (str(caught.value), expression)


@pytest.mark.parametrize("zone", ["Europe/Zurch", "", "/etc/passwd", "../UTC", "CEST-1", "a\0b"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(UnknownTimezoneError) as caught:
        Cron("@daily", zone)
    assert len(str(caught.value)) < 200
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_nearest_zone_is_named() -> None:
    with pytest.raises(UnknownTimezoneError, match="did you mean 'Europe/Zurich'"):
        Cron("@daily", "Europe/Zurch")


def test_a_day_that_comes_once_in_28_years_is_found() -> None:
    cron = Cron("0 0 * 2 MON#5", "UTC")
    assert cron.next(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2044, 2, 29, tzinfo=UTC)


def test_the_latest_tick_is_found_without_walking_over_all() -> None:
    until = datetime(2026, 10, 25, 1, 59, 40, 500, tzinfo=UTC)
    years_ago = until - timedelta(days=20_000)
    assert Cron("* * * * * *", "UTC").latest(years_ago, until) == until.replace(microsecond=0)
    assert Cron("0 0 29 2 *", "UTC").latest(years_ago, until) == datetime(2024, 2, 29, tzinfo=UTC)
    assert Cron("0 0 29 2 *", "UTC").latest(until - timedelta(days=500), until) is None


def test_the_latest_tick_is_later_than_the_first_moment_and_may_be_the_last() -> None:
    cron, moment = Cron("@hourly", "UTC"), datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert cron.latest(moment - timedelta(hours=1), moment) == moment
    assert cron.latest(moment, moment) is None
    assert cron.latest(moment, moment - timedelta(days=1)) is None  # the clock was set back


FIELDS = st.tuples(
    st.sampled_from(["0", "*/7", "15,45", "*", "30"]),
    st.sampled_from(["0", "2", "*", "*/3", "1-3", "23"]),
    st.sampled_from(["*", "1", "29", "L", "*/10"]),
    st.sampled_from(["*", "3", "10", "3,10"]),
    st.sampled_from(["*", "SUN", "1-5"]),
).map(" ".join)
ZONES = st.sampled_from(["UTC", "Europe/Zurich", "America/Santiago", "America/St_Johns"])
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@settings(max_examples=60, deadline=None)
@given(FIELDS, ZONES, MOMENTS)
def test_ticks_go_on_and_never_repeat(expression: str, zone: str, after: datetime) -> None:
    cron = Cron(expression, zone)
    found = [after]
    for _ in range(8):
        found.append(cron.next(found[-1]))
    assert all(one < other for one, other in pairwise(found))
    for one, other in pairwise(found[1:]):
        assert cron.next(other - timedelta(microseconds=1)) == other
        assert cron.latest(after, other) == other
        assert cron.latest(after, other - timedelta(microseconds=1)) == one


def test_every_nickname_is_a_cron() -> None:
    for name in NICKNAMES:
        Cron(name, "UTC")


def test_there_are_zones() -> None:
    assert "Europe/Zurich" in available_timezones()
