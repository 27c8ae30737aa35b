"""A running job is cancelled within a second, also where nothing tells the worker of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from asyncjobs.types import Heartbeat, Signal
from asyncjobs.worker.cancellations import Cancellations

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE = 30.0


@pytest.mark.parametrize("listen", [True, False])
async def test_another_process_cancels_and_no_heartbeat_is_waited_for(
    dsn: str, listen: bool
) -> None:
    started = asyncio.Event()
    adapter = PostgresAdapter(dsn, listen=listen)
    group = WorkerGroup(adapter="main", heartbeat_interval=600, lease=3600, sleep_delay=0.1)
    jobs = JobManager(adapters={"main": adapter}, workers=[group])
    elsewhere = JobManager(adapters={"main": PostgresAdapter(dsn)})
    later, control = (each.create_scheduler(adapter="main") for each in (jobs, elsewhere))

    @jobs.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    stop = asyncio.Event()
    async with jobs, elsewhere:
        working = asyncio.create_task(jobs.work(stop))
        with anyio.fail_after(PATIENCE):
            stored = await later(endless())
            await started.wait()
            assert await control.cancel(name="endless") == 1
            while (record := await control.get(stored.id)) is None or record.state == "running":
                await asyncio.sleep(0.01)
            assert record.state == "cancelled"
            stop.set()
            await working


class World:
    """A storage, a claimer and an executor, as far as they matter here."""

    def __init__(self, running: Iterable[int]) -> None:
        self.running = dict.fromkeys(running)
        self.worker = 7
        self.asked = 0

    def holds(self) -> set[int]:
        return set(self.running)

    async def heartbeat(self, worker: int) -> Heartbeat:
        self.asked += 1
        return Heartbeat(True, [])


async def looks(running: Iterable[int], *signals: Signal, ticks: int = 3) -> int:
    """How often a worker that runs these jobs asks after *signals*, in some ticks."""
    world: Any = World(running)
    watch = Cancellations(
        world, world, world, structlog.get_logger(), on_answer=lambda worker, answer, asked_at: None
    )
    for signal in signals:
        watch.on_signal(signal)
    for _ in range(ticks):
        watch.tick()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return int(world.asked)


async def test_who_hears_nothing_looks_while_jobs_run_but_not_at_every_tick() -> None:
    assert await looks([1]) == 1
    assert await looks([1], Signal(missed=True)) == 1
    assert await looks([1], Signal(proven=True), Signal(missed=True)) == 1
    assert await looks([]) == 0


async def test_who_hears_signals_looks_only_when_they_speak_of_a_job_of_his() -> None:
    assert await looks([1], Signal(proven=True)) == 0
    assert await looks([1], Signal(proven=True), Signal(ready=frozenset("a"))) == 0
    assert await looks([1], Signal(proven=True), Signal(cancel=(2,))) == 0
    assert await looks([1], Signal(proven=True), Signal(cancel=(1, 2))) == 1


async def test_who_may_have_missed_something_looks_once() -> None:
    assert await looks([], Signal(missed=True)) == 1
    assert await looks([1], Signal(missed=True, proven=True), Signal(ready=frozenset("a"))) == 1


async def test_who_hears_of_a_wish_looks_though_nothing_runs() -> None:
    assert await looks([], Signal(proven=True), Signal(workers=(7,))) == 1
    assert await looks([1], Signal(proven=True), Signal(workers=(8,))) == 0


async def test_who_hears_something_while_it_looks_looks_again() -> None:
    assert await looks([], Signal(workers=(7,)), Signal(workers=(7,)), Signal(workers=(7,))) == 2


async def test_a_listener_says_when_signals_are_proven(dsn: str) -> None:
    heard: list[Signal] = []
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(adapter.listen, heard.append)
        with anyio.fail_after(PATIENCE):
            while not any(signal.proven for signal in heard):
                await asyncio.sleep(0.005)
        second: list[Signal] = []
        tasks.start_soon(adapter.listen, second.append)
        with anyio.fail_after(PATIENCE):
            while not second:
                await asyncio.sleep(0.005)
        assert second[0].proven
        tasks.cancel_scope.cancel()
    await adapter.close()
