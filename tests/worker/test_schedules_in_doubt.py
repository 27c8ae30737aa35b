"""Schedules whose runs have a key that an open transaction has too."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from asyncjobs import (
    JobManager,
    KeyInDoubtError,
    PostgresAdapter,
    RowRefusedError,
    WorkerGroup,
    current_job,
)
from asyncjobs.schedule_types import DueSchedules, Fired, Schedule
from asyncjobs.worker import firing, troubles
from asyncjobs.worker.firing import Firing
from asyncjobs.worker.troubles import Troubles
from worker.at_work import PATIENCE, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from asyncjobs.schedule_types import Plan


START = datetime(2026, 1, 1, tzinfo=UTC)


class App:
    """Jobs that tick each second, and what ran."""

    def __init__(self, dsn: str) -> None:
        self.jobs: Any = JobManager(
            adapters={"main": PostgresAdapter(dsn)}, workers=[WorkerGroup(adapter="main")]
        )
        self.later = self.jobs.create_scheduler(adapter="main")
        self.unique_ran = asyncio.Event()
        self.ran: set[int] = set()
        self.lateness: list[float] = []
        self.ticked = asyncio.Event()

        @self.jobs.job(unique=True, on_conflict="raise")
        async def unique(number: int) -> None:
            self.ran.add(number)
            self.unique_ran.set()

        @self.jobs.job(every=1)
        async def plain() -> None:
            tick = current_job().tick
            assert tick is not None
            self.lateness.append((datetime.now(UTC) - tick).total_seconds())
            self.ticked.set()

        self.unique = unique

    async def until_ticked(self, times: int) -> None:
        wanted = len(self.lateness) + times
        with anyio.fail_after(PATIENCE):
            while len(self.lateness) < wanted:
                self.ticked.clear()
                await self.ticked.wait()

    async def until_ran(self, numbers: set[int]) -> None:
        with anyio.fail_after(PATIENCE):
            while not self.ran >= numbers:
                self.unique_ran.clear()
                await self.unique_ran.wait()


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[App]:
    app = App(dsn)
    async with app.jobs:
        yield app


async def test_one_is_late_and_nothing_else(
    app: App, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(troubles, "LONG", 0.5)
    transaction = database.transaction()
    await transaction.start()
    await app.later(app.unique(1), connection=database)
    for number in (1, 2):
        await app.later(app.unique(number), every=1, name=f"unique {number}")
    with structlog.testing.capture_logs() as lines:
        async with working(app.jobs):
            await app.until_ran({2})
            await app.until_ticked(3)
            assert app.ran == {2}
            await transaction.rollback()
            await app.until_ran({1})
    told = [line for line in lines if line["event"] == "schedule.in_doubt"]
    assert [line["schedule"] for line in told] == ["unique 1"]
    assert {"schedules.delayed", "heartbeat.failed"}.isdisjoint(line["event"] for line in lines)


async def test_many_delay_no_other(app: App, database: Any) -> None:
    numbers = set(range(60))
    transaction = database.transaction()
    await transaction.start()
    calls = [app.unique(number) for number in numbers]
    await app.later.many(calls, connection=database)
    for number in numbers | {100}:
        await app.later(app.unique(number), every=1, name=f"unique {number}")
    async with working(app.jobs):
        await app.until_ticked(4)
        await app.until_ran({100})
        assert max(app.lateness) < 5.0  # it was more than 15
        await transaction.rollback()
        await app.until_ran(numbers)


def a_moment(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(troubles.time, "monotonic", lambda: seconds)


def test_one_in_trouble_is_tried_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Troubles(structlog.get_logger())
    moment = 100.0
    a_moment(monkeypatch, moment)
    assert found.next_in() is None
    pauses = []
    for _ in range(8):
        found.add("a", troubles.IN_DOUBT)
        assert found.due() == []
        pause = found.next_in()
        assert pause is not None
        pauses.append(pause)
        moment += pause + 1e-9
        a_moment(monkeypatch, moment)
        assert found.due() == ["a"]
    assert pauses == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])


def test_the_newest_trouble_is_tried_first_and_tries_in_vain_take_a_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Troubles(structlog.get_logger())
    a_moment(monkeypatch, 100.0)
    for _ in range(9):
        found.add("old", troubles.IN_DOUBT)
    a_moment(monkeypatch, 100.9)
    found.add("new", troubles.IN_DOUBT)
    a_moment(monkeypatch, 102.0)
    assert found.due() == ["new", "old"]
    found.rest(0.1)
    assert found.due() == []
    assert found.next_in() == pytest.approx(0.4)


def test_one_that_gets_through_has_all_tried_and_one_that_others_fired_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Troubles(structlog.get_logger())
    a_moment(monkeypatch, 100.0)
    for name in ("a", "b", "c"):
        found.add(name, troubles.IN_DOUBT)
    found.keep({"b", "c", "d"})
    assert [name for name in "abcd" if name in found] == ["b", "c"]
    assert found.due() == []
    found.settle("c")
    assert found.due() == ["b"]
    found.settle("b")
    assert found.next_in() is None


class Scripted:
    """Schedules that say of each whether its run can be made."""

    def __init__(self, refused: set[str], doubtful: set[str]) -> None:
        self.refused, self.doubtful = refused, doubtful
        self.locked: set[str] = set()
        self.fired: set[str] = set()
        self.tries = 0

    async def advance(self, plans: Sequence[Plan]) -> Fired:
        self.tries += 1
        names = {plan.name for plan in plans}
        if names & self.refused:
            raise RowRefusedError("odd")
        if names & self.doubtful:
            raise KeyInDoubtError
        self.fired |= names - self.locked
        return Fired(sorted(names - self.locked), [])

    async def report(self, name: str, problem: str) -> bool:
        return True


@pytest.mark.parametrize("is_unique", [False, True])
async def test_whatever_cannot_run_the_others_do_within_few_looks(
    monkeypatch: pytest.MonkeyPatch, is_unique: bool
) -> None:
    monkeypatch.setattr(firing, "TURN", 1e-9)  # one try of a unique one at each look
    refused = {f"refused {number}" for number in range(80)}
    doubtful = {f"doubtful {number}" for number in range(80)} if is_unique else set()
    storage = Scripted(refused, doubtful)
    one = Firing(storage, structlog.get_logger())  # type: ignore[arg-type]
    good = {f"good {number}" for number in range(80)}
    names = sorted(refused | doubtful | good)
    schedules = [a_row(name, START, is_unique=is_unique) for name in names]
    looks = 0
    while not good <= storage.fired:
        due = [row for row in schedules if row.name not in storage.fired]
        await one.fire(DueSchedules(START + timedelta(seconds=9), due, None))
        looks += 1
        assert looks < 600
    assert storage.fired == good


async def test_one_in_trouble_that_somebody_has_locked_is_tried_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = Scripted(set(), {"one"})
    one = Firing(storage, structlog.get_logger())  # type: ignore[arg-type]
    due = DueSchedules(START, [a_row("one", START, is_unique=True)], None)
    a_moment(monkeypatch, 100.0)
    await one.fire(due)
    storage.doubtful, storage.locked = set(), {"one"}
    a_moment(monkeypatch, 100.03)
    await one.fire(due)
    assert storage.tries == 2
    a_moment(monkeypatch, 100.04)
    await one.fire(due)
    assert storage.tries == 2
    storage.locked = set()
    a_moment(monkeypatch, 100.08)
    await one.fire(due)
    assert storage.fired == {"one"}


async def test_more_that_are_due_than_one_look_takes_wait_for_those_in_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = Scripted(set(), {"one"})
    one = Firing(storage, structlog.get_logger())  # type: ignore[arg-type]
    due = DueSchedules(START, [a_row("one", START, is_unique=True)], 0.0)
    a_moment(monkeypatch, 100.0)
    _, next_in = await one.fire(due)
    assert next_in == pytest.approx(troubles.FIRST)  # and not at once, for ever


def a_row(name: str, start: datetime, *, is_unique: bool) -> Schedule:
    facts: dict[str, Any] = dict.fromkeys(Schedule._fields)
    facts |= {"name": name, "job": "job", "every": timedelta(hours=1), "starting_at": start}
    facts |= {"after_at": start - timedelta(hours=2), "next_at": start, "catch_up": "once"}
    return Schedule(**facts | {"extras": '{"unique": 1}' if is_unique else None})
