"""Schedules whose runs have a key that an open transaction has too."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
import structlog

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job
from asyncjobs.worker import doubts
from asyncjobs.worker.doubts import Doubts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 60.0


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

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.jobs.work(stop))
        try:
            yield
        finally:
            stop.set()
            await task


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[App]:
    app = App(dsn)
    async with app.jobs:
        yield app


@pytest.fixture
async def theirs(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_one_is_late_and_nothing_else(
    app: App, theirs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "LONG", 0.5)
    transaction = theirs.transaction()
    await transaction.start()
    await app.later(app.unique(1), connection=theirs)
    for number in (1, 2):
        await app.later(app.unique(number), every=1, name=f"unique {number}")
    with structlog.testing.capture_logs() as lines:
        async with app.working():
            await app.until_ran({2})
            await app.until_ticked(3)
            assert app.ran == {2}
            await transaction.rollback()
            await app.until_ran({1})
    told = [line for line in lines if line["event"] == "schedule.in_doubt"]
    assert [line["schedule"] for line in told] == ["unique 1"]
    assert {"schedules.delayed", "heartbeat.failed"}.isdisjoint(line["event"] for line in lines)


async def test_many_delay_no_other(app: App, theirs: Any) -> None:
    numbers = set(range(60))
    transaction = theirs.transaction()
    await transaction.start()
    calls = [app.unique(number) for number in numbers]
    await app.later.many(calls, connection=theirs)
    for number in numbers | {100}:
        await app.later(app.unique(number), every=1, name=f"unique {number}")
    async with app.working():
        await app.until_ticked(4)
        await app.until_ran({100})
        assert max(app.lateness) < 5.0  # it was more than 15
        await transaction.rollback()
        await app.until_ran(numbers)


def a_moment(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(doubts.time, "monotonic", lambda: seconds)


def test_those_in_doubt_are_tried_in_turn_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Doubts(structlog.get_logger())
    a_moment(monkeypatch, 100.0)
    assert found.next_in() is None
    for name in ("a", "b", "c"):
        found.add(name)
    assert found.pick() is None
    moments, picked = [], []
    for _ in range(9):
        wait = found.next_in()
        assert wait is not None
        moments.append(wait)
        a_moment(monkeypatch, 100.0 + sum(moments))
        picked.append(name := found.pick())
        assert name is not None
        found.add(name)
    assert picked == ["a", "b", "c"] * 3
    assert moments == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0])


def test_one_that_gets_through_frees_all_and_one_that_others_fired_only_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Doubts(structlog.get_logger())
    a_moment(monkeypatch, 100.0)
    for name in ("a", "b", "c"):
        found.add(name)
    found.keep({"b", "c", "d"})
    assert [name for name in "abcd" if name in found] == ["b", "c"]
    found.drop("c")
    assert [name for name in "abcd" if name in found] == ["b"]
    found.clear()
    assert "b" not in found
    assert found.next_in() is None
