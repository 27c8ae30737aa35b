"""A manager that is opened in one event loop after the other, as tests and their clients do."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from asyncjobs import JobManager, JobState, MemoryAdapter, PostgresAdapter, WorkerGroup


@pytest.fixture(params=["memory", "postgres"])
def jobs(request: pytest.FixtureRequest) -> Any:
    adapter = (
        MemoryAdapter()
        if request.param == "memory"
        else PostgresAdapter(request.getfixturevalue("dsn"))
    )
    return JobManager(adapters={"main": adapter}, workers=[WorkerGroup(adapter="main")])


def test_each_waits_for_results_and_follows_events(jobs: Any) -> None:
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(retain=60)
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0.1)
        return a + b

    async def use() -> tuple[int, JobState]:
        async with jobs:
            stop = asyncio.Event()
            working = asyncio.create_task(jobs.work(stop))
            with anyio.fail_after(20):
                result = await (await later(add(2, 3))).result()
                *_, last = [event.state async for event in (await later(add(2, 3))).events()]
            stop.set()
            await working
            return result, last

    assert [asyncio.run(use()) for _ in range(3)] == [(5, JobState.SUCCEEDED)] * 3


def test_several_tasks_open_it_at_once(jobs: Any) -> None:
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def note(number: int) -> None: ...

    async def use(number: int) -> bool:
        async with jobs:
            return (await later(note(number))).is_new

    async def main() -> list[bool]:
        return await asyncio.gather(*map(use, range(5)))

    assert [asyncio.run(main()) for _ in range(3)] == [[True] * 5] * 3
