"""Jobs in threads, what all kinds share, and how many there are at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import (
    ConfigError,
    JobManager,
    MemoryAdapter,
    NotOpenError,
    WorkerGroup,
    current_job,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def test_threads_have_a_limit_of_their_own_and_wait_at_no_cost(make_bench: Any) -> None:
    bench = await make_bench(
        concurrency=10, threads=2, delete_successful_jobs=False, max_runtime=1_000
    )
    running: list[int] = []
    go_on = threading.Event()

    @bench.jobs.job
    def hold() -> None:
        running.append(1)
        assert go_on.wait(20)

    @bench.jobs.job
    async def quick() -> None: ...

    stored = await bench.later.many([hold() for _ in range(5)])
    async with bench.working() as stop:
        done = await bench.later(quick())
        await bench.until(done.id, "succeeded")
        while len(running) < 2:
            await asyncio.sleep(0.01)
        stop.set()
        while not any(line["event"] == "worker.stopping" for line in bench.log):
            await asyncio.sleep(0.01)
        assert len(running) == 2
        go_on.set()
    states = [(await bench.record(job.id)).state for job in stored]
    assert states.count("succeeded") >= 2


async def test_a_job_that_gets_no_thread_is_not_run_by_the_next_idle_one(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding, go_on = threading.Event(), threading.Event()
    ran: list[int] = []
    refused: list[str] = []
    start = threading.Thread.start

    def start_but_once(thread: threading.Thread) -> None:
        if thread.name == "asyncjobs_1" and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    @bench.jobs.job
    def hold() -> None:
        holding.set()
        assert go_on.wait(20)

    @bench.jobs.job(backoff=lambda *_: 0)
    def work() -> None:
        ran.append(current_job().attempt)

    monkeypatch.setattr(threading.Thread, "start", start_but_once)
    async with bench.working():
        held = await bench.later(hold())
        while not holding.is_set():
            await asyncio.sleep(0.01)
        stored = await bench.later(work())
        record = await bench.until(stored.id, "succeeded")
        go_on.set()
        await bench.until(held.id, "succeeded")
    assert refused
    assert ran == [record.attempt] == [2]
    assert "can't start new thread" in record.errors


@pytest.mark.parametrize("option", ["threads", "processes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "two"])
def test_impossible_limits_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{option} must be a whole number from 1"):
        WorkerGroup(adapter="main", **{option: value})


async def test_a_plain_def_schedules_from_its_thread(bench: Any) -> None:
    ran: list[str] = []

    @bench.jobs.job
    def first() -> None:
        bench.later.from_thread(second("by the call"))
        bench.later.from_thread(second, ["by the list"], priority=1)

    @bench.jobs.job
    async def second(how: str) -> None:
        ran.append(how)

    await bench.later(first())
    await bench.jobs.workoff()
    assert sorted(ran) == ["by the call", "by the list"]
    with pytest.raises(RuntimeError, match="await later"):
        bench.later.from_thread(second("x"))


async def test_a_scheduler_that_an_open_manager_makes_is_used_from_threads_too() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})

    @jobs.job
    async def work() -> None: ...

    async with jobs:
        later = jobs.create_scheduler(adapter="main")
        assert (await asyncio.to_thread(later.from_thread, work())).is_new
    with pytest.raises(NotOpenError):
        later.from_thread(work())


def test_scheduling_from_a_thread_needs_an_open_manager() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def work() -> None: ...

    with pytest.raises(NotOpenError):
        later.from_thread(work())


async def test_what_one_manager_opens_is_not_there_for_the_jobs_of_another() -> None:
    states: list[Any] = []

    @contextlib.asynccontextmanager
    async def resources() -> AsyncIterator[dict[str, Any]]:
        yield {"http": "client"}

    for lifespan in (resources, None):
        group = WorkerGroup(adapter="main")
        jobs = JobManager(
            adapters={"main": MemoryAdapter()}, workers=[group], worker_lifespan=lifespan
        )

        @jobs.job
        async def look() -> None:
            states.append(dict(current_job().state))

        async with jobs:
            await jobs.create_scheduler(adapter="main")(look())
            await jobs.workoff()
    assert states == [{"http": "client"}, {}]


async def test_what_a_worker_opens_once_is_there_for_all_jobs(adapter: Any) -> None:
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def resources() -> AsyncIterator[dict[str, Any]]:
        events.append("opened")
        yield {"http": "client"}
        events.append("closed")

    jobs = JobManager(
        adapters={"main": adapter},
        queues=["default", "email"],
        workers=[WorkerGroup(adapter="main", queue=name) for name in ("default", "email")],
        worker_lifespan=resources,
    )
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def fetch() -> None:
        events.append(current_job().state["http"])

    @jobs.job(queue="email")
    def fetch_in_thread() -> None:
        events.append(current_job().state["http"])

    async with jobs:
        await later(fetch())
        await later(fetch_in_thread())
        assert events == []
        await jobs.workoff()
    assert events == ["opened", "client", "client", "closed"]
