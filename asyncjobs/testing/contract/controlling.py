"""What is done to many jobs reaches those that allow it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from asyncjobs.filters import JobFilter
from asyncjobs.storage.admin import Retried
from asyncjobs.testing.contract.finding import ERROR, found, one_in_each_state, states_of
from asyncjobs.testing.contract.limiting import a_limited, claim, let_in, limit
from asyncjobs.testing.contract.steps import (
    a_job,
    a_worker,
    claim_all,
    hold,
    ids_of,
    record_of,
    store,
    together,
)
from asyncjobs.testing.contract.uniqueness import ONE, a_unique_job, put
from asyncjobs.types import Extras, NewLane, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


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
                *[storage.enqueue([a_unique_job()]) for _ in range(5)],
            )
            claimed = await claim_all(storage, worker)
            assert len(claimed) == 1
            attempt = (await record_of(storage, claimed[0])).attempt
            await storage.finish(worker, [Outcome(claimed[0], attempt, "cancelled")])

    async def test_a_retry_with_another_lane_is_let_in_by_that(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        extra = json.dumps({"meta": {"a": None}, "lanes": ["key:a"], "strict": True})
        job = a_limited()
        assert job.extras is not None
        job = job._replace(extras=job.extras._replace(extra=extra))
        ended, scheduled, there, line = await store(
            storage, job, job._replace(wait=60.0), job, a_limited()
        )
        await let_in(storage, "key:a")
        await claim(storage, worker)
        await storage.finish(worker, [Outcome(ended, 1, "failed")])
        await let_in(storage, "key:a")
        moved = JobFilter(ids=[ended, scheduled, there, line])
        lane = NewLane("key:b", is_strict=True)
        assert await storage.admin.retry(moved, args="{}", lane=lane) == Retried(4)
        for number in moved.ids or ():
            record = await record_of(storage, number)
            assert (record.state, record.lane, record.waits_in) == ("waiting", "key:b", "key:b")
        assert await claim_all(storage, worker) == []
        [free] = await store(storage, a_limited())
        for number in (ended, scheduled, there, line):
            assert await let_in(storage, "key:a", "key:b") == 1 + (number == ended)
            claimed = {one.id: one for one in await claim(storage, worker)}
            assert set(claimed) == ({ended, free} if number == ended else {number})
            told = json.loads(claimed[number].extra or "{}")
            assert (told["lanes"], told["strict"]) == (["key:b"], True)
            assert told.get("meta") == (None if number == line else {"a": None})
            assert told.get("before") == (1 if number == ended else None)
            outcome = Outcome(number, claimed[number].attempt, "succeeded")
            await storage.finish(worker, [outcome])

    async def test_a_retry_with_another_lane_keeps_that_of_the_queue(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await limit(storage, 1, name="queue:default")
        job = a_limited(limited_queue=True)
        first, second = await store(storage, job, job._replace(extras=Extras(
            lane="key:c", queue_lane="queue:default"
        )))  # fmt: skip
        await let_in(storage, "key:a")
        await let_in(storage, "key:c")
        assert (await record_of(storage, second)).waits_in == "queue:default"
        for number in (first, second):
            where = JobFilter(ids=[number])
            await storage.admin.retry(where, args="{}", lane=NewLane("key:b"))
            assert (await record_of(storage, number)).waits_in == "key:b"
        await let_in(storage, "key:b")
        [claimed] = await claim(storage, worker)
        told = json.loads(claimed.extra or "{}")
        assert (claimed.id, told) == (first, {"lanes": ["key:b", "queue:default"]})

    async def test_a_retry_may_take_a_job_out_of_its_lane(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        ids = await store(storage, *[a_limited()] * 3)
        await let_in(storage, "key:a")
        where = JobFilter(ids=ids[:2])
        assert await storage.admin.retry(where, args="{}", lane=NewLane(None)) == Retried(2)
        assert await let_in(storage, "key:a") == 1
        claimed = {job.id: job for job in await claim(storage, worker)}
        assert sorted(claimed) == ids
        record = await record_of(storage, ids[0])
        assert record.lane is None
        assert json.loads(record.extra or "{}") == {"lanes": []}

    async def test_a_paused_job_that_gets_another_lane_goes_on_to_wait(
        self, storage: Storage
    ) -> None:
        await limit(storage)
        [job] = await store(storage, a_limited())
        await storage.limits.pause("job:greet")
        await storage.admin.retry(JobFilter(ids=[job]), args="{}", lane=NewLane("key:b"))
        record = await record_of(storage, job)
        assert (record.lane, record.waits_in) == ("key:b", "job:greet")
        await storage.limits.resume("job:greet")
        await storage.limits.admit(["job:greet"], 10)
        assert (await record_of(storage, job)).waits_in == "key:b"

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
