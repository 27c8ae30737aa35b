"""A job that a worker does not know waits for one that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.testing.contract.steps import (
    BATCH,
    a_job,
    a_worker,
    claim_all,
    eventually,
    hold,
    record_of,
    store,
)
from asyncjobs.types import ClaimedJob, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Postponing:
    """The outcome `postponed`, and `offer`."""

    async def test_a_postponed_job_waits_uncounted(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_job("new"))
        assert await storage.finish(worker, [postponed(job)]) == [job.id]
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt, record.errors) == ("scheduled", 0, "[]")
        assert await claim_all(storage, worker) == []

    async def test_a_postponed_job_comes_back_by_itself(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_job("new"))
        await storage.finish(worker, [postponed(job, delay=0.01)])

        async def promoted() -> int:
            return (await storage.promote(BATCH)).count

        await eventually(promoted)
        assert await storage.offer(["new"]) == 0
        assert await claim_all(storage, worker) == [job.id]

    async def test_a_postponed_job_that_is_offered_takes_its_old_place(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, a_job("new"), a_job("newer"), a_job("new"))
        await storage.finish(worker, [postponed(job) for job in held])
        [later] = await store(storage)
        assert await storage.offer(["new", "unheard of"]) == 2
        assert await claim_all(storage, worker) == [held[0].id, held[2].id, later]
        record = await record_of(storage, held[0].id)
        assert record.attempted_at is not None
        assert record.run_at <= record.attempted_at

    async def test_a_job_may_be_postponed_again_and_again(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_job("new"))
        for _ in range(3):
            assert await storage.finish(worker, [postponed(job)]) == [job.id]
            assert await storage.offer(["new"]) == 1
            [again] = await storage.claim(worker, ["default"], 1)
            assert (again.attempt, again.position) == (1, job.position)

    async def test_an_offer_leaves_future_jobs_and_retries_alone(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [failed] = await hold(storage, worker, a_job("new"))
        await storage.finish(worker, [Outcome(failed.id, 1, "scheduled", delay=20, error="{}")])
        await store(storage, a_job("new", wait=20))
        assert await storage.offer(["new"]) == 0
        assert await storage.counts() == {("default", "scheduled"): 2}

    async def test_a_postponed_job_can_be_cancelled(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        waiting, running = await hold(storage, worker, a_job("new"), a_job("new"))
        await storage.finish(worker, [postponed(waiting)])
        await storage.cancel([waiting.id, running.id], interrupt=False)
        await storage.finish(worker, [postponed(running)])
        assert await storage.offer(["new"]) == 0
        assert await storage.counts() == {("default", "cancelled"): 2}

    async def test_nobody_is_offered_nothing(self, storage: Storage) -> None:
        assert await storage.offer([]) == 0
        assert await storage.offer(["new"]) == 0


def postponed(job: ClaimedJob, *, delay: float = 30.0) -> Outcome:
    """Return the outcome of a claim that is left to others."""
    return Outcome(job.id, job.attempt, "postponed", delay=delay, refund=True)
