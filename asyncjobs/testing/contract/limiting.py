"""Limited jobs wait in the lines of lanes, which let in as many as their limits allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from asyncjobs.testing.contract.steps import (
    BATCH,
    PATIENCE,
    QUEUES,
    a_job,
    a_worker,
    claim_all,
    eventually,
    ids_of,
    record_of,
    store,
    together,
)
from asyncjobs.types import Extras, Limit, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob, NewJob

MOST = 100


def a_limited(
    lane: str | None = "key:a",
    *,
    name: str = "greet",
    queue: str = "default",
    priority: int = 50,
    limited_queue: bool = False,
    wait: float | None = None,
) -> NewJob:
    """Return a job that goes through *lane*, and through that of its queue if that is limited."""
    extras = Extras(lane=lane, queue_lane=f"queue:{queue}" if limited_queue else None)
    return a_job(name, queue=queue, priority=priority, wait=wait, extras=extras)


async def limit(storage: Storage, concurrency: int | None = 1, *, name: str = "job:greet") -> None:
    """Let *concurrency* of the jobs named greet run at once, for each key."""
    await storage.limits.declare([Limit(name, concurrency)])


async def let_in(storage: Storage, *lanes: str) -> int:
    """Look at *lanes* until they let nobody else in; return how many became available."""
    count, left = 0, list(lanes)
    with anyio.fail_after(PATIENCE):
        while left:
            admission = await storage.limits.admit(left, MOST)
            count += admission.jobs
            left = list(admission.again)
    return count


async def claim(storage: Storage, worker: int) -> list[ClaimedJob]:
    """Let *worker* claim what there is."""
    return await storage.claim(worker, QUEUES, BATCH)


class Limiting:
    """`limits.declare` and `limits.admit`."""

    async def test_a_limited_job_waits_until_it_is_let_in(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        [stored] = await storage.enqueue([a_limited()])
        record = await record_of(storage, stored.id)
        assert (stored.state, record.state) == ("waiting", "waiting")
        assert (record.lane, record.waits_in) == ("key:a", "key:a")
        assert await claim_all(storage, worker) == []
        admission = await storage.limits.admit(["key:a"], MOST)
        assert (admission.jobs, admission.queues) == (1, ("default",))
        record = await record_of(storage, stored.id)
        assert (record.state, record.waits_in) == ("available", None)
        assert await claim_all(storage, worker) == [stored.id]

    async def test_a_lane_lets_in_as_many_as_its_limit_says(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage, 3)
        ids = await store(storage, *[a_limited()] * 7)
        assert await let_in(storage, "key:a") == 3
        held = await claim(storage, worker)
        assert ids_of(held) == ids[:3]
        assert await let_in(storage, "key:a") == 0
        await storage.finish(worker, [Outcome(held[0].id, 1, "succeeded", delete=True)])
        await storage.finish(worker, [Outcome(held[1].id, 1, "failed")])
        assert await let_in(storage, "key:a") == 2
        assert await claim_all(storage, worker) == ids[3:5]

    async def test_each_lane_has_its_own_line(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        ids = await store(storage, *[a_limited(f"key:{number % 3}") for number in range(9)])
        assert await let_in(storage, "key:0", "key:1", "key:2", "key:3") == 3
        assert await claim_all(storage, worker) == ids[:3]

    async def test_plain_jobs_pass_a_full_lane(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await store(storage, *[a_limited()] * 5)
        await let_in(storage, "key:a")
        await claim(storage, worker)
        plain = await store(storage)
        assert await claim_all(storage, worker) == plain

    async def test_a_line_goes_by_priority_and_then_by_age(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        late = [a_limited(priority=priority) for priority in (50, 10, 50, 10)]
        ids = await store(storage, *late)
        order = []
        for _ in ids:
            await let_in(storage, "key:a")
            [job] = await claim(storage, worker)
            order.append(job.id)
            await storage.finish(worker, [Outcome(job.id, 1, "succeeded")])
        assert order == [ids[1], ids[3], ids[0], ids[2]]

    async def test_twenty_who_look_at_once_let_in_no_more_than_one_would(
        self, storage: Storage
    ) -> None:
        await limit(storage, 5)
        await store(storage, *[a_limited()] * 50)
        await together(*[let_in(storage, "key:a") for _ in range(20)])
        assert await storage.counts() == {("default", "available"): 5, ("default", "waiting"): 45}

    async def test_a_job_goes_through_its_own_lane_and_then_its_queues(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await limit(storage, 2, name="queue:default")
        jobs = [a_limited(f"key:{number % 3}", limited_queue=True) for number in range(6)]
        ids = await store(storage, *jobs, a_limited(None, limited_queue=True))
        assert await let_in(storage, "key:0", "key:1", "key:2") == 2
        record = await record_of(storage, ids[2])
        assert (record.state, record.waits_in) == ("waiting", "queue:default")
        assert await let_in(storage, "key:0", "key:1", "key:2") == 0  # it holds its own lane
        held = await claim(storage, worker)
        assert ids_of(held) == ids[:2]
        await storage.finish(worker, [Outcome(held[0].id, 1, "succeeded")])
        assert await let_in(storage, "queue:default") == 1
        assert await claim_all(storage, worker) == [ids[2]]

    async def test_a_future_job_joins_the_line_when_it_is_due(self, storage: Storage) -> None:
        await limit(storage)
        [future] = await store(storage, a_limited(wait=0.05))
        assert (await record_of(storage, future)).state == "scheduled"
        assert await let_in(storage, "key:a") == 0
        await eventually(lambda: promoted(storage))
        record = await record_of(storage, future)
        assert (record.state, record.waits_in) == ("waiting", "key:a")

    async def test_who_waits_for_a_retry_lets_others_pass(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        first, second = await store(storage, a_limited(), a_limited())
        await let_in(storage, "key:a")
        assert await claim_all(storage, worker) == [first]
        await storage.finish(worker, [Outcome(first, 1, "scheduled", delay=0)])
        assert await let_in(storage, "key:a") == 1
        assert await claim_all(storage, worker) == [second]
        await eventually(lambda: promoted(storage))
        assert (await record_of(storage, first)).state == "waiting"

    async def test_who_keeps_its_lane_is_waited_for(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await limit(storage, 1, name="queue:default")
        first, _ = await store(storage, *[a_limited(limited_queue=True)] * 2)
        assert await let_in(storage, "key:a") == 1
        for attempt in (1, 2):
            assert await claim_all(storage, worker) == [first]
            retry = Outcome(first, attempt, "scheduled", delay=0, keeps_lane=True)
            await storage.finish(worker, [retry])
            assert await let_in(storage, "key:a", "queue:default") == 0
            await eventually(lambda: promoted(storage))
            assert await let_in(storage, "key:a", "queue:default") == 1
        assert await claim_all(storage, worker) == [first]

    async def test_a_kept_lane_is_left_by_a_cancellation(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        first, second = await store(storage, a_limited(), a_limited())
        await let_in(storage, "key:a")
        await claim_all(storage, worker)
        await storage.finish(worker, [Outcome(first, 1, "scheduled", delay=3600, keeps_lane=True)])
        assert await let_in(storage, "key:a") == 0
        await storage.cancel([first], interrupt=True)
        assert await let_in(storage, "key:a") == 1
        assert await claim_all(storage, worker) == [second]

    async def test_who_is_given_back_or_rescued_stays_in_the_lane(self, storage: Storage) -> None:
        workers = [await storage.register(a_worker()) for _ in range(3)]
        await limit(storage)
        first, _ = await store(storage, a_limited(), a_limited())
        await let_in(storage, "key:a")
        assert await claim_all(storage, workers[0]) == [first]
        await storage.finish(workers[0], [Outcome(first, 1, "available", refund=True)])
        assert await let_in(storage, "key:a") == 0
        assert await claim_all(storage, workers[0]) == [first]
        await storage.rescue([workers[0]])
        assert await let_in(storage, "key:a") == 0
        assert await claim_all(storage, workers[1]) == [first]
        await storage.deregister(workers[1])
        assert await let_in(storage, "key:a") == 0
        assert await claim_all(storage, workers[2]) == [first]

    async def test_a_cancellation_makes_room(self, storage: Storage) -> None:
        await limit(storage)
        first, second, third = await store(storage, *[a_limited()] * 3)
        await let_in(storage, "key:a")
        assert await storage.cancel([first, second], interrupt=True) == [first, second]
        assert (await record_of(storage, second)).waits_in is None
        assert await let_in(storage, "key:a") == 1
        assert (await record_of(storage, third)).state == "available"

    async def test_what_is_cleared_holds_nothing(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await store(storage, a_limited(), a_limited())
        await let_in(storage, "key:a")
        await claim(storage, worker)
        await storage.clear()
        fresh = await store(storage, a_limited())
        await let_in(storage, "key:a")
        assert await claim_all(storage, worker) == fresh

    async def test_the_latest_word_holds_for_those_that_wait(self, storage: Storage) -> None:
        await limit(storage)
        await store(storage, *[a_limited()] * 9)
        assert await let_in(storage, "key:a") == 1
        await limit(storage, 4)
        assert await let_in(storage, "key:a") == 3
        await limit(storage, 2)
        assert await let_in(storage, "key:a") == 0
        await limit(storage, None)
        assert await let_in(storage, "key:a") == 5

    async def test_each_job_of_a_shared_lane_keeps_to_its_own_limit(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage, 3)
        await limit(storage, 1, name="job:alone")
        jobs = [a_limited(), a_limited(name="alone"), a_limited()]
        first, alone, last = await store(storage, *jobs)
        assert await let_in(storage, "key:a") == 1  # nobody passes who stands before him
        assert await claim_all(storage, worker) == [first]
        await storage.finish(worker, [Outcome(first, 1, "succeeded")])
        await let_in(storage, "key:a")
        assert await claim_all(storage, worker) == [alone, last]

    async def test_lanes_with_a_line_are_told_by_name(self, storage: Storage) -> None:
        await limit(storage)
        jobs = [a_limited(f"key:{number}") for number in range(5)]
        await store(storage, *jobs, *jobs, a_job(), a_limited("key:9", wait=60))
        assert await storage.limits.waiting("", 3) == ["key:0", "key:1", "key:2"]
        assert await storage.limits.waiting("key:2", 3) == ["key:3", "key:4"]
        assert await storage.limits.waiting("key:4", 3) == []
        await let_in(storage, "key:0", "key:1")
        assert await storage.limits.waiting("", 9) == [f"key:{number}" for number in range(5)]

    async def test_lanes_that_nobody_uses_are_forgotten(self, storage: Storage) -> None:
        await limit(storage)
        await store(storage, a_limited("key:a"), a_limited("key:b"))
        await let_in(storage, "key:a", "key:b")
        await storage.limits.pause("key:b")
        assert await storage.limits.forget(3600) == []
        assert await eventually(lambda: storage.limits.forget(0)) == ["key:a"]
        assert await let_in(storage, "key:a") == 0
        assert [pause.lane for pause in await storage.limits.pauses()] == ["key:b"]

    async def test_nothing_to_look_at_is_harmless(self, storage: Storage) -> None:
        assert (await storage.limits.admit([], MOST)).jobs == 0
        assert (await storage.limits.admit(["key:none"], MOST)).again == ()


async def promoted(storage: Storage) -> int:
    """Promote what is due, and return how many jobs that were."""
    return (await storage.promote(BATCH)).count
