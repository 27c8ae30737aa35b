from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from asyncjobs import (
    ArgumentError,
    ConnectionKindError,
    CronError,
    JobManager,
    MemoryAdapter,
    NotAJobError,
    PostgresAdapter,
    RecurrenceError,
    Schedule,
    ScheduledJob,
    UnknownOptionError,
    UnknownQueueError,
    UnknownScheduleError,
    UnknownTimezoneError,
    WaitError,
    WorkerGroup,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=["memory", "postgres"])
async def jobs(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    memory = request.param == "memory"
    adapter = MemoryAdapter() if memory else PostgresAdapter(request.getfixturevalue("dsn"))
    manager = JobManager(
        adapters={"main": adapter}, queues=["default", "email"],
        workers=[WorkerGroup(adapter="main")],
    )  # fmt: skip

    @manager.job(queue="email", priority=7, tags=["letter"])
    async def note(name: str, *, times: int = 1) -> None: ...

    @manager.job(cron="@daily")
    async def sweep() -> None: ...

    manager.note, manager.sweep = note, sweep
    manager.later = manager.create_scheduler(adapter="main")
    async with manager:
        yield manager


async def test_a_call_with_cron_is_stored_as_a_schedule(jobs: Any) -> None:
    stored = await jobs.later(jobs.note("x"), cron="0 3 * * *", timezone="Europe/Zurich")
    assert isinstance(stored, Schedule)
    assert (stored.name, stored.job, stored.queue, stored.priority) == ("note", "note", "email", 7)
    assert (stored.cron, stored.timezone, stored.catch_up) == ("0 3 * * *", "Europe/Zurich", "once")
    assert stored.next_at is not None
    assert stored.next_at.minute == 0
    assert timedelta(0) < stored.next_at - datetime.now(UTC) <= timedelta(hours=25)
    assert await jobs.later.schedules.list() == [stored]
    assert await jobs.later.schedules.get("note") == stored


async def test_a_job_and_its_arguments_recur_too(jobs: Any) -> None:
    start = datetime.now(UTC) + timedelta(days=2)
    stored = await jobs.later(jobs.note, ["x"], every=timedelta(hours=2), starting_at=start)
    assert (stored.every, stored.next_at) == (timedelta(hours=2), start)
    assert (await jobs.later(jobs.note, ["y"], every=30)).every == timedelta(seconds=30)


async def test_one_job_has_as_many_schedules_as_it_has_names(jobs: Any) -> None:
    await jobs.later(jobs.note("a"), cron="@daily", name="daily")
    await jobs.later(jobs.note("b"), cron="@weekly", name="weekly", queue="default", priority=1)
    await jobs.later(jobs.note("c"), cron="@hourly", name="daily")
    daily, weekly = await jobs.later.schedules.list()
    assert (daily.cron, weekly.cron) == ("@hourly", "@weekly")
    assert '"c"' in daily.args
    assert (weekly.queue, weekly.priority) == ("default", 1)


async def test_its_runs_are_what_the_call_is(jobs: Any) -> None:
    await jobs.later(jobs.note("x", times=2), cron="@daily", meta={"tenant": 5}, tags=["vip"])
    run = await jobs.later.schedules.run_now("note")
    assert isinstance(run, ScheduledJob)
    record = await jobs.later.get(run.id)
    assert (record.name, record.queue, record.state) == ("note", "email", "available")
    assert record.args.replace(" ", "") == '{"name":"x","times":2}'
    assert (list(record.tags), record.meta) == (["letter", "vip"], {"tenant": 5})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cron": "0 0 30 2 *"}, CronError),
        ({"cron": "@daily", "timezone": "Europe/Zurch"}, UnknownTimezoneError),
        ({"cron": "@daily", "every": 5}, RecurrenceError),
        ({"cron": "@daily", "wait": 5}, RecurrenceError),
        ({"every": 5, "wait_until": datetime(2030, 1, 1, tzinfo=UTC)}, RecurrenceError),
        ({"every": 5, "starting_at": datetime(2030, 1, 1)}, RecurrenceError),
        ({"every": 5, "expires": datetime(2030, 1, 1, tzinfo=UTC)}, RecurrenceError),
        ({"timezone": "Europe/Zurich"}, RecurrenceError),
        ({"name": "nightly"}, RecurrenceError),
        ({"cron": "@daily", "name": ""}, RecurrenceError),
        ({"cron": "@daily", "name": "x" * 201}, RecurrenceError),
        ({"cron": "@daily", "name": "a\0b"}, RecurrenceError),
        ({"cron": "@daily", "name": 5}, RecurrenceError),
        ({"cron": "@daily", "queue": "nowhere"}, UnknownQueueError),
        ({"cron": "@daily", "timezoen": "UTC"}, UnknownOptionError),
        ({"cron": "@daily", "wait": -1}, WaitError),
    ],
)
async def test_what_cannot_be_stores_nothing(
    jobs: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await jobs.later(jobs.note("x"), **options)
    assert await jobs.later.schedules.list() == []


async def test_missing_arguments_are_an_error_of_the_call(jobs: Any) -> None:
    with pytest.raises(ArgumentError):
        await jobs.later(jobs.note, cron="@daily")
    with pytest.raises(NotAJobError):
        await jobs.later("note", cron="@daily")


async def test_what_a_job_declares_is_not_stored_by_a_call(jobs: Any) -> None:
    with pytest.raises(RecurrenceError, match="declares a schedule of that name"):
        await jobs.later(jobs.sweep(), cron="@weekly")
    with pytest.raises(RecurrenceError, match="'sweep' declares a schedule of that name"):
        await jobs.later(jobs.note("x"), every=60, name="sweep")
    await jobs.later(jobs.sweep(), cron="@weekly", name="weekly")
    await jobs.later(jobs.sweep())


async def test_many_calls_do_not_recur(jobs: Any) -> None:
    with pytest.raises(UnknownOptionError):
        await jobs.later.many([jobs.note("x")], cron="@daily")


async def test_a_schedule_is_switched_off_and_on(jobs: Any) -> None:
    await jobs.later(jobs.note("x"), cron="@daily")
    off = await jobs.later.schedules.disable("note")
    assert (off.enabled, off.next_at) == (False, None)
    on = await jobs.later.schedules.enable("note")
    assert on.enabled


async def test_a_schedule_is_removed(jobs: Any) -> None:
    await jobs.later(jobs.note("x"), cron="@daily")
    assert await jobs.later.schedules.remove("note") is True
    assert await jobs.later.schedules.remove("note") is False
    assert await jobs.later.schedules.get("note") is None


async def test_an_unknown_schedule_is_an_error_that_names_the_nearest(jobs: Any) -> None:
    await jobs.later(jobs.note("x"), cron="@daily", name="nightly")
    schedules = jobs.later.schedules
    for ask in (schedules.enable, schedules.disable, schedules.run_now):
        with pytest.raises(UnknownScheduleError, match="did you mean 'nightly'"):
            await ask("nihgtly")


async def test_no_run_is_given_while_one_has_not_ended(jobs: Any) -> None:
    await jobs.later(jobs.note("x"), cron="@daily")
    assert await jobs.later.schedules.run_now("note") is not None
    assert await jobs.later.schedules.run_now("note") is None


async def test_a_schedule_exists_if_the_transaction_commits(dsn: str) -> None:
    manager = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later = manager.create_scheduler(adapter="main")

    @manager.job
    async def note() -> None: ...

    connection = await asyncpg.connect(dsn)
    async with manager:
        with contextlib.suppress(ZeroDivisionError):
            async with connection.transaction():
                stored = await later(note(), cron="@daily", connection=connection)
                assert stored.next_at is not None
                raise ZeroDivisionError
        assert await later.schedules.list() == []
        async with connection.transaction():
            stored = await later(note(), cron="@daily", connection=connection)
            assert await later.schedules.list() == []
        assert await later.schedules.list() == [stored]
    await connection.close()


async def test_memory_has_no_transaction_for_it() -> None:
    manager = JobManager(adapters={"main": MemoryAdapter()})
    later = manager.create_scheduler(adapter="main")

    @manager.job
    async def note() -> None: ...

    async with manager:
        with pytest.raises(ConnectionKindError):
            await later(note(), cron="@daily", connection=object())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cron": "0 0 30 2 *"}, CronError),
        ({"cron": "@daily", "every": 5}, RecurrenceError),
        ({"cron": "@daily", "timezone": "Mars/Base"}, UnknownTimezoneError),
        ({"overlap": "allow"}, RecurrenceError),
    ],
)
def test_a_declaration_is_checked_where_it_stands(
    options: dict[str, Any], error: type[Exception]
) -> None:
    manager = JobManager(adapters={"main": MemoryAdapter()})
    with pytest.raises(error):
        manager.job(**options)


