"""When schedules run, in words, and how they stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asyncjobs.cron import Cron
from asyncjobs.dashboard.timetable import cron_in_words, next_ticks, timetable
from asyncjobs.schedule_types import Schedule

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def a_schedule(**facts: Any) -> Schedule:
    known: dict[str, Any] = dict.fromkeys(Schedule._fields)
    known |= {
        "name": "nightly", "job": "tidy_up", "queue": "default", "priority": 50, "args": "{}",
        "timezone": "UTC", "catch_up": "once", "overlap": "skip", "enabled": True, "failures": 0,
        "after_at": NOW - timedelta(minutes=5), "next_at": NOW + timedelta(minutes=5),
        "created_at": NOW - timedelta(days=1), "cron": "30 2 * * *",
    }  # fmt: skip
    return Schedule(**known | facts)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("30 2 * * *", "Every day at 02:30"),
        ("@daily", "Every day at 00:00"),
        ("@Hourly", "Every hour"),
        ("@weekly", "At 00:00, only on Sunday"),
        ("@yearly", "At 00:00, on day 1 of the month, only in January"),
        ("*/10 * * * * *", "Every 10 seconds"),
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("0 */2 * * *", "Every 2 hours"),
        ("30 * * * *", "At 30 minutes past the hour"),
        ("0 9,17 * * *", "Every day at 09:00 and 17:00"),
        ("30 30 2 * * *", "Every day at 02:30:30"),
        ("0 22 * * 1-5", "At 22:00, Monday through Friday"),
        ("0 0 * * 7", "At 00:00, only on Sunday"),
        ("0 0 * * MON,WED", "At 00:00, only on Monday and Wednesday"),
        ("0 0 * * MON#1", "At 00:00, on the first Monday of the month"),
        ("0 0 * * 5L", "At 00:00, on the last Friday of the month"),
        ("0 0 L * *", "At 00:00, on the last day of the month"),
        ("0 0 13 * 5", "At 00:00, on day 13 of the month, or on Friday"),
        # No words are right for these.
        *(
            (cron, f"By cron {cron}")
            for cron in (
                "*/7 * * * *", "0 */5 * * *", "0 12 */3 * *", "0 0 */2 * 1", "0 0 1,L * *",
                "0 0 1 1 MON#2", "*/10,5 * * * *", "*/10 */2 * * *", "*/5 */5 * * * *",
                "1/1 * * * *",
            )
        ),
    ],
)  # fmt: skip
def test_crons_are_told_in_words_where_words_are_right(cron: str, words: str) -> None:
    Cron(cron, "UTC")
    assert cron_in_words(cron) == words


def test_what_nobody_can_read_is_told_as_it_is() -> None:
    for nonsense in ("", "x y", "99 * * * *", "* * * * * * *", "@never", "<b> * * * *"):
        assert cron_in_words(nonsense) == f"By cron {nonsense}"
        assert timetable(a_schedule(cron=nonsense)) == f"By cron {nonsense}, UTC"
    assert "neither" in timetable(a_schedule(cron=None))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "Every second"), (5, "Every 5 s"), (30, "Every 30 s"), (3_600, "Every hour"),
     (7_200, "Every 2 h"),     (86_400, "Every day"), (5_400, "Every 1 h 30 min")],
)  # fmt: skip
def test_distances_are_told_in_words(seconds: int, words: str) -> None:
    assert timetable(a_schedule(cron=None, every=timedelta(seconds=seconds))) == words


def test_a_cron_is_told_with_its_zone() -> None:
    schedule = a_schedule(timezone="Europe/Zurich")
    assert timetable(schedule) == "Every day at 02:30, Europe/Zurich"
    first, second = next_ticks(schedule, NOW, 2)
    assert first == datetime(2030, 1, 2, 1, 30, tzinfo=UTC)
    assert second - first == timedelta(days=1)


def test_what_does_not_run_or_cannot_be_read_has_no_next_ticks() -> None:
    for facts in (
        {"enabled": False},
        {"cron": "nonsense"},
        {"cron": None},
        {"timezone": "Nowhere"},
    ):
        assert next_ticks(a_schedule(**facts), NOW, 2) == []
