"""What is done to many jobs reaches those that allow it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from asyncjobs.errors import KeyInDoubtError
from asyncjobs.filters import JobFilter
from asyncjobs.storage.admin import Retried
from asyncjobs.testing.contract.finding import ERROR, found, one_in_each_state, states_of
from asyncjobs.testing.contract.steps import (
    a_job,
    a_worker,
    claim_all,
    eventually,
    hold,
    ids_of,
    record_of,
    store,
    together,
)
from asyncjobs.testing.contract.uniqueness import ONE, a_unique_job, put
from asyncjobs.types import Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import StoredJob


async def put_if_certain(storage: Storage) -> StoredJob | None:
    """Store a unique job; return None if a transaction that has its key has not ended."""
    try:
        return await put(storage, a_unique_job())
    except KeyInDoubtError:  # as a retry under way may be, on a slow machine
        return None


class Controlling:
    """What `Storage.admin` changes."""

    async def test_cancelling_reaches_what_has_not_ended(self, storage: Storage) -> None:
        ids = await one_in_each_state(storage)
        assert await storage.admin.cancel(JobFilter(), interrupt=True) == 3
        assert await states_of(storage, ids) == {
            "succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled",
            "running": "running", "available": "cancelled", "scheduled": "cancelled",
        }  # fmt: skip

    async def test_retrying_reaches_all_but_what_runs_or_is_about_to(
        self, storage: Storage
    ) -> None:
        ids = await one_in_each_state(storage)
        assert await storage.admin.retry(JobFilter()) == Retried(4)
        expected = dict.fromkeys(ids, "available") | {"running": "running"}
        assert await states_of(storage, ids) == expected
        for state in ("succeeded", "failed", "cancelled", "scheduled"):
            record = await record_of(storage, ids[state])
            assert record.finished_at is None
            assert record.run_at <= datetime.now(UTC) + timedelta(seconds=5)
            assert len(json.loads(record.errors)) == (state == "failed")

    async def test_a_retried_job_runs_after_those_that_wait_and_begins_anew(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "failed", error=ERROR)])
        [waiting] = await store(storage)
        assert await storage.admin.retry(JobFilter(ids=[job.id])) == Retried(1)
        claimed = await storage.claim(worker, ["default"], 10)
        assert ids_of(claimed) == [waiting, job.id]
        assert claimed[1].attempt == 2
        assert json.loads(claimed[1].extra or "{}") == {"before": 1}
        assert claimed[0].extra is None

    async def test_a_job_that_waits_for_a_retry_keeps_its_attempts(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "scheduled", delay=60, error=ERROR)])
        assert await storage.admin.retry(JobFilter(ids=[job.id])) == Retried(1)
        [claimed] = await storage.claim(worker, ["default"], 10)
        assert (claimed.attempt, claimed.extra) == (2, None)

    async def test_a_cancelled_job_can_be_retried_and_cancelled_again(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.cancel([job.id], interrupt=True)
        await storage.finish(worker, [Outcome(job.id, 1, "cancelled")])
        await storage.admin.retry(JobFilter(state="cancelled"))
        [again] = await storage.claim(worker, ["default"], 10)
        assert (await storage.heartbeat(worker)).cancel == []
        assert await storage.finish(worker, [Outcome(again.id, 2, "scheduled")]) == [job.id]
        assert (await record_of(storage, job.id)).state in {"scheduled", "available"}

    async def test_a_retry_may_change_the_arguments(self, storage: Storage) -> None:
        ids = await one_in_each_state(storage)
        assert await storage.admin.retry(JobFilter(), args='{"n": 2}') == Retried(5)
        for state, number in ids.items():
            record = await record_of(storage, number)
            assert json.loads(record.args) == ({} if state == "running" else {"n": 2})

    async def test_a_job_whose_key_is_taken_is_not_retried(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = []
        for _ in range(2):
            [job] = await hold(storage, worker, a_unique_job())
            await storage.finish(worker, [Outcome(job.id, 1, "failed")])
            ids.append(job.id)
        holder = await put(storage, a_unique_job())
        assert await storage.admin.retry(JobFilter(state="failed")) == Retried(0, holder.id)
        await storage.admin.delete(JobFilter(ids=[holder.id]))
        # Of two with the same key the newer one is retried.
        retried = await storage.admin.retry(JobFilter(state="failed"))
        assert retried == Retried(1, ids[1])
        assert await found(storage, state="available") == [ids[1]]
        assert not (await put(storage, a_unique_job())).is_new

    async def test_a_retry_with_a_free_key_takes_it(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_unique_job())
        await storage.finish(worker, [Outcome(job.id, 1, "failed")])
        other = "0f" * 16
        retried = await storage.admin.retry(JobFilter(), args="{}", unique_key=other)
        assert retried == Retried(1)
        assert (await put(storage, a_unique_job(ONE))).is_new
        assert (await put(storage, a_unique_job(other))).id == job.id

    async def test_of_retries_and_callers_at_once_one_has_the_key(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        for _ in range(10):
            [job] = await hold(storage, worker, a_unique_job())
            await storage.finish(worker, [Outcome(job.id, 1, "failed")])
            await together(
                storage.admin.retry(JobFilter(ids=[job.id])),
                *[eventually(lambda: put_if_certain(storage)) for _ in range(5)],
            )
            claimed = await claim_all(storage, worker)
            assert len(claimed) == 1
            attempt = (await record_of(storage, claimed[0])).attempt
            await storage.finish(worker, [Outcome(claimed[0], attempt, "cancelled")])

    async def test_rescheduling_reaches_what_waits(self, storage: Storage) -> None:
        ids = await one_in_each_state(storage)
        assert await storage.admin.reschedule(JobFilter(), wait=3600) == 2
        now = await states_of(storage, ids)
        assert now == {state: state for state in ids} | {"available": "scheduled"}
        moment = datetime(2031, 1, 1, tzinfo=UTC)
        where = JobFilter(ids=[ids["available"]])
        assert await storage.admin.reschedule(where, wait_until=moment) == 1
        assert (await record_of(storage, ids["available"])).run_at == moment
        assert await storage.admin.reschedule(where, wait=0) == 1
        assert (await record_of(storage, ids["available"])).state == "available"
        other = await storage.register(a_worker())
        assert await claim_all(storage, other) == [ids["available"]]

    async def test_deleting_reaches_what_does_not_run(self, storage: Storage) -> None:
        ids = await one_in_each_state(storage)
        assert await storage.admin.delete(JobFilter()) == 5
        assert await states_of(storage, ids) == dict.fromkeys(ids, "gone") | {"running": "running"}
        worker = await storage.register(a_worker())
        assert await claim_all(storage, worker) == []
        assert (await storage.promote(10)).next_in is None

    async def test_many_are_taken_in_batches_and_none_twice(self, storage: Storage) -> None:
        await store(storage, *[a_job(), a_job(wait=60), a_job(queue="email")] * 900)
        where = JobFilter(queue="default")
        assert await storage.admin.reschedule(where, wait=60) == 1800
        assert await storage.admin.retry(where) == Retried(1800)
        assert await storage.admin.cancel(where, interrupt=True) == 1800
        assert await storage.admin.delete(where) == 1800
        assert await storage.counts() == {("email", "available"): 900}
