from __future__ import annotations

import asyncio
from typing import Any

import anyio

from asyncjobs import StorageUnavailableError


def lose_answers(storage: Any, method: str, times: int) -> None:
    """Let *method* take effect and then fail, as a connection does that is cut in between."""
    carry_out, left = getattr(storage, method), [times]

    async def cut_off(*args: Any, **options: Any) -> Any:
        answer = await carry_out(*args, **options)
        if left[0] and answer:
            left[0] -= 1
            raise StorageUnavailableError("the answer was lost")
        return answer

    setattr(storage, method, cut_off)


async def test_jobs_of_a_claim_whose_answer_was_lost_run_all_the_same(make_bench: Any) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=5)
    ran: list[int] = []

    @bench.jobs.job
    async def note(number: int) -> None:
        ran.append(number)

    lose_answers(bench.storage, "claim", 2)
    await bench.later.many([note(number) for number in range(50)])
    async with bench.working():
        with anyio.fail_after(20):
            while len(ran) < 50:
                await asyncio.sleep(0.01)
        await bench.until_logged("claim.recovered")
    assert sorted(ran) == list(range(50))
    assert not await bench.storage.counts()


async def test_a_finish_whose_answer_was_lost_is_recorded_once(make_bench: Any) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=5, max_attempts=2)
    ran: list[int] = []

    @bench.jobs.job(backoff=lambda attempt, error: 0)
    async def fragile(number: int) -> None:
        ran.append(number)
        if ran.count(number) == 1:
            raise ValueError

    lose_answers(bench.storage, "finish", 3)
    await bench.later.many([fragile(number) for number in range(20)])
    async with bench.working():
        with anyio.fail_after(20):
            while len(ran) < 40 or await bench.storage.counts():
                await asyncio.sleep(0.01)
    assert sorted(ran) == sorted([*range(20), *range(20)])


async def test_a_return_whose_answer_was_lost_frees_no_job_that_runs_again(
    make_bench: Any,
) -> None:
    # The attempt is not counted, so the same worker's next claim has the same number.
    bench = await make_bench(heartbeat_interval=0.05, lease=5, delete_successful_jobs=False)
    started, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    @bench.jobs.job
    async def slow() -> None:
        nonlocal runs
        runs += 1
        started.set()
        await go_on.wait()

    forget_first(bench.jobs.registry)
    lose_answers(bench.storage, "finish", 1)
    stored = await bench.later(slow())
    async with bench.working():
        await bench.until_logged("finish.delayed")
        await bench.storage.enqueue([])  # let the delayed statement come and go
        await asyncio.sleep(0.3)
        go_on.set()
        record = await bench.record(stored.id)
        assert (record.state, runs) in {("scheduled", 0), ("running", 1), ("succeeded", 1)}
    assert runs <= 1


def forget_first(registry: Any) -> None:
    """Let the first look for a job find none, so that the claim is given back."""
    get, looks = registry.get, []

    def forgetful(name: str) -> Any:
        looks.append(name)
        return get(name) if len(looks) != 2 else None  # the first look is by `later`

    registry.get = forgetful
