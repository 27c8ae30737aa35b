"""Results that are too large to be stored all at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from asyncjobs import PostgresAdapter, StorageUnavailableError
from asyncjobs.storage.postgres import outcomes as statements
from asyncjobs.testing.contract.steps import a_worker
from asyncjobs.types import Kept, NewJob, Outcome
from asyncjobs.worker import finisher

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 20
TEXT = "a" * 100
MANY = 10


class Recorded:
    """The batches of outcomes that a storage was told, and a gate before each."""

    def __init__(self, storage: Any) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._finish = storage.finish
        storage.finish = self.finish

    async def finish(self, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        self.batches.append([outcome.id for outcome in outcomes])
        await self.gate.wait()
        found: list[int] = await self._finish(worker, outcomes)
        return found


@pytest.fixture
async def large(make_bench: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bench whose jobs end all at once when *go* is set, with results of 100 characters."""
    monkeypatch.setattr(finisher, "LARGE", 350)
    bench = await make_bench(concurrency=MANY)
    bench.go, bench.running, bench.recorded = asyncio.Event(), 0, Recorded(bench.storage)

    @bench.jobs.job(retain=3600)
    async def tell() -> str:
        bench.running += 1
        await bench.go.wait()
        return TEXT

    bench.tell = tell
    return bench


async def test_large_results_that_come_together_are_stored_a_few_at_a_time(large: Any) -> None:
    stored = await large.later.many([large.tell() for _ in range(MANY)])
    async with large.working():
        while large.running < MANY:
            await asyncio.sleep(0.005)
        large.go.set()
        with anyio.fail_after(PATIENCE):
            assert [await one.result() for one in stored] == [TEXT] * MANY
    batches = large.recorded.batches
    assert all(len(batch) <= 3 for batch in batches)
    assert sorted(id for batch in batches for id in batch) == sorted(one.id for one in stored)  # noqa: A001


async def test_the_end_of_the_event_loop_loses_none_of_what_is_stored_a_few_at_a_time(
    large: Any,
) -> None:
    stored = await large.later.many([large.tell() for _ in range(MANY)])
    recorded = large.recorded
    async with large.working():
        while large.running < MANY:
            await asyncio.sleep(0.005)
        recorded.gate.clear()
        large.go.set()
        while sum(map(len, recorded.batches)) < 3:
            await asyncio.sleep(0.005)
        [sending] = [task for task in asyncio.all_tasks() if "_send_all" in str(task.get_coro())]
        sending.cancel()
        recorded.gate.set()
        with anyio.fail_after(PATIENCE):
            assert [await one.result() for one in stored] == [TEXT] * MANY
    assert large.running == MANY  # none ran again because it was forgotten


async def test_what_is_large_may_take_longer(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    worker = await adapter.register(a_worker())
    await adapter.enqueue([NewJob("x", "default", 50, "{}")] * 2)
    first, second = await adapter.claim(worker, ["default"], 2)
    monkeypatch.setattr(statements, "HOT_TIMEOUT", 1e-6)
    monkeypatch.setattr(statements, "CHARACTER_TIME", 1.0)
    small = Outcome(first.id, first.attempt, "succeeded", kept=Kept())
    with pytest.raises(StorageUnavailableError):
        await adapter.finish(worker, [small])
    large = Outcome(second.id, second.attempt, "succeeded", kept=Kept(f'"{TEXT}"'))
    assert await adapter.finish(worker, [large]) == [second.id]
    await adapter.close()
