"""Calls whose task is cancelled, by somebody or by the end of the event loop."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from typing import Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobManager, PostgresAdapter, ScheduledJob


def make_manager(dsn: str) -> Any:
    manager: Any = JobManager(adapters={"main": PostgresAdapter(dsn)})

    @manager.job
    async def note(number: int) -> None: ...

    manager.note = note
    manager.later = manager.create_scheduler(adapter="main")
    return manager


async def stored_numbers(dsn: str) -> dict[int, int]:
    """Return the number of each stored job, by id."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("select id, args::text as args from asyncjobs.jobs")
    await connection.close()
    return {row["id"]: json.loads(row["args"])["number"] for row in rows}


async def test_a_cancelled_call_has_stored_its_job_once_or_not_at_all(dsn: str) -> None:
    jobs = make_manager(dsn)
    acknowledged: dict[int, int] = {}

    async def call(number: int) -> None:
        stored: ScheduledJob = await jobs.later(jobs.note(number))
        acknowledged[stored.id] = number

    async with jobs:
        for wave in range(20):
            numbers = range(wave * 50, wave * 50 + 50)
            tasks = [asyncio.create_task(call(number)) for number in numbers]
            await asyncio.sleep(random.uniform(0, 0.003))
            for task in random.sample(tasks, 25):
                task.cancel()
            with anyio.fail_after(30):
                await asyncio.wait(tasks)
    stored = await stored_numbers(dsn)
    assert len(set(stored.values())) == len(stored)
    assert stored.items() >= acknowledged.items()
    assert len(acknowledged) >= 20 * 25


async def test_a_call_that_is_cancelled_before_its_batch_leaves_stores_nothing(dsn: str) -> None:
    jobs = make_manager(dsn)
    async with jobs:
        first, second = [asyncio.create_task(jobs.later(jobs.note(number))) for number in (1, 2)]
        await asyncio.sleep(0)  # both wait to be gathered
        second.cancel()
        await first
        assert second.cancelled() or await asyncio.wait({second})
    assert list((await stored_numbers(dsn)).values()) == [1]


@pytest.mark.parametrize("under_way", [False, True])
def test_a_call_in_a_finally_at_the_end_of_the_loop_comes_to_an_end(
    dsn: str, *, under_way: bool
) -> None:
    jobs = make_manager(dsn)
    results: list[ScheduledJob] = []

    async def schedule_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            results.append(await jobs.later(jobs.note(1)))
            await jobs.__aexit__(None, None, None)

    async def main() -> None:
        await jobs.__aenter__()
        ending = asyncio.create_task(schedule_at_the_end())
        await asyncio.sleep(0)
        if under_way:  # its batch is cancelled as well
            jobs.interrupted = asyncio.create_task(jobs.later(jobs.note(2)))
            await asyncio.sleep(0.0005)
        del ending

    # asyncio.run cancels every task at its end, and waits for all of them.
    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert [result.name for result in results] == ["note"]
    assert results[0].id in asyncio.run(stored_numbers(dsn))
