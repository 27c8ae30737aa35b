"""Jobs that do not end although they were cancelled; tests/chaos has those that need a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import (
    ConfigError,
    JobContext,
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    StorageUnavailableError,
    WorkerGroup,
    current_job,
)
from asyncjobs.metering import DURATIONS, Meter
from asyncjobs.storage.postgres.outcomes import Outcomes
from asyncjobs.worker.unknown import LAST_DELAY, UnknownNames
from asyncjobs.worker.watch import BLOCKED, LoopWatch

if TYPE_CHECKING:
    from asyncjobs.hooks import AttemptEnd


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncjobs.worker.deadlines.STUCK_GRACE", 0.1)


class Stubborn:
    """Swallows cancellations until it is released."""

    def __init__(self) -> None:
        self.started, self.released = asyncio.Event(), asyncio.Event()

    async def last(self) -> None:
        self.started.set()
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


async def test_a_stuck_job_is_recorded_once_and_its_late_end_changes_nothing(bench: Any) -> None:
    stubborn = Stubborn()

    @bench.jobs.job(max_runtime=0.1)
    async def slow() -> None:
        await stubborn.last()

    async with bench.working():
        stored = await bench.later(slow())
        line = await bench.until_logged("job.stuck")
        assert (line["job"], line["id"]) == ("slow", stored.id)
        assert "in last" in line["stack"]
        record = await bench.until(stored.id, "failed")
        assert "JobTimeoutError" in record.errors
        stubborn.released.set()
    assert await bench.record(stored.id) == record
    assert not [line for line in bench.log if line["event"] == "finish.superseded"]


async def test_a_stuck_job_that_a_user_cancelled_is_recorded_as_cancelled(bench: Any) -> None:
    stubborn = Stubborn()

    @bench.jobs.job
    async def slow() -> None:
        await stubborn.last()

    async with bench.working():
        stored = await bench.later(slow())
        await stubborn.started.wait()
        await bench.later.cancel(stored.id)
        await bench.until_logged("job.stuck")
        await bench.until(stored.id, "cancelled")
        stubborn.released.set()


async def test_a_stuck_job_that_may_run_again_keeps_its_row_while_it_runs(bench: Any) -> None:
    stubborn = Stubborn()

    @bench.jobs.job(max_runtime=0.1, retry_on_timeout=True, backoff=lambda attempt, error: 3600)
    async def slow() -> None:
        await stubborn.last()

    async with bench.working():
        stored = await bench.later(slow())
        await bench.until_logged("job.stuck")
        assert (await bench.record(stored.id)).state == "running"
        stubborn.released.set()
        await bench.until(stored.id, "scheduled")


async def test_a_stuck_job_keeps_its_slot_and_no_other(make_bench: Any) -> None:
    bench = await make_bench(concurrency=2)
    stubborn, at_once = Stubborn(), []

    @bench.jobs.job(max_runtime=0.1)
    async def slow() -> None:
        await stubborn.last()

    @bench.jobs.job
    async def quick() -> None:
        at_once.append(1)
        assert len(at_once) == 1
        await asyncio.sleep(0)
        at_once.pop()

    async with bench.working():
        await bench.later(slow())
        await bench.until_logged("job.stuck")
        stored = await bench.later.many([quick() for _ in range(20)])
        await bench.until_gone(stored[-1].id)
        stubborn.released.set()
    assert not [
        line for line in bench.log if line["event"] == "job.failed" and line["job"] != "slow"
    ]


@pytest.mark.parametrize("is_loggable", [True, False])
async def test_a_job_that_blocks_the_loop_for_too_long_is_recorded_like_any_that_fails(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch, is_loggable: bool
) -> None:
    monkeypatch.setattr("asyncjobs.worker.watch.STUCK_GRACE", 0.1)
    bench = await make_bench(heartbeat_interval=0.1, lease=5, delete_failed_jobs=True)
    if bench.storage.for_thread() is None:
        return  # without a thread nobody acts, as the docs say
    said = "job.failed" if is_loggable else "job.unloggable"
    told: list[tuple[str, bool]] = []

    def refuse(*_: object) -> None:
        raise KeyError("secret")  # as a function that redacts arguments may

    if not is_loggable:
        monkeypatch.setattr("asyncjobs.worker.job_log.JobLog.ended", refuse)
        monkeypatch.setattr("asyncjobs.worker.watch.stack_of_thread", refuse)

    @bench.jobs.job(max_runtime=0.1, retain=600)
    async def rude() -> None:
        current_job().progress(0.5, "half")
        give_up = time.monotonic() + 20
        while said not in [line["event"] for line in bench.log] and time.monotonic() < give_up:
            time.sleep(0.01)  # noqa: ASYNC251 - what the test is about

    @bench.jobs.hooks.on_outcome
    def tell(job: JobContext, end: AttemptEnd) -> None:
        told.append((end.word, threading.current_thread() is threading.main_thread()))

    async with bench.working():
        stored = await bench.later(rude())
        await bench.until_logged("loop.resumed")
        record = await bench.until(stored.id, "failed")
        while not told:
            await asyncio.sleep(0.01)
    assert told == [("failed", True)]
    assert [line["event"] for line in bench.log].count(said) == 1
    assert await bench.record(stored.id) == record
    [error] = json.loads(record.errors)
    assert error["error"] == "JobTimeoutError"
    assert json.loads(record.progress)["message"] == "half"


async def test_what_the_thread_cannot_record_is_recorded_when_the_loop_goes_on(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncjobs.worker.watch.STUCK_GRACE", 0.1)
    bench = await make_bench(heartbeat_interval=0.1, lease=5)
    if bench.storage.for_thread() is None:
        return
    finish, tried = Outcomes.finish, threading.Event()
    began: list[int] = []
    told: list[str] = []

    async def finish_from_the_loop(self: Outcomes, *args: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            tried.set()
            raise StorageUnavailableError("only the thread's connection is cut off")
        return await finish(self, *args)

    monkeypatch.setattr(Outcomes, "finish", finish_from_the_loop)

    @bench.jobs.job(max_runtime=0.1, retain=600)
    async def rude() -> None:
        began.append(1)
        current_job().progress(0.5, "half")
        tried.wait(20)

    @bench.jobs.hooks.on_outcome
    def tell(job: JobContext, end: AttemptEnd) -> None:
        told.append(end.word)

    async with bench.working():
        stored = await bench.later(rude())
        record = await bench.until(stored.id, "failed")
    assert (began, told) == ([1], ["failed"])
    assert [line["event"] for line in bench.log].count("job.failed") == 1
    assert await bench.record(stored.id) == record
    assert json.loads(record.errors)[0]["error"] == "JobTimeoutError"
    assert json.loads(record.progress)["message"] == "half"


async def test_a_loop_that_took_a_few_steps_and_is_blocked_again_is_acted_for_all_the_same(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncjobs.worker.watch.STUCK_GRACE", 0.1)
    tried, blocked_again, killed = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr("asyncjobs.worker.watch.end_stuck_process", killed.set)
    finish, by_thread = Outcomes.finish, []
    group = WorkerGroup(adapter="main", kill_stuck=True, heartbeat_interval=0.1, lease=30)
    jobs = JobManager(adapters={"main": PostgresAdapter(dsn)}, workers=[group])
    later = jobs.create_scheduler(adapter="main")

    async def finish_when_blocked_again(self: Outcomes, worker: int, outcomes: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            tried.set()
            if not blocked_again.is_set():
                raise StorageUnavailableError("only the thread's connection is cut off")
            by_thread.extend(outcome.id for outcome in outcomes)
        return await finish(self, worker, outcomes)

    monkeypatch.setattr(Outcomes, "finish", finish_when_blocked_again)

    @jobs.job(max_runtime=0.1, max_attempts=1, retain=600)
    async def rude() -> None:
        tried.wait(20)
        with contextlib.suppress(asyncio.CancelledError):
            for _ in range(3):  # the loop goes on, and has not recorded anything yet
                await asyncio.sleep(0)
        blocked_again.set()
        killed.wait(20)

    async with jobs:
        stored, stop = await later(rude()), asyncio.Event()
        working = asyncio.create_task(jobs.work(stop))
        record = await stored.refresh()
        while record is not None and record.state != "failed":
            await asyncio.sleep(0.01)
            record = await stored.refresh()
        assert (by_thread[:1], killed.is_set()) == ([stored.id], True)
        stop.set()
        await working


async def test_a_stuck_process_is_killed_though_what_else_ended_cannot_be_recorded(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncjobs.worker.watch.STUCK_GRACE", 0.1)
    killed, ended = threading.Event(), threading.Event()
    monkeypatch.setattr("asyncjobs.worker.watch.end_stuck_process", killed.set)
    storage = PostgresAdapter(dsn)
    group = WorkerGroup(adapter="main", kill_stuck=True, heartbeat_interval=0.1, lease=5)
    jobs = JobManager(adapters={"main": storage}, workers=[group])
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(retain=600)
    async def refused() -> str:
        ended.set()
        return "as no database takes it"

    @jobs.job(max_runtime=0.1, max_attempts=1, retain=600)
    async def rude() -> None:
        while not ended.is_set():
            await asyncio.sleep(0)
        killed.wait(20)

    monkeypatch.setattr("asyncjobs.worker.keeper.Keeper.encoded", lambda *_: "1e200000")
    async with jobs:
        stuck, _ = await later(rude()), await later(refused())
        stop = asyncio.Event()
        working = asyncio.create_task(jobs.work(stop))
        while not killed.is_set():
            await asyncio.sleep(0.01)
        found = await later.get(stuck.id)
        assert found is not None
        assert found.state == "failed"
        stop.set()
        await working


async def test_kill_stuck_is_refused_where_it_would_end_a_web_process() -> None:
    jobs = JobManager(
        adapters={"main": MemoryAdapter()}, workers=[WorkerGroup(adapter="main", kill_stuck=True)]
    )
    with pytest.raises(ConfigError, match=r"kill_stuck=True of the group '\*' would end the web"):
        async with jobs.lifespan()(None):
            pass
    async with jobs.lifespan(work=False)(None):
        pass


class Watched:
    """What a LoopWatch needs, and what it said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.running: dict[int, Any] = {}
        self.lag = Meter(DURATIONS)
        self.watch = LoopWatch(self, self, self, kill_stuck=False, lag=self.lag)  # type: ignore[arg-type]

    def warning(self, event: str, **facts: Any) -> None:
        self.said.append((event, facts))


