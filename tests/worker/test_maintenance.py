"""What workers do to keep the storage tidy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
import structlog

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from asyncjobs.errors import StorageUnavailableError
from asyncjobs.testing.contract.steps import a_worker
from asyncjobs.worker import maintenance
from asyncjobs.worker.maintenance import Maintenance
from tests.worker.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.storage.maintenance import MaintenanceTask
    from asyncjobs.storage.protocol import Storage

COMMON = {
    "look after tables",
    "prune retained jobs",
    "prune statistics",
    "prune unique keys",
    "prune unused lanes",
}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "LOOK", 0.02)


async def until(bench: Any, fits: Callable[[dict[str, MaintenanceTask]], object]) -> Any:
    with anyio.fail_after(PATIENCE):
        while True:
            tasks = {task.task: task for task in await bench.later.maintenance()}
            if fits(tasks):
                return tasks
            await asyncio.sleep(0.005)


async def test_every_task_is_done_and_told_of(make_bench: Any) -> None:
    bench = await make_bench(queue=["slow", "email"], retain=60)
    own = "prune jobs of email, slow after 60 s"
    async with bench.working():
        tasks = await until(bench, lambda tasks: tasks and all(t.ended_at for t in tasks.values()))
    assert tasks.keys() == {*COMMON, own}
    assert all(task.problem is None and task.worker is None for task in tasks.values())
    assert all(task.due_at > task.ended_at for task in tasks.values())


async def test_ten_workers_do_each_task_once(adapter: Storage) -> None:
    done: list[str] = []
    await adapter.open()
    await adapter.migrate()
    log = structlog.get_logger()
    crowd = []
    for number in range(10):
        one = Maintenance(adapter, ["default"], None, log, mends=False)
        one.worker = await adapter.register(a_worker(f"worker {number}"))
        crowd.append(one)
    with anyio.fail_after(PATIENCE):
        for names in await asyncio.gather(*(one.do_due() for one in crowd)):
            done += names
        while missing := COMMON.difference(done):  # declared by one while another looked
            done += await crowd[0].do_due()
            assert missing != COMMON.difference(done)
    assert sorted(done) == sorted(COMMON)
    await adapter.close()


async def test_a_task_that_fails_says_why_and_is_tried_again(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "MINUTE", 0.05)
    bench = await make_bench()
    failing = True

    async def prune(limit: int) -> int:
        if failing:
            raise StorageUnavailableError("the disk is full")
        return 0

    monkeypatch.setattr(bench.storage.results, "prune_retained", prune)
    async with bench.working():
        tasks = await until(
            bench, lambda tasks: tasks.keys() >= COMMON and tasks["prune retained jobs"].problem
        )
        assert "the disk is full" in tasks["prune retained jobs"].problem
        line = await bench.until_logged("maintenance.failed")
        assert line["task"] == "prune retained jobs"
        failing = False
        await until(bench, lambda tasks: tasks["prune retained jobs"].problem is None)


async def test_a_worker_that_ends_in_the_middle_leaves_the_task_to_others(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "MINUTE", 0.05)
    bench = await make_bench()
    begun, calls = asyncio.Event(), 0

    async def prune(limit: int) -> int:
        nonlocal calls
        calls += 1
        begun.set()
        if calls == 1:
            await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(bench.storage.results, "prune_retained", prune)
    async with bench.working():
        await begun.wait()
    tasks = await until(bench, lambda tasks: tasks)
    assert tasks["prune retained jobs"].problem == "It was cut off."
    assert tasks["prune retained jobs"].worker is None
    async with bench.working():
        await until(bench, lambda tasks: tasks["prune retained jobs"].problem is None)


async def test_a_task_that_somebody_postponed_for_ever_is_left_alone(dsn: str) -> None:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    one = Maintenance(adapter, ["default"], None, structlog.get_logger(), mends=False)
    one.worker = await adapter.register(a_worker("worker"))
    assert set(await one.do_due()) == COMMON
    connection = await asyncpg.connect(dsn)
    await connection.execute("update asyncjobs.maintenance set due_at = now()")
    await connection.execute(
        "update asyncjobs.maintenance set due_at = 'infinity' where task = 'prune statistics'"
    )
    assert COMMON - {"prune statistics"} == set(await one.do_due())
    await connection.close()
    await adapter.close()


async def test_a_schema_from_before_is_tidied_up_by_every_worker(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("drop table asyncjobs.maintenance")
    await connection.execute(
        "delete from asyncjobs.migrations where version >= "
        "(select version from asyncjobs.migrations where name like '%_maintenance')"
    )
    await connection.close()
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    for number in range(2):
        one = Maintenance(adapter, ["default"], None, structlog.get_logger(), mends=False)
        one.worker = await adapter.register(a_worker(f"worker {number}"))
        assert set(await one.do_due()) == (COMMON if number == 0 else set())
    assert await adapter.maintenance.tasks() == []
    await adapter.close()


def test_mend_tables_is_true_or_false() -> None:
    with pytest.raises(ValueError, match="mend_tables must be True or False, got 'yes'"):
        WorkerGroup(adapter="main", mend_tables="yes")  # type: ignore[arg-type]


async def test_a_killed_workers_task_is_done_by_the_next(dsn: str) -> None:
    # As by kill -9: it never says that it ends, and its lease runs out.
    adapter = PostgresAdapter(dsn)
    jobs = JobManager(adapters={"main": adapter}, workers=[WorkerGroup(adapter="main")])
    later = jobs.create_scheduler(adapter="main")
    async with jobs:
        await adapter.maintenance.declare(sorted(COMMON))
        dead = await adapter.register(a_worker("dead", lease=0.01))
        assert await adapter.maintenance.begin(dead, ["prune statistics"])
        stop = asyncio.Event()
        working = asyncio.create_task(jobs.work(stop))
        with anyio.fail_after(PATIENCE):
            while not all(task.ended_at for task in await later.maintenance()):
                await asyncio.sleep(0.01)
        stop.set()
        await working
