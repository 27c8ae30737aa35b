"""A worker counts what ends, and how long it waited and ran."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from asyncjobs import Cancel, Snooze, StorageUnavailableError
from asyncjobs.statistics import percentile
from asyncjobs.types import ClaimedJob, WorkerInfo
from asyncjobs.worker.bookkeeper import EACH, MEASURED, Bookkeeper


async def test_every_kind_of_end_is_counted(bench: Any) -> None:
    @bench.jobs.job(backoff=lambda attempt, error: 3600, discard_on=KeyError)
    async def work(end: str) -> None:
        if end != "succeed":
            raise {"cancel": Cancel, "snooze": Snooze, "retry": OSError, "fail": KeyError}[end](1)

    @bench.jobs.job(queue="email")
    def rest() -> None: ...

    for end in ("succeed", "succeed", "cancel", "snooze", "retry", "fail", "fail", "fail"):
        await bench.later(work(end))
    await bench.later(rest())
    await bench.jobs.workoff()
    found = await bench.storage.statistics.tallies(3_600, 2)
    tally = found["default", "work"]
    counts = (tally.succeeded, tally.cancelled, tally.retried, tally.failed)
    assert counts == (2, 1, 1, 3)
    assert sum(tally.runs) == sum(tally.waits) == 7
    assert found["email", "rest"].succeeded == 1


async def test_waiting_and_running_are_measured(bench: Any) -> None:
    @bench.jobs.job
    async def nap() -> None:
        await asyncio.sleep(0.05)

    await bench.later.many([nap() for _ in range(20)])
    await bench.jobs.workoff()
    [tally] = (await bench.storage.statistics.tallies(60, 3)).values()
    run, wait = percentile(tally.runs, 0.5), percentile(tally.waits, 0.9)
    assert run is not None
    assert wait is not None
    assert run >= 0.05
    assert 0.03 < wait < 20


async def test_the_totals_have_what_was_measured_in_seconds(bench: Any) -> None:
    @bench.jobs.job
    async def nap() -> None:
        await asyncio.sleep(0.05)

    await bench.later.many([nap() for _ in range(3)])
    await bench.jobs.workoff()
    [total] = (await bench.storage.statistics.totals()).values()
    assert total.tally.succeeded == sum(total.tally.runs) == 3
    assert total.tally.ran >= 0.15
    assert total.tally.waited > 0


async def test_a_rescue_is_counted(bench: Any) -> None:
    @bench.jobs.job
    async def work() -> None: ...

    job = await bench.later(work())
    dead = await bench.storage.register(WorkerInfo("dead", "*", ["default"], "h", "h", 1, 1.0, 30))
    assert await bench.storage.claim(dead, ["default"], 1)
    keeper = Bookkeeper(bench.storage, None)
    for rescued in await bench.storage.rescue([dead]):
        assert rescued.id == job.id
        keeper.note_rescued(rescued.queue, rescued.name)
    await keeper.flush()
    totals = await bench.storage.statistics.totals()
    assert totals["default", "work"].tally.rescued == 1


async def test_a_working_worker_tells_about_once_a_second(bench: Any) -> None:
    @bench.jobs.job
    async def work() -> None: ...

    async with bench.working():
        await bench.later(work())
        with anyio.fail_after(20):
            while not await bench.storage.statistics.spans(60, 3):
                await asyncio.sleep(0.02)


class Storage:
    """A storage that is away at first."""

    def __init__(self) -> None:
        self.away, self.told = True, []
        self.statistics = self

    async def record(self, tallies: Any) -> None:
        if self.away:
            raise StorageUnavailableError("away")
        self.told.append(tallies)


@pytest.fixture
def row() -> ClaimedJob:
    from datetime import UTC, datetime

    return ClaimedJob(1, "work", "default", 50, 1, datetime.now(UTC), "{}", 1)


async def test_what_was_counted_during_an_outage_is_told_after_it(row: ClaimedJob) -> None:
    import structlog

    storage = Storage()
    with structlog.testing.capture_logs() as lines:
        keeper = Bookkeeper(storage, structlog.get_logger())  # type: ignore[arg-type]
        for _ in range(3):
            keeper.note(row, "succeeded", 1.0)
            await keeper.flush()
        storage.away = False
        keeper.note(row, "failed", 1.0)
        await keeper.flush()
    [told] = storage.told
    assert (told["default", "work"].succeeded, told["default", "work"].failed) == (3, 1)
    assert [line["event"] for line in lines] == ["statistics.delayed"]


async def test_of_very_many_only_some_are_measured_and_count_for_all(row: ClaimedJob) -> None:
    storage = Storage()
    storage.away = False
    keeper = Bookkeeper(storage, None)  # type: ignore[arg-type]
    for _ in range(MEASURED + 50 * EACH):
        keeper.note(row, "succeeded", 1.0)
    await keeper.flush()
    tally = storage.told[0]["default", "work"]
    assert tally.succeeded == MEASURED + 50 * EACH
    assert abs(sum(tally.runs) - tally.succeeded) < EACH
