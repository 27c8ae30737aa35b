"""What else a success says is part of the job's own transaction too."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import PostgresAdapter, current_job

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


@pytest.fixture
def adapter(dsn: str) -> Storage:
    return PostgresAdapter(dsn)


async def test_a_lane_that_was_left_lets_the_next_in(bench: Any) -> None:
    ran: list[int] = []

    @bench.jobs.job(concurrency_key="only", concurrency=1)
    async def pay(number: int) -> None:
        async with current_job().transaction():
            ran.append(number)

    stored = await bench.later.many([pay(number) for number in range(5)])
    await bench.jobs.workoff()
    assert sorted(ran) == [0, 1, 2, 3, 4]
    assert [(await bench.record(job.id)).state for job in stored] == ["succeeded"] * 5


async def test_a_row_with_a_result_is_kept_with_its_last_progress(
    bench: Any, database: Any
) -> None:
    @bench.jobs.job(retain=timedelta(hours=1))
    async def pay() -> int:
        current_job().progress(0.5, "half")
        async with current_job().transaction():
            pass
        return 7

    stored = await bench.later(pay())
    await bench.jobs.workoff()
    row = await database.fetchrow(
        "select state::text, progress->>'message' as message, result "
        "from asyncjobs.jobs where id = $1",
        stored.id,
    )
    assert tuple(row) == ("succeeded", "half", None)


async def test_a_schedule_is_told_of_its_run(bench: Any, database: Any) -> None:
    @bench.jobs.job
    async def pay() -> None:
        async with current_job().transaction():
            pass

    schedule = await bench.later(pay(), every=timedelta(hours=1))
    await bench.later.schedules.run_now(schedule.name)
    await bench.jobs.workoff()
    told = await database.fetchval("select last_result from asyncjobs.schedules")
    assert told == "succeeded"
