"""What is said of numbers, durations and the health of a database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asyncjobs.errors import StorageUnavailableError
from asyncjobs.glance import words
from asyncjobs.glance.findings import findings
from asyncjobs.glance.fresh import Fresh
from asyncjobs.storage.overview import Depth, Health, WorkerStatus

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WELL = Health(
    version="18.1", live=1_000, dead=10, vacuumed=60.0, table_bytes=1_000_000, index_bytes=50_000,
    snapshot=None, snapshot_pid=None, snapshot_user=None, snapshot_name=None, prepared=None,
    slot=None, slot_age=None, connections=5, most_connections=100, queue_usage=0.0,
    is_hidden=False, listeners=1, notifies=True,
)  # fmt: skip
WORKER = WorkerStatus(1, "one", "*", ["default"], "here", 7, NOW, 1.0, 30.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\u2013"), (0, "0.0 ms"), (0.0012, "1.2 ms"), (0.045, "45 ms"), (0.1, "0.1 s"),
        (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"),
        (90, "1 min 30 s"), (3_599, "59 min"), (3_600, "1 h"), (7_500, "2 h 5 min"),
        (86_400, "1 d"), (90_000, "1 d 1 h"), (864_000, "10 d"), (10**9, "11574 d"),
    ],
)  # fmt: skip
def test_durations_have_two_digits_that_count(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


def test_what_a_terminal_would_obey_is_made_visible_and_numbers_stay() -> None:
    assert words.printable(f"{words.number(1_809)} dead") == "1\u202f809 dead"
    assert words.printable("a\x1b[2J\n\u2028\ud800b") == r"a\x1b[2J\n\u2028\ud800b"


def test_numbers_are_grouped_and_bounded() -> None:
    assert words.number(1_234_567) == "1\u202f234\u202f567"
    assert words.count_of(10_000, 10_000) == "10\u202f000+"
    assert words.count_of(9, 10) == "9"
    assert [words.rate(pace) for pace in (0.0, 0.5, 1.5, 12.4)] == [
        "0/min",
        "30/min",
        "1.5/s",
        "12/s",
    ]
    assert [words.size(count) for count in (7, 1_500, 2_000_000, 3e13)] == [
        "7 bytes", "1.5 kB", "2.0 MB", "30 TB",
    ]  # fmt: skip
    assert [words.share(part, 200) for part in (0, 0.1, 3, 100)] == ["0%", "<0.1%", "1.5%", "50%"]
    assert words.relative(NOW + timedelta(seconds=90), NOW) == "in 1 min 30 s"
    assert words.relative(NOW - timedelta(hours=2), NOW) == "2 h ago"
    assert words.relative(NOW, NOW) == "now"


def test_workers_that_rest_are_told_where_jobs_wait_for_them() -> None:
    quiet = WORKER._replace(quiet_at=NOW)
    stops = WORKER._replace(id=2, stopping_at=NOW)
    waits = [Depth("default", 3, 90.0)]
    for resting in ([quiet], [stops], [quiet, stops]):
        told = [finding for finding in findings(WELL, resting, waits) if finding.advice]
        assert [finding.what for finding in told] == [
            "Every worker is quiet or stops, so nothing starts."
        ]
        assert "--resume" in told[0].advice
    elsewhere = WORKER._replace(id=3, queues=["email"])
    told = [finding for finding in findings(WELL, [quiet, elsewhere], waits) if finding.advice]
    assert [finding.what for finding in told] == [
        "Every worker on the queue default, where jobs wait, is quiet or stops."
    ]
    told = [finding for finding in findings(WELL, [quiet, WORKER], waits) if finding.advice]
    assert ["has waited" in finding.what for finding in told] == [True]


def test_a_database_that_is_well_needs_nothing() -> None:
    told = findings(WELL, [WORKER], [])
    assert {finding.level for finding in told} == {"good"}
    assert not any(finding.advice for finding in told)


@pytest.mark.parametrize(
    ("change", "level", "what", "advice"),
    [
        ({"snapshot": 90.0, "snapshot_pid": 42, "snapshot_user": "ada"}, "warning",
         "is open for 1 min 30 s", "pg_terminate_backend(42)"),
        ({"snapshot": 900.0, "snapshot_name": "dump"}, "bad", "A transaction (dump", "terminate"),
        ({"prepared": 900.0}, "bad", "A prepared transaction", "rollback prepared"),
        ({"slot": "old", "slot_age": 2_000_000}, "bad", "replication slot old", "drop"),
        ({"dead": 200_000}, "warning", "dead ones", "vacuum"),
        ({"notifies": False}, "warning", "poll", "listen="),
        ({"listeners": 0}, "warning", "No worker hears NOTIFY", "listen_dsn="),
        ({"queue_usage": 0.6}, "bad", "full to 60%", "pg_stat_activity"),
        ({"connections": 90}, "warning", "90 of 100 connections", "max_connections"),
        ({"is_hidden": True}, "good", "cannot be seen", "grant pg_monitor"),
    ],
)  # fmt: skip
def test_what_slows_a_queue_down_is_said_with_what_to_do(
    change: dict[str, Any], level: str, what: str, advice: str
) -> None:
    from dataclasses import replace

    told = findings(replace(WELL, **change), [WORKER], [])
    [found] = [finding for finding in told if what in finding.what]
    assert found.level == level
    assert advice in found.advice
    if level != "good":
        assert told[0] == found


def test_queues_that_nobody_serves_and_workers_that_are_silent_are_told() -> None:
    depths = [Depth("default", 3, 120.0), Depth("email", 1, 1.0)]
    told = [finding.what for finding in findings(None, [WORKER], depths)]
    assert told[0] == "Nobody works on the queue email, where jobs wait."
    assert "The oldest job of the queue default has waited 2 min." in told
    silent = WORKER._replace(silent=45.0)
    told = [finding.what for finding in findings(None, [silent, WORKER], [])]
    assert told == ["The worker one on here has been silent for 45 s."]
    assert findings(None, [silent], depths)[0].what == "No worker runs."


async def test_an_answer_is_shared_by_all_who_ask_and_survives_who_goes_away() -> None:
    reads, go_on = [], asyncio.Event()

    async def read() -> int:
        reads.append(1)
        await go_on.wait()
        return len(reads)

    fresh = Fresh(read, 60.0)
    asking = [asyncio.ensure_future(fresh.get()) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    go_on.set()
    assert await asyncio.gather(*asking[1:]) == [1, 1]
    assert await fresh.get() == 1
    fresh.forget()
    assert await fresh.get() == 2


async def test_an_error_is_told_and_asked_about_again() -> None:
    answers: list[Any] = [StorageUnavailableError("away"), 7]

    async def read() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    fresh = Fresh(read, 60.0)
    with pytest.raises(StorageUnavailableError):
        await fresh.get()
    assert await fresh.get() == 7