async def test_a_late_first_look_finds_no_blocked_loop() -> None:
    watched = Watched()
    time.sleep(BLOCKED + 0.1)  # noqa: ASYNC251 - the loop was busy before anybody looked
    for _ in range(3):
        await asyncio.to_thread(watched.watch.look, None, 0)
        await asyncio.sleep(0)
    assert watched.said == []


async def test_a_blocked_loop_is_told_of_seldom_and_with_its_end() -> None:
    watched = Watched()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            watched.watch.look(None, 0)
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    await asyncio.sleep(0.1)
    time.sleep(BLOCKED * 2)  # noqa: ASYNC251 - what the test is about
    while "loop.resumed" not in [event for event, _ in watched.said]:
        await asyncio.sleep(0.02)
    done.set()
    thread.join()
    assert [event for event, _ in watched.said] == ["loop.blocked", "loop.resumed"]
    assert "time.sleep(BLOCKED * 2)" in watched.said[0][1]["stack"]
    assert watched.lag.total >= BLOCKED
    assert sum(watched.lag.counts[watched.lag.bounds.index(1.0) + 1 :]) == 1


def test_an_unknown_name_is_told_of_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    from asyncjobs.testing.contract.steps import a_job
    from asyncjobs.types import ClaimedJob

    lines: list[dict[str, Any]] = []
    now = [1000.0]
    monkeypatch.setattr("asyncjobs.worker.unknown.time.monotonic", lambda: now[0])

    class Log:
        def warning(self, event: str, **facts: Any) -> None:
            lines.append({"event": event, **facts})

    unknown = UnknownNames(Log())
    job = a_job("new")

    def meet(number: int, name: str = "new") -> float:
        run_at: Any = None
        return unknown.meet(ClaimedJob(number, name, job.queue, 50, 1, run_at, "{}", number))

    for number in range(100):
        meet(number)
    meet(1, "newer")
    assert [(line["job"], line["jobs"]) for line in lines] == [("new", 1), ("newer", 1)]
    now[0] += 61
    meet(0)
    assert [(line["job"], line["jobs"]) for line in lines[2:]] == [("new", 100)]
    delays = [meet(7, "third") for _ in range(8)]
    assert delays == sorted(delays)
    assert delays[-1] == LAST_DELAY
