"""Jobs in threads and in processes, what they share, and how many there are at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import anyio
import fastapi
import psutil
import pytest

from asyncjobs import (
    ConfigError,
    JobFailedError,
    JobManager,
    MemoryAdapter,
    NotOpenError,
    WorkerGroup,
    current_job,
)
from tests.worker import process_jobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def make_process_bench(make_bench: Any) -> Any:
    async def make(**options: Any) -> Any:
        bench = await make_bench(delete_successful_jobs=False, **options)
        for job in process_jobs.registered.registry:
            bench.jobs.registry.add(job)
        return bench

    return make


async def test_a_process_has_a_result_but_tells_no_progress(make_process_bench: Any) -> None:
    bench = await make_process_bench()
    squared = await bench.later(process_jobs.crunch(12), retain=60)
    advanced = await bench.later(process_jobs.advance())
    await bench.jobs.workoff()
    assert await squared.result(20) == 144
    with pytest.raises(JobFailedError, match=r"ProgressError: .*process=True cannot tell it"):
        await advanced.result(20)


async def test_a_job_runs_in_a_process_of_its_own(make_process_bench: Any, tmp_path: Path) -> None:
    bench = await make_process_bench()
    path = tmp_path / "told"
    results: list[int] = []

    @bench.jobs.hooks.after_success
    def note(job: Any, result: Any) -> None:
        results.append(result)

    stored = await bench.later(process_jobs.tell(str(path)), meta={"tenant": 7})
    await bench.later(process_jobs.crunch(12))
    await bench.jobs.workoff()
    told, pid = path.read_text().rsplit(" ", 1)
    assert told == f"{stored.id} tell 1 {{'tenant': 7}}"
    assert int(pid) != psutil.Process().pid
    assert sorted(results, key=str) == [144, None]
    assert await process_jobs.crunch(3) == 9


async def test_a_hook_enters_the_process_and_what_it_sets_stays_with_the_job(
    make_process_bench: Any,
) -> None:
    bench = await make_process_bench(processes=1)
    bench.jobs.hooks.enter_process(process_jobs.enter_tenant)
    calls = [
        await bench.later(process_jobs.tell_tenant(), meta={"tenant": number}) for number in (3, 4)
    ]
    await bench.jobs.workoff()
    assert [await job.result(20) for job in calls] == [3, 4]


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("value", "ValueError", "value"),
        ("retry", "Retry", "retry"),
        ("odd", "RuntimeError", "OddError: does not survive pickling"),
        ("die", "ProcessDiedError", "the job's process died"),
    ],
)
async def test_an_error_in_a_process_is_recorded_with_its_traceback(
    make_process_bench: Any, kind: str, error: str, message: str
) -> None:
    bench = await make_process_bench()
    stored = await bench.later(process_jobs.fail(kind))
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "failed"
    [told] = json.loads(record.errors)
    assert (told["error"], message in told["message"]) == (error, True)
    assert kind == "die" or "in fail" in told["traceback"]


async def test_a_process_is_ended_with_its_attempt(make_process_bench: Any, tmp_path: Path) -> None:
    bench = await make_process_bench()
    path = tmp_path / "pid"
    stored = await bench.later(process_jobs.hang(str(path)))
    too_long = await bench.later(process_jobs.hang_too_long())
    async with bench.working():
        while not path.exists() or not path.read_text():
            await asyncio.sleep(0.01)
        assert await bench.later.cancel(stored.id)
        await bench.until(stored.id, "cancelled")
        record = await bench.until(too_long.id, "failed")
    assert "JobTimeoutError" in record.errors
    with anyio.fail_after(20):
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(int(path.read_text())).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)


async def test_processes_have_a_limit_of_their_own(make_process_bench: Any, tmp_path: Path) -> None:
    bench = await make_process_bench(concurrency=10, processes=2)
    await bench.later.many([process_jobs.overlap(str(tmp_path)) for _ in range(8)])
    await bench.jobs.workoff()
    counts = [int(line) for line in (tmp_path / "most").read_text().split()]
    assert len(counts) == 8
    assert max(counts) == 2


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


@pytest.mark.parametrize("kind", ["async", "local", "depends"])
def test_what_cannot_run_in_a_process_is_refused(kind: str) -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})

    async def coroutine() -> None: ...
    def local() -> None: ...

    function = {"async": coroutine, "local": local, "depends": needs_something}[kind]
    with pytest.raises(ConfigError, match="process=True"):
        jobs.job(process=True)(function)


def needs_something(thing: Any = fastapi.Depends(dict)) -> None: ...


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


def test_scheduling_from_a_thread_needs_an_open_manager() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def work() -> None: ...

    with pytest.raises(NotOpenError):
        later.from_thread(work())


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
