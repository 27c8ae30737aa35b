"""What is paused does not start, and takes its old place when it is resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.testing.contract.limiting import a_limited, claim, let_in, limit
from asyncjobs.testing.contract.steps import (
    a_job,
    a_worker,
    claim_all,
    ids_of,
    record_of,
    store,
)
from asyncjobs.types import Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Pausing:
    """`limits.pause`, `limits.resume`, `limits.pauses` and `limits.park`."""

    async def test_pauses_are_listed_until_they_end(self, storage: Storage) -> None:
        limits = storage.limits
        assert await limits.pauses() == []
        for lane in ("queue:email", "job:greet", "key:a:b"):
            assert await limits.pause(lane)
            assert not await limits.pause(lane)
        found = await limits.pauses()
        assert [(pause.kind, pause.name) for pause in found] == [
            *(("job", "greet"), ("key", "a:b"), ("queue", "email"))
        ]
        assert all(pause.since.utcoffset() is not None for pause in found)
        assert await limits.resume("key:a:b")
        assert not await limits.resume("key:a:b")
        assert not await limits.resume("key:other")
        assert len(await limits.pauses()) == 2

    async def test_a_key_that_is_paused_lets_nobody_in(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await storage.limits.pause("key:a")
        ids = await store(storage, a_limited(), a_limited("key:b"))
        assert await let_in(storage, "key:a", "key:b") == 1
        assert await claim_all(storage, worker) == ids[1:]
        await storage.limits.resume("key:a")
        assert await let_in(storage, "key:a") == 1
        assert await claim_all(storage, worker) == ids[:1]

    async def test_whom_a_key_has_let_in_goes_back_to_his_place(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage, 3)
        ids = await store(storage, *[a_limited()] * 5)
        await let_in(storage, "key:a")
        running, *_ = await storage.claim(worker, ["default"], 1)
        await storage.limits.pause("key:a")
        assert await claim_all(storage, worker) == []
        assert await let_in(storage, "key:a") == 0
        assert (await record_of(storage, ids[1])).waits_in == "key:a"
        assert await storage.finish(worker, [Outcome(running.id, 1, "succeeded")]) == ids[:1]
        await storage.limits.resume("key:a")
        assert await let_in(storage, "key:a") == 3
        assert await claim_all(storage, worker) == ids[1:4]

    async def test_who_has_passed_his_key_and_waits_for_the_queue_goes_back_too(
        self, storage: Storage
    ) -> None:
        await limit(storage)
        await limit(storage, 1, name="queue:default")
        jobs = [a_limited(lane, limited_queue=True) for lane in ("key:b", "key:a")]
        first, second = await store(storage, *jobs)
        await let_in(storage, "key:b")
        await let_in(storage, "key:a")
        assert (await record_of(storage, second)).waits_in == "queue:default"
        await storage.limits.pause("key:a")
        assert (await record_of(storage, second)).waits_in == "key:a"
        assert (await record_of(storage, first)).state == "available"

    async def test_jobs_of_a_paused_name_are_put_aside_and_come_back_in_order(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        ids = await store(storage, *[a_job(), a_job("other")] * 3)
        assert await storage.limits.pause("job:greet")
        assert await claim_all(storage, worker) == ids[1::2]
        record = await record_of(storage, ids[0])
        assert (record.state, record.waits_in) == ("waiting", "job:greet")
        assert await let_in(storage, "job:greet") == 0
        await storage.limits.resume("job:greet")
        assert await let_in(storage, "job:greet") == 3
        assert await claim_all(storage, worker) == ids[0::2]

    async def test_limited_jobs_of_a_paused_name_let_others_through_their_lane(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await limit(storage, name="job:other")
        first, second, other = await store(
            storage, a_limited(), a_limited(), a_limited(name="other")
        )
        await let_in(storage, "key:a")
        await storage.limits.pause("job:greet")
        assert await let_in(storage, "key:a") == 1
        assert await claim_all(storage, worker) == [other]
        await storage.limits.resume("job:greet")
        assert await let_in(storage, "job:greet") == 0  # on to their lane, which is full
        assert (await record_of(storage, second)).waits_in == "key:a"
        await storage.finish(worker, [Outcome(other, 1, "succeeded")])
        await let_in(storage, "key:a")
        assert await claim_all(storage, worker) == [first]

    async def test_a_paused_queue_is_left_to_the_workers(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = await store(storage, a_job(queue="email"))
        await storage.limits.pause("queue:email")
        assert (await record_of(storage, ids[0])).state == "available"
        assert await claim_all(storage, worker) == ids

    async def test_a_claimed_job_can_be_put_into_a_line(self, storage: Storage) -> None:
        worker, other = [await storage.register(a_worker()) for _ in range(2)]
        ids = await store(storage, *[a_job()] * 3)
        held = await claim(storage, worker)
        assert ids_of(held) == ids
        parked = [(ids[0], 1, "job:greet"), (ids[1], 2, "job:greet")]
        assert await storage.limits.park(worker, parked) == ids[:1]
        assert await storage.limits.park(other, [(ids[2], 1, "job:greet")]) == []
        record = await record_of(storage, ids[0])
        assert (record.state, record.waits_in, record.attempt) == ("waiting", "job:greet", 0)
        assert await storage.held(worker) == [(ids[1], 1), (ids[2], 1)]
        assert await let_in(storage, "job:greet") == 1
        again = await claim(storage, worker)
        assert [(job.id, job.attempt) for job in again] == [(ids[0], 1)]

    async def test_a_job_whose_cancellation_was_asked_for_is_not_put_aside(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        ids = await store(storage, a_job())
        await claim(storage, worker)
        await storage.cancel(ids, interrupt=True)
        assert await storage.limits.park(worker, [(ids[0], 1, "job:greet")]) == ids
        assert (await record_of(storage, ids[0])).state == "cancelled"
