"""Claims behind marks: here they are made always, however quick claims from the head are."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
from load import hearing

from asyncjobs import PostgresAdapter
from asyncjobs.storage.postgres import claims, marks
from asyncjobs.storage.postgres.statements import Statements
from asyncjobs.types import (
    ALL_QUEUES,
    ClaimedJob,
    Extras,
    JobState,
    Names,
    NewJob,
    Outcome,
    Unique,
    WorkerInfo,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUEUES = ["default", "email"]


@pytest.fixture
def always_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "SLOW", -1.0)
    monkeypatch.setattr(claims, "SLOW_ROW", 0.0)
    monkeypatch.setattr(claims, "SLOW_RUN", 1)


@pytest.fixture
def no_sweeps(monkeypatch: pytest.MonkeyPatch, always_slow: None) -> None:
    monkeypatch.setattr(claims, "SHARE", 1_000_000)
    monkeypatch.setattr(claims, "MAX_WAIT", 600.0)


@pytest.fixture
async def adapter(dsn: str) -> AsyncIterator[PostgresAdapter]:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    yield adapter
    await adapter.close()


async def register(adapter: PostgresAdapter) -> int:
    info = WorkerInfo("test.0", "*", QUEUES, "here", "here", 1, 1.0, 3600.0)
    return await adapter.register(info)


def row(queue: str = "default", priority: int = 50) -> NewJob:
    return NewJob("note", queue, priority, "{}")


async def test_claims_go_on_where_the_last_one_ended(
    adapter: PostgresAdapter, no_sweeps: None
) -> None:
    worker = await register(adapter)
    stored = await adapter.enqueue([row() for _ in range(30)])
    claimed = [job for _ in range(4) for job in await adapter.claim(worker, QUEUES, 10)]
    assert [job.id for job in claimed] == [job.id for job in stored]
    later = await adapter.enqueue([row()])
    assert [job.id for job in await adapter.claim(worker, QUEUES, 10)] == [later[0].id]


async def test_claims_by_name_go_on_behind_those_that_they_passed_by(
    adapter: PostgresAdapter, no_sweeps: None
) -> None:
    worker = await register(adapter)
    others = Names(("note",), inside=False)
    notes = await adapter.enqueue([row() for _ in range(20)])
    [greeting] = await adapter.enqueue([NewJob("greet", "default", 50, "{}")])
    assert [job.id for job in await adapter.claim(worker, QUEUES, 10, others)] == [greeting.id]
    # The head is not looked at again: what goes back there waits for a sweep.
    await adapter.finish(worker, [Outcome(greeting.id, 1, "available", refund=True)])
    [second] = await adapter.enqueue([NewJob("greet", "default", 50, "{}")])
    assert [job.id for job in await adapter.claim(worker, QUEUES, 10, others)] == [second.id]
    # Claims of all have marks of their own.
    claimed = await adapter.claim(worker, QUEUES, 100)
    assert {job.id for job in claimed} == {job.id for job in notes} | {greeting.id}


def given_back(jobs: list[ClaimedJob]) -> list[Outcome]:
    return [Outcome(job.id, job.attempt, "available", refund=True) for job in jobs]


async def test_the_first_claim_may_be_slow_already(
    adapter: PostgresAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slow is what takes longer than a round trip, and that is known before.
    for name, value in {"SLOW": 0.0, "SLOW_ROW": 0.0, "SLOW_RUN": 1, "SHARE": 1_000_000}.items():
        monkeypatch.setattr(claims, name, value)
    worker = await register(adapter)
    stored = await adapter.enqueue([row() for _ in range(20)])
    first = await adapter.claim(worker, QUEUES, 10)
    await adapter.finish(worker, given_back(first))
    second = await adapter.claim(worker, QUEUES, 10)
    assert [job.id for job in second] == [job.id for job in stored[10:]]


@pytest.mark.parametrize(
    ("limit", "priorities", "is_behind"),
    [
        (claims.MANY, 1, True),
        (claims.MANY - 1, 1, False),  # few are wanted: then the head has the first word
        (claims.MANY, claims.FEW_MARKS + 2, False),
    ],
)
async def test_a_claim_that_found_very_many_is_followed_by_one_behind_its_mark(
    adapter: PostgresAdapter,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    priorities: int,
    is_behind: bool,
) -> None:
    monkeypatch.setattr(claims, "SLOW", 60.0)
    monkeypatch.setattr(claims, "SHARE", 1_000_000)
    monkeypatch.setattr(claims, "MAX_WAIT", 600.0)
    worker = await register(adapter)
    await adapter.enqueue([row(priority=number) for number in range(1, priorities)])
    await adapter.claim(worker, QUEUES, claims.MANY - 1)  # all of these
    await adapter.enqueue([row() for _ in range(2 * limit)])
    first = await adapter.claim(worker, QUEUES, limit)
    await adapter.finish(worker, given_back(first))
    second = await adapter.claim(worker, QUEUES, limit)
    assert len(second) == limit
    assert ({job.id for job in first}.isdisjoint(job.id for job in second)) is is_behind


async def test_a_queue_of_the_same_priority_does_not_starve(
    adapter: PostgresAdapter, no_sweeps: None
) -> None:
    worker = await register(adapter)
    await adapter.enqueue([row(queue) for queue in QUEUES])
    await adapter.claim(worker, QUEUES, 10)  # both are known from here on
    await adapter.enqueue([row(queue) for _ in range(50) for queue in QUEUES])
    claimed = await adapter.claim(worker, QUEUES, 20)
    assert [job.queue for job in claimed] == QUEUES * 10


async def test_an_urgent_job_of_a_new_priority_is_heard_of(
    adapter: PostgresAdapter, no_sweeps: None
) -> None:
    worker = await register(adapter)
    async with hearing(adapter) as heard:
        await heard.get()
        await adapter.enqueue([row() for _ in range(30)])
        await adapter.claim(worker, QUEUES, 10)
        [urgent] = await adapter.enqueue([row(priority=1)])
        while (await heard.get()).priority != 1:
            pass
        claimed = await adapter.claim(worker, QUEUES, 5)
    assert claimed[0].id == urgent.id


async def test_a_job_that_was_committed_late_is_found_by_a_sweep(
    adapter: PostgresAdapter, dsn: str, always_slow: None
) -> None:
    worker = await register(adapter)
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    [late] = await adapter.enqueue([row()], connection=connection)
    await adapter.enqueue([row() for _ in range(20)])
    for _ in range(3):
        await adapter.claim(worker, QUEUES, 10)
    await transaction.commit()
    await connection.close()
    with anyio.fail_after(20):
        while not (claimed := await adapter.claim(worker, QUEUES, 10)):
            await asyncio.sleep(0.001)
    assert [job.id for job in claimed] == [late.id]


@pytest.mark.parametrize(
    "late",
    [
        [row()],
        [row(), row()],
        [row(), row(priority=51)],
        [row()._replace(extras=Extras(tags=("late",)))],
        [row()._replace(extras=Extras(unique=Unique("6c617465", (JobState.AVAILABLE,))))],
        "select asyncjobs.enqueue('note')",
        "select asyncjobs.enqueue('note', unique_key => 'late')",
    ],
    ids=["one", "alike", "different", "special", "unique", "by SQL", "unique by SQL"],
)
async def test_a_job_that_was_committed_late_is_found_where_its_notification_says(
    adapter: PostgresAdapter, dsn: str, no_sweeps: None, late: list[NewJob] | str
) -> None:
    worker = await register(adapter)
    connection = await asyncpg.connect(dsn)
    async with hearing(adapter) as heard:
        while not (await heard.get()).proven:
            pass
        transaction = connection.transaction()
        await transaction.start()
        if isinstance(late, str):
            stored = [await connection.fetchval(late)]
        else:
            stored = [job.id for job in await adapter.enqueue(late, connection=connection)]
        await adapter.enqueue([row() for _ in range(20)])
        await adapter.enqueue([row(priority=51)])
        assert len(await adapter.claim(worker, QUEUES, 30)) == 21
        while not heard.empty():
            heard.get_nowait()
        assert await adapter.claim(worker, QUEUES, 30) == []
        await transaction.commit()
        while not (await heard.get()).ready:
            pass
        claimed = await adapter.claim(worker, QUEUES, 30)
    assert [job.id for job in claimed] == stored
    await connection.close()


@pytest.mark.parametrize("how", ["promoted", "retried", "rescheduled", "let in"])
async def test_a_job_that_becomes_available_late_is_found_where_its_notification_says(
    adapter: PostgresAdapter, dsn: str, no_sweeps: None, how: str
) -> None:
    worker = await register(adapter)
    connection, sql = await asyncpg.connect(dsn), Statements.load("asyncjobs")
    lane = Extras(lane="key:late") if how == "let in" else None
    wait = 3_600.0 if how in {"promoted", "rescheduled"} else None
    [late] = await adapter.enqueue([row()._replace(wait=wait, extras=lane)])
    statement, values = {
        "promoted": (sql.promote_jobs, (10,)),
        "retried": (sql.retry_jobs, ([late.id], None, None, None, None)),
        "rescheduled": (sql.reschedule_jobs, ([late.id], None, 0.0, None)),
        "let in": (sql.admit_jobs, (["key:late"], 10)),
    }[how]
    if how == "promoted":
        await connection.execute("update asyncjobs.jobs set run_at = now()")
    if how == "retried":
        await adapter.cancel([late.id], interrupt=True)
    async with hearing(adapter) as heard:
        while not (await heard.get()).proven:
            pass
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch(statement, *values, "asyncjobs_asyncjobs")
        await adapter.enqueue([row() for _ in range(20)])
        assert len(await adapter.claim(worker, QUEUES, 30)) == 20
        while not heard.empty():
            heard.get_nowait()
        await transaction.commit()
        while not (await heard.get()).ready:
            pass
        claimed = await adapter.claim(worker, QUEUES, 30)
    assert [job.id for job in claimed] == [late.id]
    await connection.close()


def claimed_at(position: int, queue: str = "default") -> ClaimedJob:
    return ClaimedJob(position, "note", queue, 50, 1, datetime.now(UTC), "{}", position, 0)


def test_a_mark_goes_back_also_for_what_was_told_while_a_claim_was_under_way() -> None:
    found = marks.Marks()
    told = found.begin()
    found.go_back(frozenset({"default"}), 70)
    found.learn([claimed_at(80), claimed_at(80, "email")], told, exhausted=True)
    assert found.columns(QUEUES) == (QUEUES, [50, 50], [69, 80])
    found.end(told)
    told = found.begin()  # which sees what was told
    found.learn([claimed_at(90)], told, exhausted=True)
    assert found.columns(["default"]) == (["default"], [50], [90])


def test_a_claim_of_another_worker_does_not_make_forget_what_was_told() -> None:
    found = marks.Marks()
    mine = found.begin()
    found.go_back(frozenset({"default"}), 70)
    theirs = found.begin()
    found.learn([claimed_at(75, "email")], theirs, exhausted=True)
    found.end(theirs)
    found.learn([claimed_at(80)], mine, exhausted=True)
    assert found.columns(["default"]) == (["default"], [50], [69])


def test_too_many_queues_for_one_notification_are_all_of_them() -> None:
    found = marks.Marks()
    found.learn([claimed_at(80), claimed_at(80, "email")], {}, exhausted=True)
    found.expect(frozenset({ALL_QUEUES}), 10)
    found.go_back(frozenset({ALL_QUEUES}), 70)
    assert found.columns(QUEUES) == (["default", "email"] * 2, [50, 50, 10, 10], [69, 69, -1, -1])


def test_what_is_far_back_does_not_hide_what_is_near() -> None:
    found = marks.Marks()
    found.learn([claimed_at(20_000)], {}, exhausted=True)
    told = found.begin()
    for first in (100, 20_005):
        found.go_back(frozenset({"default"}), first)
    found.learn([claimed_at(20_010)], told, exhausted=True)
    assert found.columns(QUEUES) == (["default"], [50], [20_004])


def test_a_mark_does_not_go_far_back_and_never_forward() -> None:
    found = marks.Marks()
    found.learn([claimed_at(20_000)], {}, exhausted=True)
    for first in (20_000 - marks.FAR, 20_001, 30_000):
        found.go_back(frozenset({"default"}), first)
        assert found.columns(QUEUES) == (["default"], [50], [20_000])
    found.go_back(frozenset({"default"}), 20_001 - marks.FAR)
    assert found.columns(QUEUES) == (["default"], [50], [20_000 - marks.FAR])


async def test_workers_are_reminded_of_the_sweep_that_is_due(
    adapter: PostgresAdapter, always_slow: None
) -> None:
    worker = await register(adapter)
    async with hearing(adapter) as heard:
        while not (await heard.get()).missed:
            pass
        await adapter.claim(worker, QUEUES, 10)
        await adapter.claim(worker, QUEUES, 10)
        while (await heard.get()).ready != frozenset(QUEUES):
            pass


async def test_more_priorities_than_marks_are_claimed_all_the_same(
    adapter: PostgresAdapter, always_slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "MAX_MARKS", 5)
    worker = await register(adapter)
    await adapter.enqueue([row(priority=number % 40) for number in range(200)])
    claimed: list[Any] = []
    with anyio.fail_after(20):
        while len(claimed) < 200:
            claimed += await adapter.claim(worker, QUEUES, 7)
    assert len({job.id for job in claimed}) == 200


class Traffic:
    """Transactions that commit late or not at all, and workers that give some jobs back."""

    def __init__(self, dsn: str, seed: int) -> None:
        self.dsn, self.chance = dsn, random.Random(seed)
        self.wanted: set[int] = set()
        self.done: list[int] = []
        self.storing = 6

    async def store(self, adapter: PostgresAdapter) -> None:
        connection = await asyncpg.connect(self.dsn)
        for _ in range(15):
            transaction = connection.transaction()
            await transaction.start()
            rows = [self.row() for _ in range(self.chance.randint(1, 20))]
            stored = await adapter.enqueue(rows, connection=connection)
            await asyncio.sleep(self.chance.random() * 0.02)
            if self.chance.random() < 0.2:
                await transaction.rollback()
            else:
                self.wanted.update(job.id for job in stored)
                await transaction.commit()
        await connection.close()
        self.storing -= 1

    def row(self) -> NewJob:
        queue, priority = self.chance.choice(QUEUES), self.chance.choice([-5, 50, 50, 60])
        return row(queue, priority)._replace(wait=self.chance.choice([None, None, 0.02]))

    async def work(self, adapter: PostgresAdapter) -> None:
        worker = await register(adapter)
        while self.storing or len(self.done) < len(self.wanted):
            await adapter.promote(100)
            jobs = await adapter.claim(worker, QUEUES, self.chance.randint(1, 30))
            await asyncio.sleep(self.chance.random() * 0.003)
            await adapter.finish(worker, [self.outcome(job) for job in jobs])

    def outcome(self, job: ClaimedJob) -> Outcome:
        if self.chance.random() < 0.2:
            state: Any = self.chance.choice(["available", "scheduled"])
            return Outcome(job.id, job.attempt, state, refund=True)
        self.done.append(job.id)
        return Outcome(job.id, job.attempt, "succeeded", delete=True)


@pytest.mark.parametrize("seed", range(6))
async def test_every_job_is_claimed_once_whatever_commits_when(
    dsn: str, always_slow: None, seed: int
) -> None:
    traffic = Traffic(dsn, seed)
    adapters = [PostgresAdapter(dsn) for _ in range(3)]
    for adapter in adapters:
        await adapter.open()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(traffic.storing):
                tasks.start_soon(traffic.store, adapters[0])
            for adapter in adapters:
                tasks.start_soon(traffic.work, adapter)
    assert sorted(traffic.done) == sorted(traffic.wanted)
    for adapter in adapters:
        await adapter.close()


async def test_a_claim_that_meets_another_workers_is_made_again_soon(
    adapter: PostgresAdapter, dsn: str
) -> None:
    worker = await register(adapter)
    await adapter.enqueue([row() for _ in range(5)])
    [behind] = await adapter.enqueue([row("email")])
    other = await asyncpg.connect(dsn)
    async with hearing(adapter) as heard:
        while not (await heard.get()).missed:
            pass
        async with other.transaction():
            statement = Statements.load("asyncjobs").claim_queue
            assert len(await other.fetch(statement, worker, "default", 5)) == 5
            assert await adapter.claim(worker, QUEUES, 5) == []
        while (await heard.get()).ready != frozenset(QUEUES):
            pass
        assert [job.id for job in await adapter.claim(worker, QUEUES, 5)] == [behind.id]
        assert await adapter.claim(worker, QUEUES, 5) == []
    assert heard.empty()
    await other.close()
