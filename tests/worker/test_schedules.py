"""Workers fire schedules: each tick once, through whatever happens to them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
import structlog

from asyncjobs import (
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    RowRefusedError,
    WorkerGroup,
    current_job,
    recurrence,
)
from asyncjobs.storage.postgres import migrate
from asyncjobs.storage.postgres.outcomes import Outcomes
from asyncjobs.worker import crontab
from asyncjobs.worker.finisher import Finisher
from worker.at_work import working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from asyncjobs import Schedule
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Outcome

PATIENCE = 30.0
NEVER = 3_600.0
"""Seconds between two polls: what happens is not by them."""


@pytest.fixture
async def calm(make_bench: Callable[..., Any]) -> Any:
    """A bench whose workers do not poll."""
    return await make_bench(sleep_delay=NEVER, delete_successful_jobs=False)


async def the_schedule(bench: Any, name: str, check: Callable[[Schedule], object]) -> Schedule:
    """Wait until a schedule is as wanted."""
    with anyio.fail_after(PATIENCE):
        while True:
            found = await bench.later.schedules.get(name)
            if found is not None and check(found):
                return found
            await asyncio.sleep(0.005)


class Ran:
    """The ticks of the runs so far."""

    def __init__(self) -> None:
        self.ticks: list[Any] = []
        self._news = asyncio.Event()

    def add(self, tick: Any) -> None:
        self.ticks.append(tick)
        self._news.set()

    async def until(self, count: int) -> list[Any]:
        with anyio.fail_after(PATIENCE):
            while len(self.ticks) < count:
                self._news.clear()
                await self._news.wait()
        return self.ticks


async def test_a_job_runs_at_each_tick(calm: Any) -> None:
    ran = Ran()

    @calm.jobs.job
    async def note() -> None:
        job = current_job()
        assert job.schedule == "note"
        assert job.tick is not None
        assert job.run_at >= job.tick  # never early, by the storage's clock
        ran.add((job.tick, job.run_at - job.tick))

    async with calm.working():
        stored = await calm.later(note(), every=1)
        found = await ran.until(3)
    expected = [stored.next_at + timedelta(seconds=second) for second in range(3)]
    assert [tick for tick, _ in found[:3]] == expected
    assert max(late for _, late in found) < timedelta(seconds=15)  # by a timer, not a poll


async def test_a_declared_job_recurs(calm: Any) -> None:
    ran = Ran()

    @calm.jobs.job(cron="* * * * * *")
    async def note(text: str = "default") -> None:
        ran.add((current_job().tick, text))

    async with calm.working():
        found = await ran.until(2)
    assert [text for _, text in found[:2]] == ["default"] * 2
    assert found[1][0] - found[0][0] == timedelta(seconds=1)
    [schedule] = await calm.later.schedules.list()
    assert schedule.declared is not None


async def test_many_workers_make_one_run_of_each_tick(calm: Any) -> None:
    ran = Ran()

    @calm.jobs.job(every=1, overlap="allow")
    async def note() -> None:
        ran.add(current_job().tick)

    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(calm.working())
        found = list(await ran.until(4))
    assert len(set(ran.ticks)) == len(ran.ticks)
    assert found == [found[0] + timedelta(seconds=second) for second in range(4)]


async def test_a_run_that_takes_longer_than_a_tick_is_not_overtaken(calm: Any) -> None:
    running, most = 0, 0
    release = asyncio.Event()

    @calm.jobs.job(every=1)
    async def note() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    async with calm.working():
        schedule = await the_schedule(calm, "note", lambda found: found.skipped_at)
        assert schedule.last_at is not None
        assert schedule.skipped_at > schedule.last_at
        release.set()
        await the_schedule(calm, "note", lambda found: found.last_result == "succeeded")
    assert most == 1


async def test_a_schedule_that_fails_to_the_end_gives_up_and_says_so(calm: Any) -> None:
    @calm.jobs.job(max_attempts=2, backoff=lambda attempt, error: 0.0)
    async def note() -> None:
        raise ValueError("no paper")

    await calm.later(note(), every=1)
    async with calm.working():
        schedule = await the_schedule(calm, "note", lambda found: found.gave_up_at)
        assert (schedule.failures, schedule.last_result) == (2, "failed")
        assert schedule.next_at is None
        line = await calm.until_logged("job.failed")
        assert line["job"] == "note"
        await calm.later.schedules.enable("note")
        await the_schedule(calm, "note", lambda found: found.gave_up_at)
    assert sum(line["event"] == "job.failed" for line in calm.log) == 2


async def test_the_log_says_which_schedule_gave_up(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench(sleep_delay=0.1)

    @bench.jobs.job(max_attempts=1)
    async def note() -> None:
        raise ValueError("no paper")

    await bench.later(note(), every=1, name="letters")
    async with bench.working():
        line = await bench.until_logged("schedule.gave_up")
    assert (line["schedule"], line["failures"]) == ("letters", 1)


async def test_a_failed_run_that_succeeds_at_last_does_not_count(calm: Any) -> None:
    @calm.jobs.job(max_attempts=3, backoff=lambda attempt, error: 0.0)
    async def note() -> None:
        if current_job().attempt < 3:
            raise ValueError("no paper")

    await calm.later(note(), every=1)
    async with calm.working():
        found = await the_schedule(calm, "note", lambda found: found.last_result == "succeeded")
    assert (found.failures, found.gave_up_at) == (0, None)


async def test_a_run_that_is_cut_off_by_max_runtime_counts_once(calm: Any) -> None:
    @calm.jobs.job(max_attempts=2, max_runtime=0.01)
    async def note() -> None:
        await asyncio.sleep(60)

    await calm.later(note(), every=1)
    async with calm.working():
        await the_schedule(calm, "note", lambda found: found.failures == 1)
        found = await the_schedule(calm, "note", lambda found: found.gave_up_at)
    assert found.failures == 2


async def test_a_switch_is_heard_at_once(calm: Any) -> None:
    ran = Ran()

    @calm.jobs.job
    async def note() -> None:
        ran.add(None)

    await calm.later(note(), every=1)
    await calm.later.schedules.disable("note")
    async with calm.working():
        await asyncio.sleep(0)
        await calm.later.schedules.enable("note")
        await ran.until(1)


async def test_a_schedule_of_an_unknown_job_is_left_to_others(calm: Any) -> None:
    async def note() -> None: ...

    await calm.later(calm.jobs.job(note)(), every=1)
    stranger = JobManager(
        adapters={"main": calm.storage},
        workers=[WorkerGroup(adapter="main", sleep_delay=0.05)],
        logger=calm.jobs.logger,
    )
    ran = Ran()

    @stranger.job(every=1)
    async def other() -> None:
        ran.add(None)

    stop = asyncio.Event()
    working = asyncio.create_task(stranger.work(stop))
    await ran.until(2)
    stop.set()
    await working
    found = await calm.later.schedules.get("note")
    assert (found.last_at, found.skipped_at, found.problem) == (None, None, None)
    assert found.next_at < datetime.now(UTC)
    assert not [line for line in calm.log if line["event"] == "job.unknown"]


async def test_workoff_runs_a_tick_that_has_come(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench(delete_successful_jobs=False)
    ran = Ran()

    @bench.jobs.job
    async def note() -> None:
        ran.add(current_job().tick)

    stored = await bench.later(note(), every=3600)
    moment = stored.after_at - timedelta(days=1)
    plan = recurrence.plan(stored, stored.after_at)._replace(covered_at=moment, next_at=moment)
    await bench.storage.schedules.advance([plan])
    assert await bench.jobs.workoff() == 1
    assert len(ran.ticks) == 1


async def test_what_the_database_refuses_holds_up_no_other(
    calm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = Ran()

    @calm.jobs.job
    async def note(name: str) -> None:
        ran.add(name)

    table = type(calm.storage.schedules)
    advance = table.advance

    async def refuse_bad(self: Any, plans: Any) -> Any:
        if any(plan.name == "bad" for plan in plans):
            raise RowRefusedError("as a test wants it")
        return await advance(self, plans)

    monkeypatch.setattr(table, "advance", refuse_bad)
    for name in ("a", "bad", "z"):
        await calm.later(
            note(name), every=1, name=name, starting_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
    async with calm.working():
        await ran.until(2)
        line = await calm.until_logged("schedule.unreadable")
    assert (line["schedule"], line["error"]) == ("bad", "as a test wants it")
    assert set(ran.ticks) == {"a", "z"}


async def test_an_outage_delays_ticks_and_loses_none(
    calm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asyncjobs import StorageUnavailableError

    ran, failures = Ran(), iter(range(3))

    @calm.jobs.job
    async def note() -> None:
        ran.add(current_job().tick)

    table = type(calm.storage.schedules)
    advance = table.advance

    async def fail_at_first(self: Any, plans: Any) -> Any:
        if plans[0].ticks and next(failures, None) is not None:
            raise StorageUnavailableError("as a test wants it")
        return await advance(self, plans)

    monkeypatch.setattr(table, "advance", fail_at_first)
    stored = await calm.later(note(), every=1, catch_up="all", overlap="allow")
    async with calm.working():
        found = await ran.until(4)
    assert found[:4] == [stored.next_at + timedelta(seconds=second) for second in range(4)]


# Time that a test moves


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 28, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("catch_up", "hours"), [("skip", []), ("once", [23]), ("all", list(range(24)))]
)
async def test_ticks_that_passed_while_nothing_ran(catch_up: Any, hours: list[int]) -> None:
    clock, ran = Clock(), Ran()
    jobs = JobManager(
        adapters={"main": MemoryAdapter(clock=clock)},
        workers=[WorkerGroup(adapter="main", concurrency=1)],
    )
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def note() -> None:
        ran.add(current_job().tick)

    async with jobs:
        await later(note(), cron="5 * * * *", catch_up=catch_up, overlap="allow")
        start = clock.now
        clock.now += timedelta(hours=24)
        await jobs.workoff()
        assert ran.ticks == [start + timedelta(hours=hour, minutes=5) for hour in hours]
        ran.ticks.clear()
        clock.now += timedelta(minutes=5)
        await jobs.workoff()
        assert ran.ticks == [clock.now]


async def test_a_worker_that_was_suspended_catches_up_as_the_schedule_says() -> None:
    clock, ran = Clock(), Ran()
    jobs = JobManager(
        adapters={"main": MemoryAdapter(clock=clock)},
        workers=[WorkerGroup(adapter="main", sleep_delay=0.02)],
    )
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def note() -> None:
        ran.add(current_job().tick)

    stop = asyncio.Event()
    async with jobs:
        await later(note(), cron="* * * * *", overlap="allow")
        working = asyncio.create_task(jobs.work(stop))
        clock.now += timedelta(hours=1)
        assert await ran.until(1) == [clock.now]
        clock.now -= timedelta(minutes=30)  # and the clock is set back: no tick a second time
        looked = await later.schedules.run_now("note")
        assert looked is not None
        await ran.until(2)
        clock.now += timedelta(minutes=31)
        ticks = await ran.until(3)
        stop.set()
        await working
    assert ticks[1] is None
    assert ticks[2] == clock.now


# Declarations and deploys


@contextlib.asynccontextmanager
async def a_version(storage: Storage, declare: Callable[[JobManager], None]) -> AsyncIterator[Any]:
    """A worker of some version of the code, for as long as the block."""
    jobs = JobManager(
        adapters={"main": storage},
        workers=[WorkerGroup(adapter="main", sleep_delay=0.05, concurrency=1)],
    )
    declare(jobs)
    later = jobs.create_scheduler(adapter="main")
    stop = asyncio.Event()
    working = asyncio.create_task(jobs.work(stop))
    try:
        yield later
    finally:
        stop.set()
        with anyio.fail_after(PATIENCE):
            await working


async def eventually(check: Callable[[], Awaitable[object]]) -> None:
    with anyio.fail_after(PATIENCE):
        while not await check():
            await asyncio.sleep(0.01)


def two_schedules(jobs: JobManager) -> None:
    @jobs.job(cron="@daily")
    async def kept() -> None: ...

    @jobs.job(cron="@daily")
    async def dropped() -> None: ...


def one_of_them(jobs: JobManager) -> None:
    @jobs.job(cron="@weekly")
    async def kept() -> None: ...

    @jobs.job
    async def dropped() -> None: ...


async def test_a_rolling_deploy_does_not_fight(
    adapter: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crontab, "REVIEW", 0.05)
    await adapter.open()

    async def row(name: str) -> Schedule:
        [found] = await adapter.schedules.get([name])
        return found

    async def is_weekly() -> bool:
        return (await row("kept")).cron == "@weekly"

    async def is_daily() -> bool:
        return (await row("kept")).cron == "@daily"

    async def is_retired() -> bool:
        return (await row("dropped")).retired_at is not None

    async with a_version(adapter, two_schedules):
        await eventually(lambda: adapter.schedules.get(["dropped"]))
        async with a_version(adapter, one_of_them):
            await eventually(is_weekly)
            async with a_version(adapter, two_schedules):  # a worker of the old one starts again
                for _ in range(10):
                    assert await is_weekly()
                    assert not await is_retired()
                    await asyncio.sleep(0.03)
        await eventually(is_daily)  # rolled back: no worker of the new one is left
    async with a_version(adapter, one_of_them):
        await eventually(is_weekly)
        await eventually(is_retired)
    await adapter.close()


async def test_with_several_adapters_one_keeps_the_declarations() -> None:
    storages = {name: MemoryAdapter() for name in ("idle", "first", "second")}
    jobs = JobManager(
        adapters=storages,
        workers=[WorkerGroup(adapter="second"), WorkerGroup(adapter="first")],
    )

    @jobs.job(cron="@daily")
    async def note() -> None: ...

    stop = asyncio.Event()
    working = asyncio.create_task(jobs.work(stop))
    await eventually(storages["first"].schedules.get)
    stop.set()
    await working
    found = {name: len(await storage.schedules.get()) for name, storage in storages.items()}
    assert found == {"idle": 0, "first": 1, "second": 0}


# What only PostgreSQL has


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def on_postgres(dsn: str) -> AsyncIterator[Any]:
    jobs = JobManager(
        adapters={"main": PostgresAdapter(dsn)},
        workers=[WorkerGroup(adapter="main", sleep_delay=NEVER, delete_successful_jobs=False)],
    )
    jobs.ran = Ran()
    jobs.later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def note() -> None:
        jobs.ran.add(current_job().tick)

    jobs.note = note
    async with jobs:
        yield jobs


async def test_psql_switches_and_changes_schedules(on_postgres: Any, database: Any) -> None:
    await on_postgres.later(on_postgres.note(), cron="@yearly")
    async with working(on_postgres):
        await database.execute("update asyncjobs.schedules set cron = '* * * * * *'")
        await on_postgres.ran.until(1)
        await database.execute("update asyncjobs.schedules set enabled = false")
        row = await database.fetchrow("select next_at, enabled from asyncjobs.schedules")
        assert tuple(row) == (None, False)
        await database.execute("update asyncjobs.schedules set enabled = true")
        await on_postgres.ran.until(len(on_postgres.ran.ticks) + 1)


async def test_psql_adds_a_schedule(on_postgres: Any, database: Any) -> None:
    async with working(on_postgres):
        await database.execute(
            "insert into asyncjobs.schedules (name, job, every) values ('mine', 'note', '1 second')"
        )
        await on_postgres.ran.until(2)


async def test_what_psql_writes_wrongly_is_visible_and_costs_no_other(
    dsn: str, database: Any, make_bench: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    if "memory" in request.node.name:
        pytest.skip("there is no psql for it")
    bench = await make_bench(sleep_delay=0.05)
    ran = Ran()

    @bench.jobs.job
    async def note() -> None:
        ran.add(None)

    database = await asyncpg.connect(bench.storage._dsn)
    await bench.later(note(), every=1, name="good")
    await bench.later(note(), cron="@daily", name="bad")
    async with bench.working():
        await database.execute(
            "update asyncjobs.schedules set timezone = 'Mars/Base' where name = 'bad'"
        )
        line = await bench.until_logged("schedule.unreadable")
        assert (line["schedule"], "Mars/Base" in line["error"]) == ("bad", True)
        await ran.until(2)
        await database.execute(
            "update asyncjobs.schedules set after_at = now() - interval '1 hour' where name = 'bad'"
        )
        await the_schedule(bench, "bad", lambda found: found.problem)
        await database.execute("update asyncjobs.schedules set timezone = 'UTC' where name = 'bad'")
        await the_schedule(bench, "bad", lambda found: found.problem is None and found.next_at)
    assert sum(line["event"] == "schedule.unreadable" for line in bench.log) == 1
    await database.close()


async def test_a_program_that_is_stopped_at_a_tick_holds_up_no_schedule(
    on_postgres: Any, database: Any
) -> None:
    # It has locked the row, and lies still in its transaction.
    stored = await on_postgres.later(on_postgres.note(), every=1)
    stopped = await asyncpg.connect(on_postgres.adapters["main"]._dsn)
    await stopped.execute(
        "begin; set local idle_in_transaction_session_timeout = '2s'; "
        "select from asyncjobs.schedules for update"
    )
    async with working(on_postgres):
        [first, *_] = await on_postgres.ran.until(1)
    assert first >= stored.next_at
    stopped.terminate()


async def test_a_transaction_that_changes_a_schedule_holds_up_its_runs_alone(
    on_postgres: Any,
) -> None:
    later, go_on = on_postgres.later, asyncio.Event()

    @on_postgres.job
    async def slow() -> None:
        on_postgres.ran.add(None)
        await go_on.wait()

    for name in ("changed", "left alone"):
        await later(slow(), cron="@yearly", name=name)
    other = await asyncpg.connect(on_postgres.adapters["main"]._dsn)
    with structlog.testing.capture_logs() as lines:
        async with working(on_postgres):
            held = await later.schedules.run_now("changed")
            free = await later.schedules.run_now("left alone")
            await on_postgres.ran.until(2)
            transaction = other.transaction()
            await transaction.start()
            await later(slow(), cron="@monthly", name="changed", connection=other)
            go_on.set()  # both end together
            await until_succeeded(later, free.id)
            for _ in range(3):  # before and after it is tried again
                await until_succeeded(later, (await later(on_postgres.note())).id)
                await asyncio.sleep(0.3)
            assert (await later.get(held.id)).state == "running"
            await transaction.rollback()
            await until_succeeded(later, held.id)
    found = {one.name: one.last_result for one in await later.schedules.list()}
    assert found == {"changed": "succeeded", "left alone": "succeeded"}
    assert [line["event"] for line in lines].count("finish.delayed") == 1
    await other.close()


async def test_runs_are_put_off_for_longer_each_time_though_others_end_meanwhile(
    on_postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, again, tries = on_postgres.later, asyncio.Event(), Ran()
    finish, add_again, try_later = Outcomes.finish, Finisher._add_again, Finisher._try_later

    async def finish_late(self: Outcomes, worker: int, outcomes: list[Outcome]) -> list[int]:
        if not any(outcome.run for outcome in outcomes):
            await again.wait()
        return await finish(self, worker, outcomes)

    def note_again(self: Finisher, worker: int) -> None:
        add_again(self, worker)
        again.set()

    def note_try(self: Finisher, *args: Any) -> None:
        try_later(self, *args)
        tries.add(self._pauses)

    go_on = asyncio.Event()

    @on_postgres.job
    async def slow() -> None:
        on_postgres.ran.add(None)
        await go_on.wait()

    other = await asyncpg.connect(on_postgres.adapters["main"]._dsn)
    await later(slow(), cron="@yearly", name="changed")
    async with working(on_postgres):
        held = await later.schedules.run_now("changed")
        await on_postgres.ran.until(1)
        await other.execute("begin; select from asyncjobs.schedules for update")
        go_on.set()
        monkeypatch.setattr(Outcomes, "finish", finish_late)
        monkeypatch.setattr(Finisher, "_add_again", note_again)
        monkeypatch.setattr(Finisher, "_try_later", note_try)
        await tries.until(1)
        await until_succeeded(later, (await later(on_postgres.note())).id)
        first, *others = await tries.until(3)
        assert first is not None
        assert all(pauses is first for pauses in others)
        await other.execute("rollback")
        await until_succeeded(later, held.id)
    await other.close()


async def until_succeeded(later: Any, job: int) -> None:
    with anyio.fail_after(PATIENCE):
        while (await later.get(job)).state != "succeeded":
            await asyncio.sleep(0.01)


def declaring(dsn: str, ran: Ran, **options: Any) -> Any:
    """An app of which one schedule is declared, with a limit, and another one ticks."""
    jobs: Any = JobManager(
        adapters={"main": PostgresAdapter(dsn)}, workers=[WorkerGroup(adapter="main")]
    )

    @jobs.job(**{"cron": "@yearly", "concurrency": 1} | options)
    async def declared() -> None: ...

    @jobs.job
    async def note() -> None:
        ran.add(None)

    jobs.note, jobs.later = note, jobs.create_scheduler(adapter="main")
    return jobs


@pytest.mark.parametrize(
    ("held", "change"),
    [
        ("select from asyncjobs.limits for update", {"concurrency": 2}),
        (
            "select from asyncjobs.schedules where name = 'declared' for update",
            {"cron": "@monthly"},
        ),
    ],
)
async def test_a_transaction_that_changes_what_code_declares_holds_up_nothing_else(
    dsn: str, held: str, change: dict[str, Any]
) -> None:
    ran = Ran()
    async with (jobs := declaring(dsn, ran)), working(jobs):
        await jobs.later(jobs.note(), every=1)
        await ran.until(1)
    other = await asyncpg.connect(dsn)
    await other.execute(f"begin; {held}")
    began = len(ran.ticks)
    with structlog.testing.capture_logs() as lines:
        async with (jobs := declaring(dsn, ran, **change)), working(jobs):
            await ran.until(began + 2)
            await jobs.later(jobs.note(), wait=0.2)
            await ran.until(began + 5)
    assert "schedules.delayed" in {line["event"] for line in lines}
    assert not {line["event"] for line in lines} & {"heartbeat.failed", "promote.failed"}
    await other.close()


@pytest.mark.parametrize(
    "change",
    [
        "after_at = 'infinity', next_at = null",
        "after_at = '-infinity', next_at = null",
        "cron = null, every = interval '1 day', starting_at = '-infinity', next_at = null",
        "after_at = '0001-01-01 BC', next_at = null",
        "next_at = '0001-01-01 BC'",
        "next_at = now(), last_at = '20000-01-01', created_at = '4000-01-01 BC'",
        "cron = null, every = interval '9999999 years', starting_at = now(), next_at = null",
        """extras = '{"schedule": "x"}', next_at = now()""",
        """extras = '{"extra": "{\\"lanes\\": 5, \\"context\\": 5}"}', next_at = now()""",
    ],
)
async def test_a_row_that_makes_no_sense_ends_no_worker(
    on_postgres: Any, database: Any, change: str
) -> None:
    await on_postgres.later(on_postgres.note(), cron="@yearly", name="bad")
    await on_postgres.later(on_postgres.note(), every=1, name="good")
    await database.execute(f"update asyncjobs.schedules set {change} where name = 'bad'")
    async with working(on_postgres):
        await on_postgres.ran.until(3)
        await until_succeeded(on_postgres.later, (await on_postgres.later(on_postgres.note())).id)


@pytest.mark.parametrize(
    "extras",
    ['{"unique": 5}', '{"unknown": 5}', "[" * 5_000 + "]" * 5_000],
    ids=["unique", "unknown", "deep"],
)
async def test_extras_that_nobody_can_read_are_said(
    on_postgres: Any, database: Any, extras: str
) -> None:
    for name in ("bad", "good"):
        await on_postgres.later(on_postgres.note(), every=1, name=name)
    await database.execute("update asyncjobs.schedules set extras = $1 where name = 'bad'", extras)
    with structlog.testing.capture_logs() as lines:
        async with working(on_postgres):
            await on_postgres.ran.until(3)
    told = {line["schedule"] for line in lines if line["event"] == "schedule.unreadable"}
    assert told == {"bad"}
    assert "worker.failed" not in {line["event"] for line in lines}


@pytest.mark.parametrize(
    "change",
    [
        "after_at = 'infinity', next_at = null",
        "after_at = '-infinity', next_at = null",
        "starting_at = 'infinity'",
        "next_at = 'infinity'",
        "after_at = 'infinity', next_at = 'infinity'",
        "starting_at = '0001-01-01 BC', after_at = '0001-01-01 BC', next_at = null",
    ],
)
async def test_storing_it_again_mends_moments_that_make_no_sense(
    on_postgres: Any, database: Any, change: str
) -> None:
    await on_postgres.later(on_postgres.note(), every=1)
    await database.execute(f"update asyncjobs.schedules set {change}")
    again = await on_postgres.later(on_postgres.note(), every=1)
    assert abs(again.next_at - datetime.now(UTC)) < timedelta(minutes=1)
    async with working(on_postgres):
        await on_postgres.ran.until(2)


async def test_a_transaction_that_changes_what_has_to_be_reported_holds_up_nothing(
    on_postgres: Any, database: Any
) -> None:
    other = await asyncpg.connect(on_postgres.adapters["main"]._dsn)
    for name in ("unknown", "unreadable", "good"):
        await on_postgres.later(on_postgres.note(), every=1, name=name)
    await database.execute(
        "update asyncjobs.schedules set after_at = now() - interval '1 hour', next_at = null, "
        "job = case name when 'unknown' then 'nobody' else job end, "
        "starting_at = case name when 'unknown' then starting_at else 'infinity' end "
        "where name <> 'good'"
    )
    await other.execute("begin; select from asyncjobs.schedules where name <> 'good' for update")
    began = len(on_postgres.ran.ticks)
    with structlog.testing.capture_logs() as lines:
        async with working(on_postgres):
            await on_postgres.ran.until(began + 3)
    events = {line["event"] for line in lines}
    assert "schedule.unreadable" in events
    assert not events & {"schedules.delayed", "heartbeat.failed", "schedule.orphaned"}
    await other.close()


async def test_workers_run_before_the_migration(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrate.all_migrations()
    number = next(step.version for step in every if "schedules" in step.name)
    monkeypatch.setattr(migrate, "all_migrations", lambda: every[: number - 1])
    await migrate.migrate_database(empty_dsn)
    jobs = JobManager(
        adapters={"main": PostgresAdapter(empty_dsn)}, workers=[WorkerGroup(adapter="main")]
    )
    later = jobs.create_scheduler(adapter="main")
    ran = Ran()

    @jobs.job(cron="* * * * * *")
    async def note() -> None:
        ran.add(None)

    async with jobs, working(jobs):
        await later(note())
        await ran.until(1)
