"""The kit for users' tests: what it accepts, what it refuses, and how it says so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import (
    Cancel,
    ExpiredError,
    JobManager,
    MemoryAdapter,
    NotAJobError,
    PostgresAdapter,
    RateLimit,
    Snooze,
    UnknownQueueError,
    WaitError,
    WorkerGroup,
    current_job,
)
from asyncjobs.testing import JobsKit, MovableClock, in_memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from asyncjobs.hooks import OutcomeWord


class App:
    def __init__(self) -> None:
        nowhere = PostgresAdapter("postgresql://nobody@127.0.0.1:1/none")
        self.jobs = JobManager(adapters={"main": nowhere}, queues=["default", "email"])
        self.later = self.jobs.create_scheduler(adapter="main")
        self.sent: list[Any] = []

        @self.jobs.job(queue="email", max_attempts=3)
        async def send(user_id: int, on: date | None = None) -> None:
            self.sent.append((user_id, on))

        @self.jobs.job(max_attempts=2)
        async def fragile() -> None:
            raise OSError(f"attempt {current_job().attempt}")

        @self.jobs.job
        async def first() -> None:
            await self.later(send(99))

        self.send, self.fragile, self.first = send, fragile, first


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def jobs_kit_manager(app: App) -> JobManager:
    return app.jobs


async def test_what_was_enqueued_is_found_by_job_call_and_arguments(
    app: App, jobs_kit: JobsKit
) -> None:
    await app.later(app.send(7, date(2031, 1, 1)), wait=60)
    await app.later(app.send(8), connection=object())
    record = await jobs_kit.assert_enqueued(app.send)
    assert record.queue == "email"
    await jobs_kit.assert_enqueued(app.send, {"on": date(2031, 1, 1)}, within=60, count=1)
    await jobs_kit.assert_enqueued(app.send, [8], within=timedelta(0))
    await jobs_kit.assert_enqueued(app.send(7, date(2031, 1, 1)), queue="email")
    await jobs_kit.assert_enqueued(app.send, count=2)
    await jobs_kit.refute_enqueued(app.send, {"user_id": 7}, within=59)
    await jobs_kit.refute_enqueued(app.send, [7])
    await jobs_kit.refute_enqueued(app.fragile)
    await jobs_kit.refute_enqueued(app.send, queue="default")


async def test_an_argument_that_is_not_given_is_its_default(jobs_kit: JobsKit) -> None:
    @jobs_kit.jobs.job
    async def remind(user_id: int, urgent: bool = False, note: str = "") -> None: ...

    later = jobs_kit.jobs.schedulers[0]
    await later(remind(7))
    await later(remind(8, False, ""))
    for same in (remind(7), remind(7, False), remind(7, note=""), remind(8), remind(8, False)):
        await jobs_kit.assert_enqueued(same, count=1)
    for args in ([7], [8, False], [7, False, ""]):
        await jobs_kit.assert_enqueued(remind, args, count=1)
    await jobs_kit.assert_enqueued(remind, {"urgent": False, "note": ""}, count=2)
    for other in (remind(7, True), remind(8, note="x"), remind(9)):
        await jobs_kit.refute_enqueued(other)
    await jobs_kit.refute_enqueued(remind, {"urgent": True})


async def test_what_does_not_fit_is_said_with_what_there_is(app: App, jobs_kit: JobsKit) -> None:
    with pytest.raises(AssertionError, match=r"no jobs send\(…\) are enqueued; nothing is"):
        await jobs_kit.assert_enqueued(app.send)
    await app.later(app.send(7))
    with pytest.raises(AssertionError, match=r'no jobs send\(\{"user_id": 8\}\)[\s\S]*"user_id":7'):
        await jobs_kit.assert_enqueued(app.send, {"user_id": 8})
    with pytest.raises(AssertionError, match="1, not 2, jobs send"):
        await jobs_kit.assert_enqueued(app.send, count=2)
    with pytest.raises(AssertionError, match=r"0, not 2, jobs send.* in default are enqueued"):
        await jobs_kit.assert_enqueued(app.send, queue="default", count=2)
    with pytest.raises(AssertionError, match=r"no jobs send\(…\) in default within 60 s are enq"):
        await jobs_kit.assert_enqueued(app.send, queue="default", within=60)
    with pytest.raises(AssertionError, match=r"send\(…\) in email is enqueued"):
        await jobs_kit.refute_enqueued(app.send, queue="email")
    with pytest.raises(TypeError, match="has no argument 'usr_id'"):
        await jobs_kit.assert_enqueued(app.send, {"usr_id": 8})
    with pytest.raises(TypeError, match="not both"):
        await jobs_kit.assert_enqueued(app.send(7), [7])


async def test_what_no_job_can_fit_is_refused(app: App, jobs_kit: JobsKit) -> None:
    await app.later(app.send(7))
    for check in (jobs_kit.assert_enqueued, jobs_kit.refute_enqueued):
        with pytest.raises(UnknownQueueError, match=r"'emial'.*did you mean 'email'"):
            await check(app.send, queue="emial")
        with pytest.raises(WaitError, match=r"within must be from 0 to .* s, got -1 s"):
            await check(app.send, within=-1)
    with pytest.raises(ValueError, match="count must be at least 1, got 0: refute_enqueued says"):
        await jobs_kit.assert_enqueued(app.fragile, count=0)


async def test_draining_runs_what_is_due_and_what_that_schedules(
    app: App, jobs_kit: JobsKit
) -> None:
    await app.later(app.first())
    await app.later(app.send(7), wait=3600)
    assert await jobs_kit.drain() == Counter(succeeded=2)
    assert app.sent == [(99, None)]
    before = jobs_kit.clock()
    assert await jobs_kit.drain(scheduled=True) == Counter(succeeded=1)
    assert jobs_kit.clock() - before == timedelta(hours=1)
    assert await jobs_kit.enqueued() == []


async def test_draining_raises_the_error_of_a_job(app: App, jobs_kit: JobsKit) -> None:
    await app.later(app.fragile())
    await app.later(app.send(7))
    with pytest.raises(OSError, match="attempt 1"):
        await jobs_kit.drain()
    assert app.sent == [(7, None)]
    assert await jobs_kit.drain() == Counter()
    assert await jobs_kit.drain(scheduled=True, raises=False) == Counter(failed=1)


async def test_a_drain_that_never_ends_is_told(
    app: App, jobs_kit: JobsKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.jobs.job
    async def again() -> None:
        await app.later(again(), wait=60)

    monkeypatch.setattr("asyncjobs.testing.kit.MAX_MOVES", 3)
    await app.later(again())
    with pytest.raises(AssertionError, match=r"moved 3 times and jobs are left; .*\n +again"):
        await jobs_kit.drain(scheduled=True)


async def test_a_drain_of_a_job_that_schedules_itself_at_once_is_told(
    app: App, jobs_kit: JobsKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    @app.jobs.job
    async def again(most: int) -> None:
        ran.append(most)
        if len(ran) < most:
            await app.later(again(most))

    monkeypatch.setattr("asyncjobs.testing.kit.MAX_ATTEMPTS", 30)
    async with asyncio.timeout(20):
        await app.later(again(30))
        assert await jobs_kit.drain() == {"succeeded": 30}
        with jobs_kit.perform_inline():
            for most in (10**9, 10**9):
                with pytest.raises(AssertionError, match=r"after 30 attempts.*\n +again"):
                    await app.later(again(most))
        ran.extend(range(100))
        with pytest.raises(AssertionError, match="after 30 attempts"):
            await jobs_kit.drain(scheduled=True)


async def test_draining_counts_every_attempt_by_the_word_for_its_end(jobs_kit: JobsKit) -> None:
    jobs = jobs_kit.jobs
    [later] = jobs.schedulers
    ends: list[Exception] = []

    @jobs.job(max_attempts=3)
    async def work() -> None:
        if ends:
            raise ends.pop(0)

    async def drained(*raised: Exception) -> Counter[OutcomeWord]:
        ends.extend(raised)
        await later(work(), expires=3600)
        return await jobs_kit.drain(scheduled=True, raises=False)

    error, snooze = OSError(), Snooze(60)
    assert await drained() == {"succeeded": 1}
    assert await drained(error) == {"retried": 1, "succeeded": 1}
    assert await drained(error, error, error) == {"retried": 2, "failed": 1}
    assert await drained(error, Cancel("nobody wants it")) == {"retried": 1, "cancelled": 1}
    assert await drained(snooze, snooze) == {"snoozed": 2, "succeeded": 1}
    assert await drained(Snooze(3601)) == {"snoozed": 1, "expired": 1}


async def test_draining_raises_for_a_job_that_expired_but_not_for_a_cancelled_one(
    app: App, jobs_kit: JobsKit
) -> None:
    @app.jobs.job
    async def unwanted() -> None:
        raise Cancel("nobody wants it")

    await app.later(unwanted())
    assert await jobs_kit.drain() == {"cancelled": 1}
    await app.later(app.send(7), expires=60)
    jobs_kit.clock.move(61)
    with pytest.raises(ExpiredError, match="was not started before it expired"):
        await jobs_kit.drain()
    assert app.sent == []


async def test_jobs_run_inline_where_that_is_asked_for(app: App, jobs_kit: JobsKit) -> None:
    with jobs_kit.perform_inline():
        await app.later(app.first())
        assert app.sent == [(99, None)]
        await app.later(app.send(7), wait=60)
        with pytest.raises(OSError, match="attempt 1"):
            await app.later(app.fragile())
    await app.later(app.send(8))
    assert app.sent == [(99, None)]


async def test_each_of_several_tasks_waits_for_its_own_job_that_runs_inline(
    app: App, jobs_kit: JobsKit
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    @app.jobs.job
    async def slow() -> None:
        begun.set()
        await may_end.wait()
        await app.later(app.first())
        assert app.sent == []  # what a job schedules is run by the drain that runs the job

    async def second() -> list[Any]:
        await begun.wait()
        asyncio.get_running_loop().call_soon(may_end.set)
        await app.later(app.send(7))
        return list(app.sent)

    async def third() -> None:
        await begun.wait()
        with pytest.raises(OSError, match="attempt 1"):
            await app.later(app.fragile())

    with jobs_kit.perform_inline():
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(app.later(slow()))
            seen = group.create_task(second())
            group.create_task(third())
        assert seen.result() == [(99, None), (7, None)]
    assert [record.name for record in await jobs_kit.enqueued()] == [app.fragile.name]


async def test_a_job_that_runs_inline_schedules_from_a_thread_of_its_own(
    app: App, jobs_kit: JobsKit
) -> None:
    @app.jobs.job
    async def apart() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: app.later.from_thread(app.send(7)))

    with jobs_kit.perform_inline():
        async with asyncio.timeout(10):
            await app.later(apart())
    assert app.sent == [(7, None)]


async def test_what_a_job_leaves_running_is_no_part_of_the_drain(
    app: App, jobs_kit: JobsKit
) -> None:
    is_over, left = asyncio.Event(), []

    async def go_on() -> list[Any]:
        await is_over.wait()
        await app.later(app.send(7))
        return list(app.sent)

    @app.jobs.job
    async def leave() -> None:
        left.append(asyncio.create_task(go_on()))

    with jobs_kit.perform_inline():
        await app.later(leave())
        is_over.set()
        assert await left[0] == [(7, None)]


async def test_the_clock_says_what_is_due(app: App, jobs_kit: JobsKit) -> None:
    await app.later(app.send(7), wait_until=jobs_kit.clock() + timedelta(days=1))
    jobs_kit.clock.move(timedelta(hours=23))
    assert await jobs_kit.drain() == Counter()
    jobs_kit.clock.move(3600)
    assert await jobs_kit.drain() == Counter(succeeded=1)


async def test_everything_is_as_before_afterwards(app: App) -> None:
    adapters, groups = app.jobs.adapters, app.jobs.workers
    async with in_memory(app.jobs, MovableClock(datetime(2031, 1, 1, tzinfo=UTC))) as kit:
        stored = await app.later(app.send(7))
        assert stored.run_at.year == 2031
        assert app.jobs.adapters is not adapters
        await kit.drain()
    assert (app.jobs.adapters, app.jobs.workers) == (adapters, groups)
    assert app.jobs.hooks.of == {"on_outcome": []}


async def test_the_apps_own_groups_and_resources_are_used() -> None:
    @asynccontextmanager
    async def resources() -> AsyncIterator[dict[str, int]]:
        yield {"answer": 42}

    jobs = JobManager(
        adapters={"main": MemoryAdapter()},
        workers=[WorkerGroup(adapter="main", max_attempts=1)],
        worker_lifespan=resources,
    )
    later = jobs.create_scheduler(adapter="main")
    seen: list[int] = []

    @jobs.job
    async def look() -> None:
        seen.append(current_job().state["answer"])

    async with in_memory(jobs) as kit:
        await later(look())
        await kit.drain()
    assert seen == [42]


async def test_a_recurring_job_runs_once_its_tick_has_passed(app: App, jobs_kit: JobsKit) -> None:
    @app.jobs.job(every=30)
    async def sweep() -> None: ...

    assert await jobs_kit.drain(scheduled=True) == {}
    jobs_kit.clock.move(30)
    assert await jobs_kit.drain(scheduled=True) == {"succeeded": 1}


def test_a_clock_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        MovableClock(datetime(2031, 1, 1))
    clock = MovableClock()
    with pytest.raises(ValueError, match="needs a time zone, got the naive 9031-01-01T00:00:00"):
        clock.move_to(datetime(9031, 1, 1))


def test_a_clock_does_not_go_back() -> None:
    start = datetime(2031, 1, 1, tzinfo=UTC)
    clock = MovableClock(start)
    with pytest.raises(ValueError, match=r"goes on from 2031-\S+, not back to 2030-12-31T00:00"):
        clock.move_to(start - timedelta(days=1))
    with pytest.raises(ValueError, match=r"goes on from 2031-\S+, not back to 2030-12-31T23:59:50"):
        clock.move(-10)
    assert clock.move_to(start) == clock.move(0) == start
    assert clock.move_to(start + timedelta(days=1)) == clock() == datetime(2031, 1, 2, tzinfo=UTC)


class TestFromADateOn:
    @pytest.fixture
    def jobs_kit_clock(self) -> MovableClock:
        return MovableClock(datetime(2024, 2, 28, 9, tzinfo=UTC))

    async def test_the_clock_of_the_kit_starts_there(self, app: App, jobs_kit: JobsKit) -> None:
        stored = await app.later(app.send(7), wait=timedelta(days=1))
        assert stored.run_at == datetime(2024, 2, 29, 9, tzinfo=UTC)
        assert await jobs_kit.drain(scheduled=True) == {"succeeded": 1}
        assert jobs_kit.clock() == datetime(2024, 2, 29, 9, tzinfo=UTC)


async def test_a_drain_leaves_what_is_due_and_cannot_run(app: App, jobs_kit: JobsKit) -> None:
    app.jobs.workers = (WorkerGroup(adapter="main", queue="default"),)
    await app.later(app.send(7))
    await app.later(app.first(), wait=60)
    jobs_kit.clock.move(30)
    assert await jobs_kit.drain(scheduled=True) == {"succeeded": 1}
    assert [record.name for record in await jobs_kit.enqueued()] == ["send", "send"]


APP = """
from asyncjobs import JobManager, PostgresAdapter
jobs = JobManager(adapters={"main": PostgresAdapter("postgresql://nobody@127.0.0.1:1/none")})
later = jobs.create_scheduler(adapter="main")

