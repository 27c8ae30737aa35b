from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import anyio
import pytest

from asyncjobs import JobContext, JobManager, MemoryAdapter, current_job
from asyncjobs.types import NewJob

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_a_stored_job_runs_with_the_arguments_it_was_given(bench: Any) -> None:
    seen: asyncio.Queue[tuple[UUID, datetime]] = asyncio.Queue()

    @bench.jobs.job
    async def note(key: UUID, *, when: datetime) -> None:
        seen.put_nowait((key, when))

    key, when = uuid4(), datetime.now(UTC)
    async with bench.working():
        stored = await bench.later(note(key, when=when))
        assert await seen.get() == (key, when)
        record = await bench.until(stored.id, "succeeded")
    assert record.attempt == 1
    assert record.finished_at is not None


async def test_the_list_form_stores_the_same_job(bench: Any) -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()

    @bench.jobs.job
    async def note(number: int) -> None:
        seen.put_nowait(number)

    async with bench.working():
        await bench.later(note, [7])
        assert await seen.get() == 7


async def test_a_job_that_succeeded_leaves_no_row_by_default(make_bench: Any) -> None:
    bench = await make_bench()

    @bench.jobs.job
    async def nothing() -> None: ...

    async with bench.working():
        stored = await bench.later(nothing())
        await bench.until_gone(stored.id)


async def test_a_plain_function_runs_in_a_thread_and_knows_its_job(bench: Any) -> None:
    seen: list[tuple[int, JobContext]] = []

    @bench.jobs.job
    def compute() -> None:
        seen.append((threading.get_ident(), current_job()))

    async with bench.working():
        stored = await bench.later(compute())
        await bench.until(stored.id, "succeeded")
    [(thread, context)] = seen
    assert thread != threading.get_ident()
    assert context.id == stored.id


async def test_current_job_tells_everything_about_the_attempt(bench: Any) -> None:
    seen: list[JobContext] = []

    @bench.jobs.job(queue="email", max_attempts=3, max_runtime=60)
    async def look() -> None:
        seen.append(current_job())
        current_job().log.info("mail.sent", to="ada")

    before = datetime.now(UTC)
    async with bench.working():
        stored = await bench.later(look())
        await bench.until(stored.id, "succeeded")
    [context] = seen
    assert (context.id, context.name, context.queue) == (stored.id, "look", "email")
    assert (context.attempt, context.max_attempts) == (1, 3)
    assert context.run_at == stored.run_at
    assert before + timedelta(seconds=60) <= context.deadline
    assert context.deadline <= datetime.now(UTC) + timedelta(seconds=60)
    [line] = [line for line in bench.log if line["event"] == "mail.sent"]
    assert (line["job"], line["id"], line["attempt"]) == ("look", stored.id, 1)


async def test_no_job_runs_outside_of_a_worker(bench: Any) -> None:
    @bench.jobs.job
    async def look() -> JobContext:
        return current_job()

    with pytest.raises(LookupError, match="no job is running"):
        await look()


async def test_context_variables_of_one_job_do_not_reach_the_next(bench: Any) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    @bench.jobs.job
    async def mark(number: int) -> None:
        seen.append(variable.get())
        variable.set(number)

    async with bench.working():
        stored = await bench.later.many([mark(number) for number in range(1, 30)])
        for one in stored:
            await bench.until(one.id, "succeeded")
    assert seen == [0] * 29


async def test_urgent_jobs_run_first_and_equals_in_their_order(make_bench: Any) -> None:
    bench = await make_bench(concurrency=1)
    order: list[str] = []

    @bench.jobs.job
    async def note(name: str) -> None:
        order.append(name)

    for name, priority in [("a", 50), ("b", 10), ("c", 50), ("d", -5), ("e", 10)]:
        await bench.later(note(name), priority=priority)
    await bench.jobs.workoff()
    assert order == ["d", "b", "e", "a", "c"]


@pytest.mark.parametrize("queue", ["email", ["email", "slow"]])
async def test_a_group_runs_only_its_own_queues(make_bench: Any, queue: Any) -> None:
    bench = await make_bench(queue=queue)
    ran: list[str] = []

    @bench.jobs.job
    async def note(name: str) -> None:
        ran.append(name)

    for name in ("default", "email", "slow"):
        await bench.later(note(name), queue=name)
    await bench.jobs.workoff()
    assert sorted(ran) == ([queue] if isinstance(queue, str) else queue)


async def test_no_more_jobs_than_the_concurrency_run_at_once(make_bench: Any) -> None:
    bench = await make_bench(concurrency=3)
    running = most = 0

    @bench.jobs.job
    async def busy() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    await bench.later.many([busy() for _ in range(20)])
    assert await bench.jobs.workoff() == 20
    assert most == 3


async def test_a_future_job_is_never_early_and_hardly_late(bench: Any) -> None:
    ran: asyncio.Queue[float] = asyncio.Queue()

    @bench.jobs.job
    async def note() -> None:
        ran.put_nowait(time.time())

    async with bench.working():
        await bench.until_logged("worker.started")
        stored = await bench.later(note(), wait=0.3)
        moment = await bench.later(note(), wait_until=datetime.now(UTC) + timedelta(seconds=0.6))
        assert stored.state == moment.state == "scheduled"
        for job in (stored, moment):
            late = await ran.get() - job.run_at.timestamp()
            assert 0 <= late < 1  # the latency itself is measured in the benchmarks


async def test_workoff_runs_what_is_due_and_leaves_the_rest(bench: Any) -> None:
    ran: list[str] = []

    @bench.jobs.job
    async def note(name: str) -> None:
        ran.append(name)
        if name == "first":
            await bench.later(note("made by first"))

    waiting = await bench.later(note("tomorrow"), wait=timedelta(days=1))
    await bench.later(note("first"))
    assert await bench.jobs.workoff() == 2
    assert ran == ["first", "made by first"]
    assert (await bench.record(waiting.id)).state == "scheduled"


