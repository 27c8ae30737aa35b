"""MemoryAdapter keeps the contract, and adds a clock that a test can move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from asyncjobs.errors import ConnectionKindError, NotOpenError
from asyncjobs.storage.memory import MemoryAdapter
from asyncjobs.testing import StorageContract
from asyncjobs.testing.contract.steps import a_job, a_worker, claim_all, hold, record_of, store
from asyncjobs.types import Outcome, Promotion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.storage.protocol import Storage


class TestMemoryAdapter(StorageContract):
    @pytest.fixture
    async def storage(self) -> AsyncIterator[Storage]:
        adapter = MemoryAdapter()
        await adapter.open()
        yield adapter
        await adapter.close()


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(clock: Clock) -> MemoryAdapter:
    adapter = MemoryAdapter(clock=clock)
    await adapter.open()
    return adapter


async def test_every_moment_is_by_the_given_clock(timed: MemoryAdapter, clock: Clock) -> None:
    worker = await timed.register(a_worker())
    [stored] = await timed.enqueue([a_job()])
    clock.move(1)
    await claim_all(timed, worker)
    clock.move(1)
    await timed.finish(worker, [Outcome(stored.id, 1, "succeeded")])
    record = await record_of(timed, stored.id)
    moments = [record.created_at, record.attempted_at, record.finished_at]
    assert moments == [clock.now - timedelta(seconds=ago) for ago in (2, 1, 0)]


async def test_a_job_is_due_at_its_moment_and_not_before(
    timed: MemoryAdapter, clock: Clock
) -> None:
    [stored] = await timed.enqueue([a_job(wait=60)])
    assert stored.run_at == clock.now + timedelta(seconds=60)
    clock.move(59.75)
    assert await timed.promote(10) == Promotion(0, 0.25)
    clock.move(0.25)
    assert await timed.promote(10) == Promotion(1, None)


async def test_a_retry_waits_by_the_clock(timed: MemoryAdapter, clock: Clock) -> None:
    worker = await timed.register(a_worker())
    [job] = await hold(timed, worker)
    await timed.finish(worker, [Outcome(job.id, 1, "scheduled", delay=16)])
    assert await timed.promote(10) == Promotion(0, 16.0)
    clock.move(16)
    assert (await timed.promote(10)).count == 1


async def test_a_lease_runs_out_by_the_clock(timed: MemoryAdapter, clock: Clock) -> None:
    worker = await timed.register(a_worker(lease=30))
    [job] = await hold(timed, worker)
    clock.move(29)
    await timed.heartbeat(worker)
    clock.move(29)
    assert await timed.rescue([]) == []
    clock.move(1)
    assert [rescued.id for rescued in await timed.rescue([])] == [job.id]


async def test_an_adapter_that_is_not_open_stores_nothing() -> None:
    adapter = MemoryAdapter()
    with pytest.raises(NotOpenError):
        await adapter.enqueue([a_job()])
    assert await adapter.counts() == {}


async def test_it_is_open_until_its_last_close() -> None:
    adapter = MemoryAdapter()
    await adapter.open()
    await adapter.open()
    await adapter.close()
    await store(adapter)
    await adapter.close()
    with pytest.raises(NotOpenError):
        await store(adapter)


async def test_jobs_survive_until_it_is_opened_again() -> None:
    adapter = MemoryAdapter()
    await adapter.open()
    ids = await store(adapter)
    await adapter.close()
    await adapter.open()
    assert [record.id for record in await adapter.get(ids)] == ids


async def test_it_says_why_it_takes_no_connection(timed: MemoryAdapter) -> None:
    with pytest.raises(ConnectionKindError, match=r"no transactions.*on PostgreSQL"):
        await timed.enqueue([a_job()], connection=object())


async def test_it_is_for_one_thread_only(timed: MemoryAdapter) -> None:
    assert timed.for_thread() is None


async def test_two_adapters_do_not_see_each_other(timed: MemoryAdapter) -> None:
    await store(timed)
    assert await MemoryAdapter().counts() == {}
