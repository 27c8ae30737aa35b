"""Calls of `later` that come while an insert is under way share the next one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from asyncjobs import (
    ArgumentError,
    JobManager,
    MemoryAdapter,
    NotOpenError,
    PostgresAdapter,
    StorageUnavailableError,
    gathering,
)
from asyncjobs.errors import RowRefusedError
from asyncjobs.options import chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.types import NewJob, StoredJob


class GatedAdapter(MemoryAdapter):
    """Stores a batch when the test says so, or fails with the error that it says."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.arrived = asyncio.Semaphore(0)
        self.gate: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def enqueue(
        self, jobs: Sequence[NewJob], *, connection: object | None = None
    ) -> list[StoredJob]:
        self.batches.append([job.args for job in jobs])
        self.arrived.release()
        if error := await self.gate.get():
            raise error
        return await super().enqueue(jobs, connection=connection)


@pytest.fixture
async def jobs() -> Any:
    adapter = GatedAdapter()
    manager: Any = JobManager(adapters={"main": adapter})

    @manager.job
    async def note(number: int) -> None: ...

    manager.note, manager.adapter = note, adapter
    manager.later = manager.create_scheduler(adapter="main")
    return manager


def args(*numbers: int) -> list[str]:
    return [f'{{"number":{number}}}' for number in numbers]


async def call(jobs: Any, *numbers: int) -> list[asyncio.Task[Any]]:
    calls = [asyncio.create_task(jobs.later(jobs.note(number))) for number in numbers]
    await asyncio.sleep(0)  # until each waits for its row
    return calls


async def test_callers_wait_for_the_batch_that_holds_their_row(jobs: Any) -> None:
    async with jobs, asyncio.timeout(20):
        first = await call(jobs, 1)
        await jobs.adapter.arrived.acquire()
        others = await call(jobs, 2, 3)
        jobs.adapter.gate.put_nowait(None)
        await asyncio.gather(*first)
        await jobs.adapter.arrived.acquire()
        assert jobs.adapter.batches == [args(1), args(2, 3)]
        assert not any(task.done() for task in others)
        jobs.adapter.gate.put_nowait(None)
        await asyncio.gather(*others)


async def test_an_outage_fails_the_calls_of_its_batch_and_no_others(jobs: Any) -> None:
    async with jobs, asyncio.timeout(20):
        lost = await call(jobs, 1, 2)
        await jobs.adapter.arrived.acquire()
        stored = await call(jobs, 3, 4)
        jobs.adapter.gate.put_nowait(StorageUnavailableError("cut"))
        jobs.adapter.gate.put_nowait(None)
        results = await asyncio.gather(*lost, *stored, return_exceptions=True)
    kinds = [type(result).__name__ for result in results]
    assert kinds == ["StorageUnavailableError"] * 2 + ["ScheduledJob"] * 2


async def test_a_refused_row_is_looked_for_in_halves_and_fails_its_own_caller(jobs: Any) -> None:
    async with jobs, asyncio.timeout(20):
        calls = await call(jobs, 1, 2, 3, 4)
        refusal = RowRefusedError("too large")
        for answer in (refusal, None, refusal, refusal, None):
            jobs.adapter.gate.put_nowait(answer)
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert jobs.adapter.batches == [args(1, 2, 3, 4), args(1, 2), args(3, 4), args(3), args(4)]
    kinds = [type(result).__name__ for result in results]
    assert kinds == ["ScheduledJob", "ScheduledJob", "ArgumentError", "ScheduledJob"]
    with pytest.raises(ArgumentError, match=r"job 'note'.*too large"):
        raise results[2]


