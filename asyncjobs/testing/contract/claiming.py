"""A job is given to one worker, and the most urgent first."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from asyncjobs.testing.contract.steps import (
    BATCH,
    QUEUES,
    a_job,
    a_worker,
    claim_all,
    hold,
    ids_of,
    record_of,
    store,
    together,
)
from asyncjobs.types import Names

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Claiming:
    """`claim`."""

    async def test_a_claimed_job_says_what_was_stored(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [stored] = await storage.enqueue([a_job("greet", queue="email", priority=3)])
        [claimed] = await storage.claim(worker, ["email"], 1)
        assert claimed[:7] == (stored.id, "greet", "email", 3, 1, stored.run_at, "{}")

    async def test_a_claimed_job_is_running_its_first_attempt(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [claimed] = await hold(storage, worker)
        record = await record_of(storage, claimed.id)
        assert (record.state, record.attempt) == ("running", 1)
        assert record.attempted_at is not None
        assert record.attempted_at >= record.created_at
        assert record.finished_at is None

    async def test_a_claimed_job_is_given_to_nobody_else(self, storage: Storage) -> None:
        first, second = [await storage.register(a_worker()) for _ in range(2)]
        [job_id] = await store(storage)
        assert await claim_all(storage, first) == [job_id]
        assert await claim_all(storage, second) == []
        assert await claim_all(storage, first) == []

    async def test_only_jobs_of_some_names_or_all_others_can_be_claimed(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        jobs = [a_job(name, queue=queue) for name in "abc" for queue in QUEUES for _ in range(3)]
        stored = list(zip(await store(storage, *jobs), jobs, strict=True))
        of = {name: [job_id for job_id, job in stored if job.name == name] for name in "abc"}
        inside, outside = Names(("a", "c", "none"), inside=True), Names(("a", "c"), inside=False)
        assert ids_of(await storage.claim(worker, QUEUES, 4, outside)) == of["b"][:4]
        assert ids_of(await storage.claim(worker, QUEUES, 100, inside)) == of["a"] + of["c"]
        assert await storage.claim(worker, QUEUES, 100, inside) == []
        assert ids_of(await storage.claim(worker, QUEUES, 100)) == of["b"][4:]

    async def test_jobs_that_names_passed_by_keep_their_place(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = await store(storage, *map(a_job, "abababab"))
        wanted = Names(("b",), inside=True)
        assert len(await storage.claim(worker, QUEUES, 2, wanted)) == 2
        left = [job_id for job_id in ids if job_id not in (ids[1], ids[3])]
        assert ids_of(await storage.claim(worker, QUEUES, 100)) == left

    async def test_workers_that_claim_at_once_get_different_jobs(self, storage: Storage) -> None:
        workers = [await storage.register(a_worker()) for _ in range(8)]
        ids = await store(storage, *[a_job(), a_job(queue="email")] * 100)

        async def claim_until_empty(worker: int) -> list[int]:
            mine: list[int] = []
            while claimed := await storage.claim(worker, QUEUES, 7):
                mine += ids_of(claimed)
            return mine

        claimed = list(chain(*await together(*map(claim_until_empty, workers))))
        claimed += await claim_all(storage, workers[0])
        assert sorted(claimed) == ids

    async def test_one_worker_that_claims_twice_at_once_gets_different_jobs(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        ids = await store(storage, *[a_job()] * 10)
        claims = await together(*(storage.claim(worker, QUEUES, 2) for _ in range(5)))
        claimed = ids_of(chain(*claims)) + await claim_all(storage, worker)
        assert sorted(claimed) == ids

    async def test_the_most_urgent_come_first(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        priorities = [50, 0, 32_767, 10, 50, -5]
        ids = await store(storage, *(a_job(priority=priority) for priority in priorities))
        expected = [ids[place] for place in (5, 1, 3, 0, 4, 2)]
        assert await claim_all(storage, worker) == expected

    async def test_equals_come_in_the_order_in_which_they_were_stored(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        ids = [*await store(storage, *[a_job()] * 3), *await store(storage, *[a_job()] * 3)]
        claimed = [ids_of(await storage.claim(worker, QUEUES, 2)) for _ in range(3)]
        assert list(chain(*claimed)) == ids

    async def test_the_order_runs_across_queues(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = await store(
            storage,
            a_job(priority=50),
            a_job(queue="email", priority=50),
            a_job(priority=50),
            a_job(queue="email", priority=40),
        )
        first = ids_of(await storage.claim(worker, QUEUES, 3))
        assert first == [ids[3], ids[0], ids[1]]
        assert await claim_all(storage, worker) == [ids[2]]

    async def test_something_more_urgent_overtakes_what_waits(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        waiting = await store(storage, *[a_job()] * 20)
        assert ids_of(await storage.claim(worker, QUEUES, 10)) == waiting[:10]
        urgent = await store(storage, a_job(priority=1))
        assert ids_of(await storage.claim(worker, QUEUES, 2)) == [*urgent, waiting[10]]

    async def test_only_the_queues_asked_for_are_claimed(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        urgent, mine = await store(storage, a_job(priority=1), a_job(queue="email"))
        assert ids_of(await storage.claim(worker, ["email"], BATCH)) == [mine]
        assert await storage.claim(worker, ["unknown"], BATCH) == []
        assert await storage.claim(worker, [], BATCH) == []
        assert await claim_all(storage, worker) == [urgent]

    async def test_no_more_than_the_limit_is_claimed(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = await store(storage, *[a_job(), a_job(queue="email")] * 5)
        assert await storage.claim(worker, QUEUES, 0) == []
        assert ids_of(await storage.claim(worker, QUEUES, 4)) == ids[:4]
        assert await claim_all(storage, worker) == ids[4:]

    async def test_a_thousand_jobs_are_claimed_at_once_in_order(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = await store(storage, *[a_job()] * BATCH)
        assert await claim_all(storage, worker) == ids

    async def test_a_job_for_the_future_is_not_claimed(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await store(storage, a_job(wait=3600))
        assert await claim_all(storage, worker) == []

    async def test_a_worker_that_is_not_registered_gets_no_jobs(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job_id] = await store(storage)
        assert await claim_all(storage, worker + 1000) == []
        assert (await record_of(storage, job_id)).attempt == 0
