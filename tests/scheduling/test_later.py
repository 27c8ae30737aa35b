from __future__ import annotations

import asyncio
import gc
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from asyncjobs import (
    ArgumentError,
    BatchTooLargeError,
    JobManager,
    MemoryAdapter,
    NotAJobError,
    NotOpenError,
    PostgresAdapter,
    UnknownOptionError,
    UnknownQueueError,
    WaitError,
)
from asyncjobs.errors import ConfigError, RowRefusedError
from asyncjobs.types import NewJob, StoredJob


@pytest.fixture(params=["memory", "postgres"])
async def jobs(request: pytest.FixtureRequest) -> Any:
    memory = request.param == "memory"
    adapter = MemoryAdapter() if memory else PostgresAdapter(request.getfixturevalue("dsn"))
    manager = JobManager(adapters={"main": adapter}, queues=["default", "email"])

    @manager.job(queue="email", priority=7)
    async def note(name: str, *, times: int = 1) -> None: ...

    manager.note = note
    manager.later = manager.create_scheduler(adapter="main")
    async with manager:
        yield manager


async def test_a_stored_job_has_its_jobs_queue_and_priority(jobs: Any) -> None:
    stored = await jobs.later(jobs.note("x"))
    assert (stored.name, stored.queue, stored.priority) == ("note", "email", 7)
    assert stored.state == "available"
    record = await jobs.later.get(stored.id)
    assert (record.queue, record.priority, record.run_at) == ("email", 7, stored.run_at)


async def test_queue_and_priority_can_be_replaced_for_one_call(jobs: Any) -> None:
    stored = await jobs.later(jobs.note("x"), queue="default", priority=-1)
    record = await jobs.later.get(stored.id)
    assert (record.queue, record.priority) == ("default", -1)


async def test_a_wait_is_seconds_or_a_timedelta_from_now(jobs: Any) -> None:
    for wait in (60, 60.0, timedelta(minutes=1)):
        before = datetime.now(UTC)
        stored = await jobs.later(jobs.note("x"), wait=wait)
        assert stored.state == "scheduled"
        assert timedelta(seconds=59) < stored.run_at - before < timedelta(seconds=70)


async def test_wait_zero_and_a_past_moment_are_now(jobs: Any) -> None:
    stored = await jobs.later(jobs.note("x"), wait=0)
    past = await jobs.later(jobs.note("x"), wait_until=datetime.now(UTC) - timedelta(days=1))
    assert (stored.state, past.state) == ("available", "available")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wait": -1}, "wait must be from 0 to .* got -1 s"),
        ({"wait": float("nan")}, "got nan"),
        ({"wait": 1e30}, "wait must be from 0"),
        ({"wait": "soon"}, "wait must be seconds or a timedelta, got 'soon'"),
        ({"wait_until": datetime(2030, 1, 1)}, "time zone, got the naive 2030-01-01"),
        ({"wait_until": "tomorrow"}, "must be a datetime"),
        ({"wait": 1, "wait_until": datetime(2030, 1, 1, tzinfo=UTC)}, "not both"),
    ],
)
async def test_a_time_that_cannot_be_is_refused(jobs: Any, options: Any, message: str) -> None:
    with pytest.raises(WaitError, match=message):
        await jobs.later(jobs.note("x"), **options)
    assert not await jobs.adapters["main"].counts()


async def test_wrong_arguments_are_the_callers_error(jobs: Any) -> None:
    for call in (jobs.note(7), jobs.note(), jobs.note("x", "y"), jobs.note("x", times="2")):
        with pytest.raises(ArgumentError, match="job 'note'"):
            await jobs.later(call)
    with pytest.raises(ArgumentError, match="args must be a list"):
        await jobs.later(jobs.note, "x")
    assert not await jobs.adapters["main"].counts()


async def test_what_is_not_a_call_is_refused(jobs: Any) -> None:
    async def plain() -> None: ...

    for wrong in (plain, plain(), 7, None, (jobs.note,)):
        with pytest.raises(NotAJobError):
            await jobs.later(wrong)
    with pytest.raises(NotAJobError, match="has its arguments already"):
        await jobs.later(jobs.note("x"), ["y"])


async def test_what_is_no_list_of_calls_is_refused_by_many(jobs: Any) -> None:
    with pytest.raises(NotAJobError, match=r"takes a list of calls, got <JobCall note>"):
        await jobs.later.many(jobs.note("x"))
    for wrong in (jobs.note, 7, None):
        with pytest.raises(NotAJobError, match="takes a list of calls"):
            await jobs.later.many(wrong)