async def test_rows_with_large_arguments_leave_in_smaller_batches(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LARGE", 2 * len(args(1)[0]))
    async with jobs, asyncio.timeout(20):
        calls = await call(jobs, 1, 2, 3, 4, 5)
        for answer in (None, StorageUnavailableError("cut"), None):
            jobs.adapter.gate.put_nowait(answer)
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert jobs.adapter.batches == [args(1, 2), args(3, 4), args(5)]
    lost = [type(result).__name__ == "StorageUnavailableError" for result in results]
    assert lost == [False, False, True, True, False]


async def test_the_end_of_the_event_loop_ends_the_wait_for_all_smaller_batches(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LARGE", 1)
    async with jobs, asyncio.timeout(20):
        ours = asyncio.all_tasks()
        calls = await call(jobs, 1, 2, 3)
        await jobs.adapter.arrived.acquire()
        for task in asyncio.all_tasks() - ours - set(calls):
            task.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["CancelledError"] * 3
    assert jobs.adapter.batches == [args(1)]


@pytest.mark.parametrize("answer", [None, StorageUnavailableError("cut")])
async def test_a_caller_that_gives_up_while_its_row_is_under_way_disturbs_nobody(
    jobs: Any, answer: Exception | None
) -> None:
    async with jobs, asyncio.timeout(20):
        calls = await call(jobs, 1, 2, 3)
        await jobs.adapter.arrived.acquire()
        calls[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[1]
        jobs.adapter.gate.put_nowait(answer)
        results = await asyncio.gather(calls[0], calls[2], return_exceptions=True)
        expected = "StorageUnavailableError" if answer else "ScheduledJob"
        assert [type(result).__name__ for result in results] == [expected] * 2
        # Its row may be stored, as with a connection that broke; the next call is as any.
        jobs.adapter.gate.put_nowait(None)
        assert (await jobs.later(jobs.note(4))).name == "note"


async def test_a_row_whose_caller_gave_up_before_it_left_is_not_stored(jobs: Any) -> None:
    async with jobs, asyncio.timeout(20):
        calls = await call(jobs, 1)
        await jobs.adapter.arrived.acquire()
        calls += await call(jobs, 2, 3)
        calls[1].cancel()
        await asyncio.sleep(0)
        jobs.adapter.gate.put_nowait(None)
        jobs.adapter.gate.put_nowait(None)
        await asyncio.gather(calls[0], calls[2])
    assert jobs.adapter.batches == [args(1), args(3)]


async def test_leaving_the_manager_waits_for_what_is_under_way_and_what_waits(jobs: Any) -> None:
    calls = []

    async def leave() -> None:
        async with jobs:
            calls.extend(await call(jobs, 1))
            await jobs.adapter.arrived.acquire()
            calls.extend(await call(jobs, 2, 3))

    with anyio.fail_after(20):
        leaving = asyncio.create_task(leave())
        while len(calls) < 3:
            await asyncio.sleep(0)
        jobs.adapter.gate.put_nowait(None)
        await jobs.adapter.arrived.acquire()
        assert not leaving.done()
        jobs.adapter.gate.put_nowait(None)
        await leaving
        assert [(await task).name for task in calls] == ["note"] * 3


@pytest.fixture(params=["memory", "postgres"])
async def stored(request: pytest.FixtureRequest) -> Any:
    memory = request.param == "memory"
    adapter = MemoryAdapter() if memory else PostgresAdapter(request.getfixturevalue("dsn"))
    manager: Any = JobManager(adapters={"main": adapter}, queues=["default", "email"])

    @manager.job
    async def note(text: str) -> None: ...

    @manager.job(queue="email", priority=7)
    async def mail(text: str) -> None: ...

    manager.note, manager.mail = note, mail
    manager.later = manager.create_scheduler(adapter="main")
    async with manager:
        yield manager


async def test_a_caller_that_waits_for_each_job_sees_ids_ascend(stored: Any) -> None:
    async def caller(job: Any) -> list[int]:
        return [(await stored.later(job("x"))).id for _ in range(20)]

    with anyio.fail_after(60):
        found = await asyncio.gather(*[caller(stored.note) for _ in range(25)])
        found += await asyncio.gather(*[caller(job) for job in (stored.note, stored.mail) * 5])
    assert all(ids == sorted(ids) for ids in found)
    assert len({one for ids in found for one in ids}) == 35 * 20


SEPARATORS = "".join(map(chr, (*range(1, 32), 127, 133, 160, 0x2028, 0x2029)))


@pytest.mark.parametrize("gathered", [True, False])
async def test_no_character_of_an_argument_is_taken_for_the_end_of_it(
    stored: Any, gathered: bool
) -> None:
    texts = [SEPARATORS, "", *SEPARATORS, "\x1e\x1e", '"\x1e{}\x1e"', "\\u001e", "last"]
    with anyio.fail_after(60):
        if gathered:
            rows = await asyncio.gather(*[stored.later(stored.note(text)) for text in texts])
        else:
            rows = await stored.later.many([stored.note(text) for text in texts])
        records = await stored.adapters["main"].get([row.id for row in rows])
    assert [stored.note.codec.decode(record.args)["text"] for record in records] == texts


async def test_what_is_made_for_each_call_has_all_its_fields(stored: Any) -> None:
    rows: list[NewJob] = []
    answers: list[StoredJob] = []
    enqueue = stored.adapters["main"].enqueue

    async def record(jobs: Sequence[NewJob], **options: Any) -> list[StoredJob]:
        rows.extend(jobs)
        answers.extend(await enqueue(jobs, **options))
        return answers[-len(jobs) :]

    stored.adapters["main"].enqueue = record
    with anyio.fail_after(60):
        await stored.later(stored.note("x"))
        await stored.later(stored.note("x"), wait=9)
        await stored.later.many([stored.note("x"), stored.mail("y")])
    assert (len(rows), len(answers)) == (4, 4)
    for made in (*rows, *answers, chosen({"priority": 5})):
        assert len(made) == len(type(made)._fields)


def test_a_manager_is_used_in_one_event_loop_after_the_other() -> None:
    manager = JobManager(adapters={"main": MemoryAdapter()})
    later = manager.create_scheduler(adapter="main")

    @manager.job
    async def note() -> None: ...

    async def use() -> int:
        async with manager, asyncio.timeout(20):
            return (await later(note())).id

    async def leave_open() -> int:
        await manager.__aenter__()
        return (await later(note())).id

    async def close() -> int:
        found = (await later(note())).id
        await manager.__aexit__(None, None, None)
        with pytest.raises(NotOpenError):
            await later(note())
        return found

    assert len({asyncio.run(step()) for step in (use, use, leave_open, close, use)}) == 5
