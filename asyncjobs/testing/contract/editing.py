"""Jobs that get other arguments, another lane, another time, or are replaced."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asyncjobs.filters import JobFilter
from asyncjobs.storage.admin import Retried
from asyncjobs.testing.contract.finding import found
from asyncjobs.testing.contract.limiting import a_limited, claim, let_in, limit
from asyncjobs.testing.contract.steps import a_worker, claim_all, record_of, store
from asyncjobs.testing.contract.uniqueness import a_unique_job, put
from asyncjobs.types import Extras, NewLane, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


class Editing:
    """`admin.retry` with a lane, and what else changes a job that waits."""

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

    async def test_a_retry_with_the_same_lane_changes_no_place(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        first, second = await store(storage, a_limited(), a_limited())
        same = NewLane("key:a")
        await storage.admin.retry(JobFilter(ids=[first]), args="{}", lane=same)
        await let_in(storage, "key:a")
        await storage.admin.retry(JobFilter(ids=[first]), args="{}", lane=same)
        record = await record_of(storage, first)
        assert (record.state, record.waits_in) == ("available", None)
        assert [job.id for job in await claim(storage, worker)] == [first]
        assert (await record_of(storage, second)).waits_in == "key:a"

    async def test_one_that_left_a_line_and_came_back_takes_one_place(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        await limit(storage, 2)
        ids = await store(storage, a_limited(), a_limited())
        where = JobFilter(ids=ids[:1])
        for lane in ("key:b", "key:a"):
            await storage.admin.retry(where, args="{}", lane=NewLane(lane))
        await storage.admin.reschedule(where, wait=100.0)
        await storage.admin.reschedule(where, wait=0.0)
        await let_in(storage, "key:a")
        assert sorted(job.id for job in await claim(storage, worker)) == ids

    async def test_a_lane_that_is_kept_is_kept_for_another_time(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        holder = a_unique_job()
        assert holder.extras is not None
        holder = holder._replace(extras=holder.extras._replace(lane="key:a"))
        first, second = await store(storage, holder, a_limited())
        await let_in(storage, "key:a")
        assert await claim_all(storage, worker) == [first]
        await storage.finish(worker, [Outcome(first, 1, "scheduled", delay=3600, keeps_lane=True)])
        await storage.admin.reschedule(JobFilter(ids=[first]), wait=60.0)
        assert await let_in(storage, "key:a") == 0
        later = a_unique_job(on_conflict="reschedule", wait=600.0)
        assert (await put(storage, later)).id == first
        assert await let_in(storage, "key:a") == 0
        await storage.admin.reschedule(JobFilter(ids=[first]), wait=0.0)
        assert await let_in(storage, "key:a") == 1
        assert await claim_all(storage, worker) == [first]
        assert (await record_of(storage, second)).waits_in == "key:a"

    async def test_one_that_is_replaced_is_of_the_schedule_of_the_new_one(
        self, storage: Storage
    ) -> None:
        run = a_unique_job(on_conflict="replace", wait=60.0)
        assert run.extras is not None
        run = run._replace(extras=run.extras._replace(
            schedule="nightly", tick=NOON, extra=json.dumps({"schedule": {"name": "nightly"}})
        ))  # fmt: skip
        job = (await put(storage, a_unique_job(wait=60.0))).id
        assert await found(storage, schedule="nightly") == []
        assert (await put(storage, run)).id == job
        assert await found(storage, schedule="nightly") == [job]
        await put(storage, a_unique_job(on_conflict="replace", wait=60.0))
        assert await found(storage, schedule="nightly") == []
