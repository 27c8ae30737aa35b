"""Lanes let in no more starts in a time than their rate allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.testing.contract.limiting import MOST, a_limited, claim, let_in
from asyncjobs.testing.contract.steps import a_worker, eventually, store, together
from asyncjobs.types import Limit, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

HOUR = 3600.0


async def rate(storage: Storage, burst: int, gap: float, concurrency: int | None = None) -> None:
    """Let *burst* of the jobs named greet start at once, then one every *gap* seconds."""
    await storage.limits.declare([Limit("job:greet", concurrency, burst, gap)])


class Rating:
    """`limits.admit` where there is a rate."""

    async def test_as_many_start_at_once_as_the_burst_says(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await rate(storage, 3, HOUR)
        await store(storage, *[a_limited()] * 10)
        admission = await storage.limits.admit(["key:a"], MOST)
        assert (admission.jobs, admission.again) == (3, ())
        assert HOUR - 60 < admission.later["key:a"] <= HOUR
        assert len(await claim(storage, worker)) == 3
        assert await let_in(storage, "key:a") == 0

    async def test_twenty_who_look_at_once_start_no_more(self, storage: Storage) -> None:
        await rate(storage, 3, HOUR)
        await store(storage, *[a_limited(), a_limited("key:b")] * 10)
        await together(*[let_in(storage, "key:a", "key:b") for _ in range(20)])
        assert (await storage.counts())["default", "available"] == 6

    async def test_an_end_gives_no_start_back(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await rate(storage, 1, HOUR)
        await store(storage, *[a_limited()] * 3)
        await let_in(storage, "key:a")
        [job] = await claim(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "succeeded")])
        assert await let_in(storage, "key:a") == 0

    async def test_the_next_starts_when_the_lane_said(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await rate(storage, 1, 0.1)
        await store(storage, *[a_limited()] * 3)
        starts = []
        for _ in range(3):
            await eventually(lambda: let_in(storage, "key:a"))
            [job] = await claim(storage, worker)
            starts.append(job)
        records = await storage.get([job.id for job in starts])
        first, _, last = [record.attempted_at for record in records if record.attempted_at]
        # Counted from when it was let in, a moment before the claim.
        assert (last - first).total_seconds() > 0.1
        assert (await storage.limits.admit(["key:a"], MOST)).later == {}

    async def test_a_faster_rate_holds_for_what_waits_for_a_slower_one(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        await rate(storage, 2, HOUR)
        await store(storage, *[a_limited()] * 4)
        assert await let_in(storage, "key:a") == 2
        assert len(await claim(storage, worker)) == 2
        await rate(storage, 2, HOUR / 2)
        admission = await storage.limits.admit(["key:a"], MOST)
        assert HOUR / 2 - 60 < admission.later["key:a"] <= HOUR / 2
        await storage.limits.change(Limit("job:greet", None, 2, 0.05))
        for _ in range(2):
            await eventually(lambda: let_in(storage, "key:a"))
            assert len(await claim(storage, worker)) == 1

    async def test_starts_are_not_saved_up_while_nobody_works(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await rate(storage, 1, HOUR)
        await store(storage, *[a_limited()] * 3)
        await let_in(storage, "key:a")
        await rate(storage, 1, 0.000_001)  # as if hours went by
        for _ in range(3):
            assert await let_in(storage, "key:a") == 0  # the first has not started yet
        assert len(await claim(storage, worker)) == 1

    async def test_each_job_of_a_shared_lane_keeps_to_its_own_rate(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await rate(storage, 1, HOUR)
        await storage.limits.declare([Limit("job:free", 9)])
        free = a_limited(name="free")
        ids = await store(storage, a_limited(), free, free, a_limited(), free)
        assert await let_in(storage, "key:a") == 3
        held = await claim(storage, worker)
        assert sorted(job.id for job in held) == ids[:3]

    async def test_who_has_no_limit_takes_the_place_of_who_has(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await storage.limits.declare([Limit("job:alone", 1)])
        free, alone = a_limited(name="free"), a_limited(name="alone")
        ids = await store(storage, free, free, alone, free)
        assert await let_in(storage, "key:a") == 2
        held = await claim(storage, worker)
        assert sorted(job.id for job in held) == ids[:2]
        await storage.finish(worker, [Outcome(job.id, 1, "succeeded") for job in held])
        assert await let_in(storage, "key:a") == 2  # the last has no limit, and is behind

    async def test_a_lane_may_have_both_limits(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await rate(storage, 5, HOUR, concurrency=2)
        await store(storage, *[a_limited()] * 9)
        assert await let_in(storage, "key:a") == 2
        held = await claim(storage, worker)
        admission = await storage.limits.admit(["key:a"], MOST)
        assert (admission.jobs, admission.later) == (0, {})  # an end is waited for, no time
        await storage.finish(worker, [Outcome(job.id, 1, "succeeded") for job in held])
        assert await let_in(storage, "key:a") == 2
        await claim(storage, worker)
        assert await let_in(storage, "key:a") == 0
