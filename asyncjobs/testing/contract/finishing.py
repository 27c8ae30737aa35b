"""What became of an attempt is recorded by who holds the job, and by nobody else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from asyncjobs.testing.contract.steps import (
    BATCH,
    QUEUES,
    a_job,
    a_worker,
    claim_all,
    eventually,
    hold,
    ids_of,
    record_of,
    store,
)
from asyncjobs.types import MAX_ERRORS, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

Final = Literal["succeeded", "failed", "cancelled"]
FINAL: tuple[Final, ...] = ("succeeded", "failed", "cancelled")


class Finishing:
    """`finish`."""

    async def test_a_final_outcome_is_kept_and_never_claimed_again(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 3)
        outcomes = [Outcome(job.id, 1, state) for job, state in zip(held, FINAL, strict=True)]
        assert sorted(await storage.finish(worker, outcomes)) == ids_of(held)
        records = await storage.get(ids_of(held))
        assert [record.state for record in records] == list(FINAL)
        assert all(record.attempt == 1 for record in records)
        assert all(r.finished_at and r.finished_at >= r.created_at for r in records)
        assert await claim_all(storage, worker) == []
        assert (await storage.promote(BATCH)).count == 0

    async def test_a_job_that_is_not_kept_is_gone(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 3)
        outcomes = [
            Outcome(job.id, 1, state, delete=True) for job, state in zip(held, FINAL, strict=True)
        ]
        assert sorted(await storage.finish(worker, outcomes)) == ids_of(held)
        assert await storage.get(ids_of(held)) == []
        assert await storage.counts() == {}

    async def test_a_retry_is_scheduled_for_after_its_delay(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "scheduled", delay=3600)])
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt, record.finished_at) == ("scheduled", 1, None)
        assert record.attempted_at is not None
        late = record.run_at - record.attempted_at - timedelta(hours=1)
        assert timedelta(0) <= late < timedelta(seconds=10)
        assert await claim_all(storage, worker) == []

    async def test_a_retry_is_the_next_attempt(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "scheduled", delay=0.05)])
        await eventually(lambda: promoted(storage))
        [again] = await storage.claim(worker, QUEUES, 1)
        assert (again.id, again.attempt) == (job.id, 2)

    async def test_a_retry_goes_behind_what_became_available_before(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "scheduled")])
        [waiting] = await store(storage)
        await eventually(lambda: promoted(storage))
        assert await claim_all(storage, worker) == [waiting, job.id]

    async def test_a_returned_job_is_available_in_its_old_place(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        first, second = await hold(storage, worker, a_job(), a_job())
        [waiting] = await store(storage)
        await storage.finish(worker, [Outcome(second.id, 1, "available")])
        await storage.finish(worker, [Outcome(first.id, 1, "available")])
        record = await record_of(storage, first.id)
        assert (record.state, record.attempt, record.finished_at) == ("available", 1, None)
        again = await storage.claim(worker, QUEUES, BATCH)
        assert ids_of(again) == [first.id, second.id, waiting]
        assert [job.attempt for job in again] == [2, 2, 1]

    async def test_a_refunded_attempt_is_not_counted(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, a_job(), a_job())
        outcomes = [
            Outcome(held[0].id, 1, "available", refund=True),
            Outcome(held[1].id, 1, "scheduled", refund=True),
        ]
        assert len(await storage.finish(worker, outcomes)) == 2
        assert [record.attempt for record in await storage.get(ids_of(held))] == [0, 0]
        await eventually(lambda: promoted(storage))
        again = await storage.claim(worker, QUEUES, BATCH)
        assert [job.attempt for job in again] == [1, 1]

    async def test_errors_are_added_to_those_before(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "available", error='{"attempt": 1}')])
        await claim_all(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 2, "available")])
        await claim_all(storage, worker)
        error = {"attempt": 3, "message": "ü '\" \\ [],", "traceback": None}
        await storage.finish(worker, [Outcome(job.id, 3, "failed", error=json.dumps(error))])
        assert json.loads((await record_of(storage, job.id)).errors) == [{"attempt": 1}, error]

    async def test_the_last_errors_are_kept_when_there_are_too_many(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        for attempt in range(1, MAX_ERRORS + 3):
            error = json.dumps({"attempt": attempt})
            await storage.finish(worker, [Outcome(job.id, attempt, "available", error=error)])
            await eventually(lambda: claim_all(storage, worker))
        await storage.rescue([worker])
        errors = json.loads((await record_of(storage, job.id)).errors)
        assert [error["attempt"] for error in errors] == list(range(4, MAX_ERRORS + 4))

    async def test_only_the_holder_can_finish_a_job(self, storage: Storage) -> None:
        holder, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, holder)
        for delete in (False, True):
            assert await storage.finish(other, [Outcome(job.id, 1, "failed", delete)]) == []
        assert (await record_of(storage, job.id)).state == "running"
        assert await storage.finish(holder, [Outcome(job.id, 1, "succeeded")]) == [job.id]

    async def test_only_the_current_attempt_can_be_finished(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "available")])
        await claim_all(storage, worker)
        for attempt in (0, 1, 3):
            for delete in (False, True):
                outcome = Outcome(job.id, attempt, "failed", delete)
                assert await storage.finish(worker, [outcome]) == []
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt) == ("running", 2)

    async def test_the_first_of_two_reports_stands(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        assert await storage.finish(worker, [Outcome(job.id, 1, "succeeded")]) == [job.id]
        late = [Outcome(job.id, 1, "failed", error="{}"), Outcome(job.id, 1, "failed", True)]
        for outcome in late:
            assert await storage.finish(worker, [outcome]) == []
        record = await record_of(storage, job.id)
        assert (record.state, json.loads(record.errors)) == ("succeeded", [])

    async def test_a_job_that_nobody_holds_cannot_be_finished(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        available, scheduled = await store(storage, a_job(), a_job(wait=60))
        outcomes = [Outcome(id, 0, "succeeded") for id in (available, scheduled)]  # noqa: A001
        assert await storage.finish(worker, outcomes) == []
        assert await storage.finish(worker, [Outcome(scheduled + 1000, 1, "failed")]) == []
        assert len(await storage.counts()) == 2

    async def test_outcomes_of_every_kind_are_recorded_together(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 7)
        outcomes = [
            Outcome(held[0].id, 1, "succeeded", delete=True),
            Outcome(held[1].id, 1, "succeeded"),
            Outcome(held[2].id, 1, "failed", error='{"attempt": 1}'),
            Outcome(held[3].id, 1, "scheduled", delay=60, error='{"attempt": 1}'),
            Outcome(held[4].id, 1, "available", refund=True),
            Outcome(held[5].id, 9, "succeeded"),
        ]
        assert sorted(await storage.finish(worker, outcomes)) == ids_of(held[:5])
        assert [record.state for record in await storage.get(ids_of(held))] == [
            *("succeeded", "failed", "scheduled", "available"),
            *("running", "running"),
        ]

    async def test_a_thousand_outcomes_are_recorded_together(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * BATCH)
        outcomes = [Outcome(job.id, 1, "succeeded", delete=job.id % 2 == 0) for job in held]
        assert sorted(await storage.finish(worker, outcomes)) == ids_of(held)
        kept = sum(1 for outcome in outcomes if not outcome.delete)
        assert await storage.counts() == {("default", "succeeded"): kept}

    async def test_no_outcomes_are_harmless(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        assert await storage.finish(worker, []) == []


async def promoted(storage: Storage) -> int:
    """Promote what is due, and return how many jobs that were."""
    return (await storage.promote(BATCH)).count
