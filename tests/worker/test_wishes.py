"""Workers do what is wished of them, on both storages: rest, go on, or end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog
from starlette.applications import Starlette

from asyncjobs import (
    ConfigError,
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    UnknownWorkerError,
    WorkerGroup,
)
from asyncjobs.types import Heartbeat
from asyncjobs.version import installed_version
from asyncjobs.worker.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from asyncjobs.scheduler import Scheduler
    from asyncjobs.storage.overview import WorkerStatus
    from tests.worker.conftest import Bench

PATIENCE = 60.0
NEVER = {"heartbeat_interval": 600.0, "lease": 3_600.0}
"""No heartbeat is waited for: what is heard comes by a signal."""


async def the_worker(later: Scheduler) -> WorkerStatus:
    """The only worker, once it is there."""
    with anyio.fail_after(PATIENCE):
        while len(found := await later.workers.list()) != 1:
            await asyncio.sleep(0.005)
    return found[0]


async def until_heard(later: Scheduler) -> WorkerStatus:
    with anyio.fail_after(PATIENCE):
        while (worker := await the_worker(later)).is_unheard:
            await asyncio.sleep(0.005)
    return worker


class Gate:
    """A job that runs until it is let through."""

    def __init__(self, jobs: JobManager) -> None:
        self.started, self.open = asyncio.Event(), asyncio.Event()

        @jobs.job
        async def passing() -> None:
            self.started.set()
            await self.open.wait()

        self.passing = passing


async def test_a_quiet_worker_ends_what_it_runs_and_claims_nothing_until_resumed(
    make_bench: Callable[..., Any],
) -> None:
    bench: Bench = await make_bench(concurrency=1, delete_successful_jobs=False, **NEVER)
    gate = Gate(bench.jobs)
    async with bench.working():
        running = await bench.later(gate.passing())
        await gate.started.wait()
        worker = await the_worker(bench.later)
        assert await bench.later.workers.quiet(worker.id)
        line = await bench.until_logged("worker.quiet")
        assert line["running"] == 1
        gate.open.set()
        await bench.until(running.id, "succeeded")
        waiting = await bench.later(gate.passing())
        # Whoever claims has looked by then: a second look is asked for, and none is made.
        assert (await until_heard(bench.later)).state == "quiet"
        before = await bench.record(waiting.id)
        assert (before.state, before.attempt) == ("available", 0)
        assert await bench.later.workers.resume(worker.id)
        await bench.until(waiting.id, "succeeded")
    assert [line["event"] for line in bench.log if line["event"] == "worker.resumed"]


async def test_what_was_claimed_ahead_goes_back_uncounted(make_bench: Callable[..., Any]) -> None:
    bench: Bench = await make_bench(concurrency=1, delete_successful_jobs=False, **NEVER)
    gate = Gate(bench.jobs)

    @bench.jobs.job
    async def quick() -> None: ...

    await bench.later.many([quick() for _ in range(300)])
    last = await bench.later(gate.passing())
    behind = await bench.later.many([quick() for _ in range(50)])
    async with bench.working():
        await gate.started.wait()
        worker = await the_worker(bench.later)
        assert await bench.later.workers.quiet(worker.id)
        await bench.until_logged("worker.quiet")
        for job in behind:
            await bench.until(job.id, "available")
            assert (await bench.record(job.id)).attempt == 0
        gate.open.set()
        await bench.until(last.id, "succeeded")
        assert {(await bench.record(job.id)).state for job in behind} == {"available"}


async def test_a_worker_that_is_told_to_stop_lets_running_jobs_end_and_is_gone(
    make_bench: Callable[..., Any],
) -> None:
    bench: Bench = await make_bench(concurrency=1, delete_successful_jobs=False, **NEVER)
    gate = Gate(bench.jobs)
    running, waiting = await bench.later.many([gate.passing(), gate.passing()])
    working = asyncio.create_task(bench.jobs.work())  # nobody sets an event
    with anyio.fail_after(PATIENCE):
        await gate.started.wait()
        worker = await the_worker(bench.later)
        assert await bench.later.workers.stop(worker.id)
        assert not await bench.later.workers.stop(worker.id)
        told = await until_heard(bench.later)
        assert (told.state, told.running) == ("stopping", 1)
        assert told.stopping_at is not None
        gate.open.set()
        await working
    assert (await bench.record(running.id)).state == "succeeded"
    record = await bench.record(waiting.id)
    assert (record.state, record.attempt) == ("available", 0)
    assert await bench.later.workers.list() == []
    with pytest.raises(UnknownWorkerError):
        await bench.later.workers.stop(worker.id)


async def test_what_does_not_end_in_time_goes_back_at_no_cost(
    make_bench: Callable[..., Any],
) -> None:
    bench: Bench = await make_bench(shutdown_timeout=0.05, **NEVER)
    gate = Gate(bench.jobs)
    running = await bench.later(gate.passing())
    working = asyncio.create_task(bench.jobs.work())
    with anyio.fail_after(PATIENCE):
        await gate.started.wait()
        await bench.later.workers.stop((await the_worker(bench.later)).id)
        await working
    record = await bench.record(running.id)
    assert (record.state, record.attempt) == ("available", 0)


async def test_a_quiet_worker_stops_too(make_bench: Callable[..., Any]) -> None:
    bench: Bench = await make_bench(**NEVER)
    working = asyncio.create_task(bench.jobs.work())
    worker = await the_worker(bench.later)
    with anyio.fail_after(PATIENCE):
        await bench.later.workers.quiet(worker.id)
        await bench.later.workers.stop(worker.id)
        await working


async def test_only_the_worker_that_is_meant_stops(adapter: Any) -> None:
    groups = [
        WorkerGroup(adapter="main", queue=queue, **NEVER, delete_successful_jobs=False)  # type: ignore[arg-type]
        for queue in ("default", "email")
    ]
    jobs = JobManager(adapters={"main": adapter}, queues=["default", "email"], workers=groups)
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(queue="email")
    async def send() -> None: ...

    stop = asyncio.Event()
    async with jobs:
        working = asyncio.create_task(jobs.work(stop))
        with anyio.fail_after(PATIENCE):
            while len(found := await later.workers.list()) < 2:
                await asyncio.sleep(0.005)
            first, second = sorted(found, key=lambda worker: worker.queues)
            await later.workers.stop(first.id)
            while [worker.id for worker in await later.workers.list()] != [second.id]:
                await asyncio.sleep(0.005)
            job = await later(send())
            while (record := await later.get(job.id)) is None or record.state != "succeeded":
                await asyncio.sleep(0.005)
            stop.set()
            await working


async def test_an_app_goes_on_without_its_worker_and_has_one_when_it_starts_again(
    adapter: Any,
) -> None:
    jobs = JobManager(
        adapters={"main": adapter},
        workers=[WorkerGroup(adapter="main", **NEVER)],  # type: ignore[arg-type]
    )
    later = jobs.create_scheduler(adapter="main")
    app = Starlette(lifespan=jobs.lifespan())

    @jobs.job
    async def quick() -> None: ...

    with anyio.fail_after(PATIENCE):
        async with app.router.lifespan_context(app):
            worker = await the_worker(later)
            await later.workers.stop(worker.id)
            while await later.workers.list():
                await asyncio.sleep(0.005)
            job = await later(quick())  # it is stored, and nobody runs it
            await asyncio.sleep(0)
            record = await later.get(job.id)
            assert record is not None
            assert (record.state, record.attempt) == ("available", 0)
            assert await later.workers.list() == []
        async with app.router.lifespan_context(app):
            assert (await the_worker(later)).state == "running"
            while await later.get(job.id) is not None:
                await asyncio.sleep(0.005)


async def test_a_worker_that_lost_its_lease_stays_quiet(make_bench: Callable[..., Any]) -> None:
    bench: Bench = await make_bench(heartbeat_interval=0.05, lease=60)
    gate = Gate(bench.jobs)
    async with bench.working():
        worker = await the_worker(bench.later)
        await bench.later.workers.quiet(worker.id)
        await bench.until_logged("worker.quiet")
        await bench.storage.rescue([worker.id])
        await bench.until_logged("lease.lost")
        again = await the_worker(bench.later)
        assert again.id != worker.id
        assert again.state == "quiet"
        job = await bench.later(gate.passing())
        with anyio.fail_after(PATIENCE):
            while (await the_worker(bench.later)).silent > 0.04:  # it lives, and has looked
                await asyncio.sleep(0.005)
        assert (await bench.record(job.id)).state == "available"
        await bench.later.workers.resume(again.id)
        await gate.started.wait()
        gate.open.set()


async def test_an_answer_that_comes_after_the_end_registers_nobody(
    make_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench: Bench = await make_bench(**NEVER)
    asked, ended, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()
    heartbeat = bench.storage.heartbeat

    async def late(worker: int) -> Heartbeat:
        asked.set()
        await ended.wait()
        answered.set()
        return await heartbeat(worker)

    async with bench.working():
        worker = await the_worker(bench.later)
        monkeypatch.setattr(bench.storage, "heartbeat", late)
        await bench.later.workers.quiet(worker.id)
        await asked.wait()
    ended.set()
    with anyio.fail_after(PATIENCE):
        await answered.wait()
    for _ in range(20):
        assert await bench.later.workers.list() == []
        await asyncio.sleep(0)
    assert "lease.lost" not in [line["event"] for line in bench.log]


async def test_a_restarted_worker_is_not_quiet(make_bench: Callable[..., Any]) -> None:
    bench: Bench = await make_bench(**NEVER)
    async with bench.working():
        worker = await the_worker(bench.later)
        await bench.later.workers.quiet(worker.id)
        await bench.until_logged("worker.quiet")
    async with bench.working():
        again = await the_worker(bench.later)
        assert (again.name, again.state) == (worker.name, "running")


async def test_workoff_does_not_begin_anew_after_it_was_told_to_stop(adapter: Any) -> None:
    groups = [WorkerGroup(adapter="main", queue=queue, concurrency=1, **NEVER)  # type: ignore[arg-type]
              for queue in ("default", "email")]  # fmt: skip
    jobs = JobManager(adapters={"main": adapter}, queues=["default", "email"], workers=groups)
    later = jobs.create_scheduler(adapter="main")
    gate = Gate(jobs)
    async with jobs:
        await later.many([gate.passing() for _ in range(3)])
        working = asyncio.create_task(jobs.workoff())
        with anyio.fail_after(PATIENCE):
            await gate.started.wait()
            [busy] = [worker for worker in await later.workers.list() if worker.running]
            await later.workers.stop(busy.id)
            while (await the_status(later, busy.id)).is_unheard:
                await asyncio.sleep(0.005)
            gate.open.set()
            assert await working == 1


async def the_status(later: Scheduler, worker: int) -> WorkerStatus:
    [found] = [one for one in await later.workers.list() if one.id == worker]
    return found


async def test_a_worker_says_who_it_is(make_bench: Callable[..., Any]) -> None:
    bench: Bench = await make_bench(concurrency=7)
    async with bench.working():
        worker = await the_worker(bench.later)
        assert (worker.version, worker.concurrency) == (installed_version() or "unknown", 7)


@pytest.mark.parametrize("worker", [0, -1, 2**63, "1", True, 1.5])
async def test_what_is_no_id_is_refused_with_the_bound_and_the_value(worker: Any) -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        for wish in (later.workers.quiet, later.workers.resume, later.workers.stop):
            with pytest.raises(ConfigError, match="worker must be a whole number from 1 to"):
                await wish(worker)


async def test_a_worker_that_hears_nothing_obeys_its_heartbeat(dsn: str) -> None:
    group = WorkerGroup(adapter="main", heartbeat_interval=0.1, lease=30, sleep_delay=0.1)
    jobs = JobManager(adapters={"main": PostgresAdapter(dsn, listen=False)}, workers=[group])
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        working = asyncio.create_task(jobs.work())
        worker = await the_worker(later)
        with anyio.fail_after(PATIENCE):
            await later.workers.quiet(worker.id)
            assert (await until_heard(later)).state == "quiet"
            await later.workers.stop(worker.id)
            await working


async def test_whoever_may_write_the_row_may_wish(dsn: str, database: asyncpg.Connection) -> None:
    group = WorkerGroup(adapter="main", heartbeat_interval=0.1, lease=30)
    jobs = JobManager(adapters={"main": PostgresAdapter(dsn)}, workers=[group])
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        working = asyncio.create_task(jobs.work())
        await the_worker(later)
        await database.execute("update asyncjobs.workers set stop_at = now()")
        with anyio.fail_after(PATIENCE):
            await working


class Ears:
    """A claimer and an executor, as far as wishes matter to them."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.running: dict[int, Any] = {}

    def rest(self, is_resting: bool) -> None:
        self.done.append(is_resting)

    def look(self) -> None: ...

    def end(self) -> None:
        self.done.append("end")


def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    ears: Any = Ears()
    wishes = Wishes(ears, ears, structlog.get_logger())
    wishes.hear(Heartbeat(True, [], quiet=True), 2.0)
    wishes.hear(Heartbeat(True, []), 1.0)
    assert ears.done == [True]
    wishes.hear(Heartbeat(True, [], quiet=True), 3.0)
    wishes.hear(Heartbeat(True, [], stop=True), 4.0)
    wishes.hear(Heartbeat(True, [], stop=True), 5.0)
    assert ears.done == [True, False, "end"]
    assert (wishes.quiet, wishes.stop) == (False, True)