@jobs.job
async def send(user_id: int) -> None: ...
"""
TEST = """
import pytest
from shop.jobs import later, send

@pytest.mark.anyio
async def test_it(jobs_kit):
    await later(send(7))
    await jobs_kit.assert_enqueued(send, [7])
    assert (await jobs_kit.drain())["succeeded"] == 1
"""


def test_the_fixture_needs_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "jobs.py").write_text(APP)
    (tmp_path / "test_shop.py").write_text(TEST)
    (tmp_path / "pyproject.toml").write_text('[tool.asyncjobs]\napp = "shop.jobs"\n')
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_drain_moves_the_clock_on_to_what_a_rate_allows() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()}, queues=["default", "email"])
    later = jobs.create_scheduler(adapter="main")
    started: list[datetime] = []

    @jobs.job(rate_limit=RateLimit(1, per=60), concurrency_key="{number}")
    async def note(number: int) -> None:
        started.append(kit.clock())

    @jobs.job(queue="email")
    async def mail() -> None: ...

    async with in_memory(jobs) as kit:
        await later.many([note(1)] * 3)
        await later.pause(queue="email")
        await later(mail())
        assert len(await kit.enqueued()) == 4
        assert await kit.drain() == {"succeeded": 1}
        assert await kit.drain(scheduled=True) == {"succeeded": 2}
        assert [moment - started[0] for moment in started[1:]] == [
            timedelta(seconds=60), timedelta(seconds=120)
        ]  # fmt: skip
        assert [record.name for record in await kit.enqueued()] == ["mail"]


async def test_runs_of_schedules_are_enqueued_and_drained_as_any_job(
    app: App, jobs_kit: JobsKit
) -> None:
    attempts: list[int] = []

    @app.jobs.job(backoff=lambda attempt, error: 600)
    async def report(year: int) -> None:
        attempts.append(year)
        if len(attempts) == 1:
            raise ValueError("no numbers yet")

    await app.later(report(2027), every=3600, name="yearly", connection=object())
    await app.later.schedules.run_now("yearly")
    await jobs_kit.assert_enqueued(report, [2027], count=1)
    ends = await jobs_kit.drain(scheduled=True, raises=False)
    assert ends == {"retried": 1, "succeeded": 1}
    await jobs_kit.refute_enqueued(report)


@pytest.mark.parametrize("job", ["send", 5])
async def test_what_is_no_job_is_said(jobs_kit: JobsKit, job: Any) -> None:
    with pytest.raises(NotAJobError, match="give a job, or a call of one"):
        await jobs_kit.assert_enqueued(job)