def test_a_declared_job_needs_no_arguments() -> None:
    manager = JobManager(adapters={"main": MemoryAdapter()})

    @manager.job(every=30)
    async def fine(times: int = 1) -> None: ...

    with pytest.raises(RecurrenceError, match="needs arguments: missing a required argument"):

        @manager.job(every=30)
        async def greet(name: str) -> None: ...

    assert "greet" not in manager.registry


async def test_a_run_that_is_made_now_has_its_result(jobs: Any) -> None:
    @jobs.job(retain=600)
    async def add() -> int:
        return 4

    await jobs.later(add(), cron="@yearly")
    run = await jobs.later.schedules.run_now("add")
    await jobs.workoff()
    assert await run.result(10) == 4


@pytest.mark.parametrize("name", [3, None, "a\0", "\ud800"])
async def test_what_is_no_name_is_said_of_each_that_takes_one(jobs: Any, name: Any) -> None:
    schedules = jobs.later.schedules
    for act in (schedules.get, schedules.enable, schedules.disable, schedules.remove,
                schedules.run_now):  # fmt: skip
        with pytest.raises(RecurrenceError, match="the name of a schedule has 1 to 200"):
            await act(name)
    assert await schedules.get("日本") is None


async def test_what_is_no_distance_is_said(jobs: Any) -> None:
    with pytest.raises(RecurrenceError, match=r"every must be from 1 to .* s, got inf s"):
        await jobs.later(jobs.note("x"), every=10**400)
