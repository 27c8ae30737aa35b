"""Threads and processes are limited by themselves, and what waits for one delays nothing else."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from asyncjobs import JobManager, MemoryAdapter, WorkerGroup
from asyncjobs.worker.backlog import Backlog
from tests.worker.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Held:
    """Plain functions that hold their threads until the test lets go."""

    def __init__(self, bench: Any) -> None:
        self.ran: list[int] = []
        self._go_on, self._bench = threading.Event(), bench

        @bench.jobs.job
        def hold(number: int) -> None:
            self.ran.append(number)
            assert self._go_on.wait(PATIENCE)

        @bench.jobs.job
        async def quick() -> None: ...

        self.hold, self.quick = hold, quick

    async def until_running(self, most: int) -> None:
        """Wait until *most* threads are held."""
        with anyio.fail_after(PATIENCE):
            while len(self.ran) < most:
                await asyncio.sleep(0.005)
        assert len(self.ran) == most

    async def until_back(self, stored: list[Any], running: int) -> None:
        """Wait until all but *running* are there for other workers, at no cost."""
        with anyio.fail_after(PATIENCE):
            while True:
                records = await asyncio.gather(*(self._bench.record(job.id) for job in stored))
                if (
                    Counter(record.state for record in records)["available"]
                    == len(stored) - running
                ):
                    break
                await asyncio.sleep(0.01)
        assert {record.attempt for record in records if record.state == "available"} == {0}

    def let_go(self) -> None:
        """Let all of them end."""
        self._go_on.set()


@pytest.fixture
async def make_held(make_bench: Any) -> AsyncIterator[Callable[..., Any]]:
    made: list[Held] = []

    async def make(**options: Any) -> tuple[Any, Held]:
        bench = await make_bench(delete_successful_jobs=False, **options)
        made.append(Held(bench))
        return bench, made[-1]

    yield make
    for held in made:
        held.let_go()


async def test_jobs_that_wait_for_a_thread_take_no_slot(make_held: Any) -> None:
    bench, held = await make_held(concurrency=3, threads=1)
    stored = await bench.later.many([held.hold(number) for number in range(50)])
    async with bench.working():
        await held.until_running(1)
        for _ in range(10):
            quick = await bench.later(held.quick())
            await bench.until(quick.id, "succeeded")
        assert held.ran == [0]
        held.let_go()
        for job in stored:
            await bench.until(job.id, "succeeded")
    assert sorted(held.ran) == list(range(50))


async def test_jobs_that_wait_for_a_thread_are_there_for_other_workers(make_held: Any) -> None:
    bench, held = await make_held(concurrency=20, threads=2)
    stored = await bench.later.many([held.hold(number) for number in range(40)])
    async with bench.working():
        await held.until_running(2)
        await held.until_back(stored, running=2)
        held.let_go()
        for job in stored:
            await bench.until(job.id, "succeeded")


async def test_a_full_kind_is_claimed_again_once_it_has_a_place(make_held: Any) -> None:
    bench, held = await make_held(concurrency=20, threads=2)
    stored = await bench.later.many([held.hold(number) for number in range(40)])
    async with bench.working():
        await held.until_running(2)
        await held.until_back(stored, running=2)
        late = await bench.later(held.hold(40))
        held.let_go()
        await bench.until(late.id, "succeeded")
        # Nothing is apart any more: jobs of all kinds come by the usual claims.
        again = [await bench.later(held.hold(41)), await bench.later(held.quick())]
        for job in again:
            await bench.until(job.id, "succeeded")
    assert held.ran[-1] == 41


async def test_a_job_that_waits_for_a_thread_can_be_cancelled(make_held: Any) -> None:
    bench, held = await make_held(concurrency=5, threads=1)
    stored = await bench.later.many([held.hold(number) for number in range(2)])
    async with bench.working():
        await held.until_running(1)
        assert await bench.later.cancel(stored[1].id)
        await bench.until(stored[1].id, "cancelled")
        held.let_go()
    assert held.ran == [0]


async def test_jobs_that_wait_for_a_thread_go_back_when_the_worker_ends(make_held: Any) -> None:
    bench, held = await make_held(concurrency=5, threads=2)
    stored = await bench.later.many([held.hold(number) for number in range(4)])
    async with bench.working() as stop:
        await held.until_running(2)
        stop.set()
        await bench.until_logged("worker.stopping")
        held.let_go()
    states = Counter([(await bench.record(job.id)).state for job in stored])
    assert states == {"succeeded": 2, "available": 2}
    assert [(await bench.record(job.id)).attempt for job in stored] == [1, 1, 0, 0]


async def test_threads_that_all_slots_are_too_few_for_wait_their_turn(make_held: Any) -> None:
    bench, held = await make_held(concurrency=2, threads=1)
    go_on = asyncio.Event()

    @bench.jobs.job
    async def wait() -> None:
        await go_on.wait()

    waiting = await bench.later.many([wait() for _ in range(2)])
    held.let_go()
    async with bench.working():
        for job in waiting:
            await bench.until(job.id, "running")
        stored = await bench.later(held.hold(0))
        quick = await bench.later(held.quick())
        go_on.set()
        for job in (stored, quick):
            await bench.until(job.id, "succeeded")


@pytest.mark.parametrize("seed", range(6))
async def test_any_mixture_is_done_once_and_within_its_limits(make_bench: Any, seed: int) -> None:
    pick = random.Random(seed)
    concurrency = pick.choice([3, 8, 30])
    threads = pick.randint(1, concurrency - 1)
    bench = await make_bench(concurrency=concurrency, threads=threads)
    running, most, ran = Counter[str](), Counter[str](), Counter[int]()
    lock = threading.Lock()

    def note(kind: str, step: int) -> None:
        with lock:
            running[kind] += step
            running["all"] += step
            for key in (kind, "all"):
                most[key] = max(most[key], running[key])

    @bench.jobs.job
    def in_thread(number: int, seconds: float) -> None:
        note("thread", 1)
        time.sleep(seconds)
        ran[number] += 1
        note("thread", -1)

    @bench.jobs.job
    async def here(number: int, seconds: float) -> None:
        note("here", 1)
        await asyncio.sleep(seconds)
        ran[number] += 1
        note("here", -1)

    share = pick.choice([0.1, 0.5, 0.9])
    calls = [
        (in_thread if pick.random() < share else here)(number, pick.choice([0, 0, 0.001, 0.01]))
        for number in range(600)
    ]
    await bench.later.many(calls)
    with anyio.fail_after(PATIENCE):
        await bench.jobs.workoff()
    assert ran == Counter(range(600))
    assert most["thread"] <= threads
    assert most["all"] <= concurrency


def test_a_limit_that_cannot_be_reached_is_none() -> None:
    registry = JobManager(adapters={"main": MemoryAdapter()}).registry

    def kinds(**options: Any) -> list[int]:
        group = WorkerGroup(adapter="main", **options)
        return [kind.limit for kind in Backlog(registry, group).kinds]

    assert kinds(concurrency=10, threads=10, processes=10) == []
    assert kinds(concurrency=10, threads=9, processes=8) == [8, 9]
    assert kinds(concurrency=1) == []