async def test_the_job_of_another_manager_is_refused(jobs: Any) -> None:
    other = JobManager(adapters={"main": MemoryAdapter()})

    @other.job
    async def note() -> None: ...

    with pytest.raises(NotAJobError, match="another JobManager"):
        await jobs.later(note())


async def test_unknown_options_and_queues_are_answered_with_the_nearest(jobs: Any) -> None:
    with pytest.raises(UnknownOptionError, match="did you mean 'priority'"):
        await jobs.later(jobs.note("x"), priorty=1)
    with pytest.raises(UnknownQueueError, match="did you mean 'email'"):
        await jobs.later(jobs.note("x"), queue="emial")
    with pytest.raises(ConfigError, match="priority must be a whole number from -32767 to 32767"):
        await jobs.later(jobs.note("x"), priority=40_000)
    with pytest.raises(UnknownOptionError):
        await jobs.later.many([jobs.note("x")], delay=1)


async def test_many_are_stored_in_their_order_or_not_at_all(jobs: Any) -> None:
    stored = await jobs.later.many([jobs.note(str(n)) for n in range(500)], wait=5)
    records = await jobs.adapters["main"].get([one.id for one in stored])
    assert [record.args.replace(" ", "") for record in records] == [
        f'{{"name":"{n}"}}' for n in range(500)
    ]
    with pytest.raises(ArgumentError):
        await jobs.later.many([jobs.note("good"), jobs.note(7)])
    assert sum((await jobs.adapters["main"].counts()).values()) == 500
    assert await jobs.later.many([]) == []


