"""A cancelled job never runs again; one that runs is interrupted if that was asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from asyncjobs.testing.contract.steps import (
    BATCH,
    a_job,
    a_worker,
    claim_all,
    eventually,
    hold,
    ids_of,
    record_of,
    store,
)
from asyncjobs.types import Outcome, Promotion

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

GIVEN_BACK: tuple[Literal["scheduled", "available"], ...] = ("scheduled", "available")
ENDED: tuple[Literal["succeeded", "failed", "cancelled"], ...] = (
    "succeeded",
    "failed",
    "cancelled",
)


class Cancelling:
    """`cancel`, and what becomes of jobs whose cancellation was asked for."""

    async def test_a_waiting_job_that_is_cancelled_never_runs(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        cancelled, other = await store(storage, a_job(), a_job())
        assert await storage.cancel([cancelled], interrupt=True) == [cancelled]
        record = await record_of(storage, cancelled)
        assert (record.state, record.attempt) == ("cancelled", 0)
        assert record.finished_at is not None
        assert await claim_all(storage, worker) == [other]

    async def test_a_future_job_that_is_cancelled_never_becomes_available(
        self, storage: Storage
    ) -> None:
        cancelled, _ = await store(storage, a_job(wait=0.01), a_job(wait=0.05))
        assert await storage.cancel([cancelled], interrupt=False) == [cancelled]

        async def promote() -> int:
            return (await storage.promote(BATCH)).count

        assert await eventually(promote) == 1
        assert await storage.promote(BATCH) == Promotion(0, None)
        record = await record_of(storage, cancelled)
        assert record.state == "cancelled"
        assert record.finished_at is not None

    async def test_a_running_job_stays_with_its_worker(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        assert await storage.cancel([job.id], interrupt=True) == [job.id]
        record = await record_of(storage, job.id)
        assert (record.state, record.finished_at) == ("running", None)

    async def test_a_running_job_can_be_cancelled_twice(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        for interrupt in (True, True, False):
            assert await storage.cancel([job.id], interrupt=interrupt) == [job.id]
        assert (await storage.heartbeat(worker))[:2] == (True, [job.id])

    async def test_a_finished_job_cannot_be_cancelled(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 3)
        outcomes = [Outcome(job.id, 1, state) for job, state in zip(held, ENDED, strict=True)]
        await storage.finish(worker, outcomes)
        before = await storage.get(ids_of(held))
        assert await storage.cancel(ids_of(held), interrupt=True) == []
        assert await storage.get(ids_of(held)) == before

    async def test_a_cancelled_job_cannot_be_cancelled_again(self, storage: Storage) -> None:
        ids = await store(storage, a_job(), a_job(wait=60))
        assert sorted(await storage.cancel(ids, interrupt=True)) == ids
        assert await storage.cancel(ids, interrupt=True) == []

    async def test_unknown_ids_are_passed_over(self, storage: Storage) -> None:
        [job_id] = await store(storage)
        assert await storage.cancel([job_id + 1000], interrupt=True) == []
        found = await storage.cancel([job_id + 1000, job_id, job_id], interrupt=True)
        assert found == [job_id]
        assert await storage.cancel([], interrupt=True) == []

    async def test_a_thousand_jobs_are_cancelled_together(self, storage: Storage) -> None:
        ids = await store(storage, *[a_job(), a_job(wait=60)] * (BATCH // 2))
        assert sorted(await storage.cancel(ids, interrupt=True)) == ids
        assert await storage.counts() == {("default", "cancelled"): BATCH}

    async def test_the_heartbeat_tells_the_worker_whom_to_interrupt(self, storage: Storage) -> None:
        worker, other = [await storage.register(a_worker()) for _ in range(2)]
        first, second, _ = await hold(storage, worker, *[a_job()] * 3)
        await storage.cancel([second.id, first.id], interrupt=True)
        for _ in range(2):
            alive, cancel = (await storage.heartbeat(worker))[:2]
            assert (alive, sorted(cancel)) == (True, [first.id, second.id])
        assert (await storage.heartbeat(other))[:2] == (True, [])
        await storage.finish(worker, [Outcome(first.id, 1, "cancelled")])
        assert (await storage.heartbeat(worker))[:2] == (True, [second.id])

    async def test_without_interrupt_the_worker_is_not_told(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        assert await storage.cancel([job.id], interrupt=False) == [job.id]
        assert (await storage.heartbeat(worker))[:2] == (True, [])
        await storage.cancel([job.id], interrupt=True)
        assert (await storage.heartbeat(worker))[:2] == (True, [job.id])

    async def test_instead_of_going_back_to_the_queue_it_is_cancelled(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 4)
        await storage.cancel(ids_of(held[:2]), interrupt=False)
        await storage.cancel(ids_of(held[2:]), interrupt=True)
        outcomes = [
            Outcome(job.id, 1, state, error='{"attempt": 1}')
            for job, state in zip(held, GIVEN_BACK * 2, strict=True)
        ]
        assert sorted(await storage.finish(worker, outcomes)) == ids_of(held)
        for record in await storage.get(ids_of(held)):
            assert record.state == "cancelled"
            assert record.finished_at is not None
            assert json.loads(record.errors) == [{"attempt": 1}]
        assert await storage.promote(BATCH) == Promotion(0, None)
        assert await claim_all(storage, worker) == []

    async def test_a_final_outcome_stands_whatever_was_asked(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 4)
        await storage.cancel(ids_of(held), interrupt=True)
        outcomes = [Outcome(job.id, 1, state) for job, state in zip(held, ENDED, strict=False)]
        outcomes.append(Outcome(held[3].id, 1, "succeeded", delete=True))
        assert sorted(await storage.finish(worker, outcomes)) == ids_of(held)
        records = await storage.get(ids_of(held))
        assert [record.state for record in records] == list(ENDED)

    async def test_a_rescue_ends_a_job_that_was_to_be_cancelled(self, storage: Storage) -> None:
        dead, other = [await storage.register(a_worker(name)) for name in ("dead", "other")]
        [job] = await hold(storage, dead)
        await storage.cancel([job.id], interrupt=False)
        assert await storage.rescue([dead]) == []
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt) == ("cancelled", 1)
        assert record.finished_at is not None
        assert [error["error"] for error in json.loads(record.errors)] == ["WorkerLost"]
        assert await claim_all(storage, other) == []

    async def test_a_worker_that_ends_leaves_no_job_that_was_to_be_cancelled(
        self, storage: Storage
    ) -> None:
        worker, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, worker)
        await storage.cancel([job.id], interrupt=True)
        await storage.deregister(worker)
        record = await record_of(storage, job.id)
        assert record.state == "cancelled"
        assert record.finished_at is not None
        assert await claim_all(storage, other) == []