async def test_a_job_that_is_not_registered_waits_for_a_deploy_that_has_it(bench: Any) -> None:
    [stored] = await bench.storage.enqueue([NewJob("of_tomorrow", "default", 50, "{}")])
    assert await bench.jobs.workoff() == 0
    record = await bench.record(stored.id)
    assert (record.state, record.attempt, json.loads(record.errors)) == ("scheduled", 0, [])
    assert record.run_at > record.attempted_at + timedelta(seconds=1)
    assert [line["job"] for line in bench.log if line["event"] == "job.unknown"] == ["of_tomorrow"]


async def test_stored_arguments_that_no_longer_fit_fail_only_that_job(bench: Any) -> None:
    ran: list[int] = []

    @bench.jobs.job
    async def note(number: int) -> None:
        ran.append(number)

    rows = [NewJob("note", "default", 50, args) for args in ('{"old": 1}', '{"number": 2}')]
    bad, good = await bench.storage.enqueue(rows)
    await bench.jobs.workoff()
    assert ran == [2]
    assert (await bench.record(good.id)).state == "succeeded"
    record = await bench.record(bad.id)
    assert (record.state, record.attempt) == ("failed", 1)
    [error] = json.loads(record.errors)
    assert error["error"] == "StoredArgumentsError"
    assert "number" in error["message"]


async def test_jobs_start_jobs(bench: Any) -> None:
    done = asyncio.Event()

    @bench.jobs.job
    async def count_down(number: int) -> None:
        if number:
            await bench.later(count_down(number - 1))
        else:
            done.set()

    async with bench.working():
        await bench.later(count_down(10))
        await done.wait()


async def test_ten_thousand_jobs_of_fifty_callers_run_once_each(make_bench: Any) -> None:
    bench = await make_bench(concurrency=50)
    ran: list[int] = []

    @bench.jobs.job
    async def note(number: int) -> None:
        ran.append(number)

    async def caller(start: int) -> None:
        for number in range(start, start + 200):
            await bench.later(note(number))

    async with bench.working(), anyio.create_task_group() as callers:
        for start in range(0, 10_000, 200):
            callers.start_soon(caller, start)
    await bench.jobs.workoff()
    assert sorted(ran) == list(range(10_000))
    assert not await bench.storage.counts()


async def test_two_managers_do_not_see_each_others_jobs(make_bench: Any) -> None:
    first: Callable[..., Any] = await make_bench()
    second = await make_bench()

    @first.jobs.job
    async def mine() -> None: ...

    assert "mine" in first.jobs.registry
    assert "mine" not in second.jobs.registry


async def test_a_worker_goes_on_when_what_ended_has_been_recorded(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncjobs.worker.claimer.MAX_UNRECORDED", 5)
    bench = await make_bench(sleep_delay=3_600, concurrency=20)
    ran: list[int] = []

    @bench.jobs.job
    async def note(number: int) -> None:
        ran.append(number)

    record = bench.storage.finish

    async def record_slowly(*args: Any) -> Any:
        await asyncio.sleep(0.02)
        return await record(*args)

    bench.storage.finish = record_slowly
    await bench.later.many([note(number) for number in range(200)])
    async with bench.working():
        while len(ran) < 200:
            await asyncio.sleep(0.005)


async def test_what_a_job_schedules_knows_that_job(bench: Any) -> None:
    @bench.jobs.job
    async def send(number: int) -> None: ...

    @bench.jobs.job
    async def plan() -> None:
        await bench.later(send(1))
        await bench.later.many([send(2), send(3)])
        await asyncio.create_task(bench.later(send(4), tags=["late"]))

    @bench.jobs.job
    def plan_in_a_thread() -> None:
        bench.later.from_thread(send(5))

    async with bench.working():
        one = await bench.later(plan())
        two = await bench.later(plan_in_a_thread())
        for stored in (one, two):
            assert stored.parent_id is None
            await bench.until(stored.id, "succeeded")
        found = await bench.later.find(name="send")
        assert {json.loads(job.args)["number"]: job.parent_id for job in found.jobs} == {
            1: one.id, 2: one.id, 3: one.id, 4: one.id, 5: two.id
        }  # fmt: skip
        assert (await bench.later.job(found.jobs[0].id)).parent_id in (one.id, two.id)
        assert {job.name for job in (await bench.later.find(parent=one.id)).jobs} == {"send"}
        assert (await bench.record(one.id)).parent_id is None


async def test_a_job_of_another_storage_is_no_parent(bench: Any) -> None:
    others = JobManager(adapters={"main": MemoryAdapter()}, queues=["default"], workers=[])
    elsewhere = others.create_scheduler(adapter="main")

    @others.job
    async def send() -> None: ...

    @bench.jobs.job
    async def plan() -> None:
        await elsewhere(send())

    async with others, bench.working():
        stored = await bench.later(plan())
        await bench.until(stored.id, "succeeded")
        [job] = (await elsewhere.find()).jobs
        assert job.parent_id is None


async def test_a_unique_job_that_existed_is_not_the_child_of_who_asked_for_it(bench: Any) -> None:
    @bench.jobs.job
    async def send() -> None: ...

    seen: list[int | None] = []

    @bench.jobs.job
    async def plan() -> None:
        for _ in range(2):
            seen.append((await bench.later(send(), unique="only", wait=600)).parent_id)

    async with bench.working():
        stored = await bench.later(plan())
        await bench.until(stored.id, "succeeded")
    assert seen == [stored.id, None]