async def test_too_many_at_once_are_refused_with_the_bound(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncjobs.scheduler.MAX_MANY", 3)
    with pytest.raises(BatchTooLargeError, match="at most 3 calls at once, got 4"):
        await jobs.later.many([jobs.note("x") for _ in range(4)])


@pytest.mark.parametrize("options", [{}, {"wait": 9}, {"unique": True}])
async def test_arguments_that_no_statement_holds_are_refused_with_the_bound(
    dsn: str, monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    monkeypatch.setattr("asyncjobs.storage.postgres.jobs.LARGEST", 100)
    jobs = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def note(name: str) -> None: ...

    async with jobs:
        told = "arguments of .* characters of JSON are more than the 100"
        with pytest.raises(ArgumentError, match=told):
            await later(note("x" * 100), **options)
        with pytest.raises(ArgumentError, match=told):
            await later.many([note(f"{number}" * 40) for number in range(3)], **options)
        assert not await jobs.adapters["main"].counts()
        assert (await later(note("x" * 80), **options)).name == "note"


async def test_concurrent_callers_each_get_their_own_job(jobs: Any) -> None:
    stored = await asyncio.gather(*[jobs.later(jobs.note(str(n))) for n in range(300)])
    for number, one in enumerate(stored):
        record = await jobs.later.get(one.id)
        assert f'"{number}"' in record.args


async def test_scheduling_needs_an_open_manager() -> None:
    manager = JobManager(adapters={"main": MemoryAdapter()})
    later = manager.create_scheduler(adapter="main")

    @manager.job
    async def note() -> None: ...

    with pytest.raises(NotOpenError, match="async with jobs"):
        await later(note())


CALLS = [
    lambda jobs: jobs.later(jobs.note("x")),
    lambda jobs: jobs.later(jobs.note("x"), unique=True),
    lambda jobs: jobs.later(jobs.note("x"), connection=object()),
    lambda jobs: jobs.later.many([jobs.note("x"), jobs.note("y")]),
]


@pytest.mark.parametrize("call", CALLS, ids=["plain", "unique", "connection", "many"])
@pytest.mark.parametrize("under_way", [False, True])
async def test_another_event_loop_is_refused_before_anything_is_stored(
    jobs: Any, call: Any, *, under_way: bool
) -> None:
    async def wrong() -> None:
        await call(jobs)

    async def right() -> Any:
        return await asyncio.to_thread(jobs.later.from_thread, jobs.note("x"))

    mine = [asyncio.create_task(jobs.later(jobs.note("mine"))) for _ in range(3 * under_way)]
    with pytest.raises(RuntimeError, match="another event loop: in this one write"):
        await asyncio.wait_for(asyncio.to_thread(asyncio.run, wrong()), 20)
    await asyncio.gather(*mine)
    assert (await jobs.later.count()).jobs == len(mine)
    assert (await asyncio.to_thread(asyncio.run, right())).is_new


async def test_another_event_loop_cannot_wait_for_a_job(jobs: Any) -> None:
    stored = await jobs.later(jobs.note("x"), retain=60)
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.wait_for(asyncio.to_thread(asyncio.run, stored.result()), 20)


@pytest.mark.parametrize(
    "ask",
    [
        lambda later: later.get(1),
        lambda later: later.count(),
        lambda later: later.cancel(1),
        lambda later: later.pauses(),
        lambda later: later.workers.list(),
        lambda later: later.schedules.list(),
    ],
)
async def test_another_event_loop_cannot_use_the_database(dsn: str, ask: Any) -> None:
    jobs = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later = jobs.create_scheduler(adapter="main")

    async def wrong() -> None:
        await ask(later)

    async with jobs:
        await ask(later)
        with pytest.raises(RuntimeError, match="and await everything else there"):
            await asyncio.wait_for(asyncio.to_thread(asyncio.run, wrong()), 20)
        await ask(later)


async def test_a_scheduled_call_does_not_warn_and_a_dropped_one_does(jobs: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await jobs.later(jobs.note("x"))
        gc.collect()
        assert not caught
        jobs.note("dropped")
        gc.collect()
    assert [str(warning.message)[:14] for warning in caught] == ["the call note("]


async def test_a_bad_row_fails_only_its_own_caller(dsn: str) -> None:
    adapter = PostgresAdapter(dsn)
    manager = JobManager(adapters={"main": adapter})
    later = manager.create_scheduler(adapter="main")

    @manager.job
    async def note(number: float) -> None: ...

    enqueue = adapter.enqueue

    async def spoil(rows: list[NewJob], **options: Any) -> list[StoredJob]:
        # What no check of ours finds: jsonb has bounds that JSON has not.
        bad = '{"number": 1e1000000}'
        spoilt = [row._replace(args=bad) if "13" in row.args else row for row in rows]
        return await enqueue(spoilt, **options)

    adapter.enqueue = spoil  # type: ignore[method-assign]
    async with manager:
        results = await asyncio.gather(
            *[later(note(float(number))) for number in range(20)], return_exceptions=True
        )
        failed = [n for n, result in enumerate(results) if isinstance(result, Exception)]
        assert failed == [13]
        assert isinstance(results[13], ArgumentError)
        assert isinstance(await _refused(adapter, enqueue), RowRefusedError)
        assert sum((await adapter.counts()).values()) == 19


async def _refused(adapter: PostgresAdapter, enqueue: Any) -> Exception | None:
    try:
        await enqueue([NewJob("note", "default", 50, '{"number": 1e1000000}')])
    except RowRefusedError as error:
        return error
    return None


async def test_a_caller_that_gives_up_does_not_disturb_the_others(jobs: Any) -> None:
    calls = [asyncio.create_task(jobs.later(jobs.note(str(n)))) for n in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result).__name__ for result in results].count("ScheduledJob") == 9


async def test_gathered_calls_wake_the_workers_once_a_batch(dsn: str) -> None:
    manager = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later = manager.create_scheduler(adapter="main")

    @manager.job
    async def note() -> None: ...

    heard: list[str] = []
    listener = await asyncpg.connect(dsn)
    await listener.add_listener("asyncjobs_asyncjobs", lambda *event: heard.append(event[-1]))
    async with manager:
        await asyncio.gather(*[later(note()) for _ in range(200)])
        await listener.fetchval("select 1")
    await listener.close()
    assert 1 <= len(heard) <= 5


async def test_tags_and_meta_are_stored_and_joined_with_the_jobs_own(jobs: Any) -> None:
    @jobs.job(tags=["mail", "slow"])
    async def tagged() -> None: ...

    stored = await jobs.later(tagged(), tags=["vip", "mail"], meta={"tenant": 7})
    record = await jobs.later.get(stored.id)
    assert list(record.tags) == ["mail", "slow", "vip"]
    assert record.meta == {"tenant": 7}
    plain = await jobs.later(tagged())
    assert list((await jobs.later.get(plain.id)).tags) == ["mail", "slow"]
    rest = await jobs.later.many([jobs.note("x"), tagged()], meta={"batch": [1]})
    assert [(await jobs.later.get(one.id)).meta for one in rest] == [{"batch": [1]}] * 2


@pytest.mark.parametrize(
    "options",
    [
        {"tags": "vip"},
        {"tags": [7]},
        {"tags": [""]},
        {"tags": ["x" * 201]},
        {"tags": ["line\n"]},
        {"tags": [str(number) for number in range(51)]},
        {"meta": {"when": datetime.now(UTC)}},
        {"meta": {"half": float("nan")}},
        {"meta": {"null": "a\0"}},
        {"meta": {"half": "\ud800"}},
        {"meta": 5},
    ],
)
async def test_tags_and_meta_that_cannot_be_stored_are_refused(jobs: Any, options: Any) -> None:
    with pytest.raises(ConfigError, match=r"tag|meta"):
        await jobs.later(jobs.note("x"), **options)
    assert await jobs.adapters["main"].counts() == {}
