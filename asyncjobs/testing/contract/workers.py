"""Workers come, show that they live, and go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
from asyncjobs.types import LocalWorker, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Rescued


class Workers:
    """`register`, `heartbeat`, `deregister`, `local_workers` and the lease."""

    async def test_two_workers_of_one_name_are_two(self, storage: Storage) -> None:
        first, second = [await storage.register(a_worker("same")) for _ in range(2)]
        assert first != second
        for worker in (first, second):
            assert (await storage.heartbeat(worker))[:2] == (True, [])

    async def test_an_unknown_worker_is_not_alive(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        assert (await storage.heartbeat(worker + 1000))[:2] == (False, [])

    async def test_local_workers_are_those_of_the_same_machine(self, storage: Storage) -> None:
        first = await storage.register(a_worker(host_id="here", pid=11))
        await storage.register(a_worker(host_id="there", pid=12))
        second = await storage.register(a_worker(host_id="here", pid=13))
        found = sorted(await storage.local_workers("here"))
        assert found == [LocalWorker(first, 11, 1.5), LocalWorker(second, 13, 1.5)]
        assert await storage.local_workers("nowhere") == []

    async def test_a_worker_that_ended_is_unknown(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await storage.deregister(worker)
        await store(storage)
        assert (await storage.heartbeat(worker))[:2] == (False, [])
        assert await storage.local_workers("here") == []
        assert await claim_all(storage, worker) == []

    async def test_a_worker_that_ends_gives_its_jobs_back_uncounted(self, storage: Storage) -> None:
        worker, other = [await storage.register(a_worker()) for _ in range(2)]
        held = await hold(storage, worker, a_job(), a_job())
        waiting = await store(storage)
        await storage.deregister(worker)
        for record in await storage.get(ids_of(held)):
            assert (record.state, record.attempt) == ("available", 0)
            assert json.loads(record.errors) == []
        claimed = await storage.claim(other, QUEUES, BATCH)
        assert ids_of(claimed) == [*ids_of(held), *waiting]
        assert {job.attempt for job in claimed} == {1}

    async def test_a_worker_that_ended_can_finish_nothing(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.deregister(worker)
        for attempt in (0, 1):
            for delete in (False, True):
                outcome = Outcome(job.id, attempt, "succeeded", delete)
                assert await storage.finish(worker, [outcome]) == []
        assert (await record_of(storage, job.id)).state == "available"

    async def test_ending_twice_is_harmless(self, storage: Storage) -> None:
        worker, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, worker)
        await storage.deregister(worker)
        [again] = await storage.claim(other, QUEUES, 1)
        await storage.deregister(worker)
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt) == ("running", again.attempt)

    async def test_who_falls_silent_loses_its_jobs(self, storage: Storage) -> None:
        worker = await storage.register(a_worker("silent", lease=0.2))
        [job] = await hold(storage, worker)
        rescued = await eventually(lambda: storage.rescue([]))
        assert rescued == [(job.id, "greet", "silent", 1, "default")]
        assert (await storage.heartbeat(worker))[:2] == (False, [])

    async def test_who_shows_signs_of_life_keeps_its_jobs(self, storage: Storage) -> None:
        silent = await storage.register(a_worker("silent", lease=0.3))
        alive = await storage.register(a_worker("alive", lease=0.3))
        [kept, lost] = await store(storage, a_job(), a_job(queue="email"))
        await storage.claim(alive, ["default"], 1)
        await storage.claim(silent, ["email"], 1)

        async def rescue_after_a_sign_of_life() -> list[Rescued]:
            await storage.heartbeat(alive)
            return await storage.rescue([])

        rescued = await eventually(rescue_after_a_sign_of_life)
        assert [job.id for job in rescued] == [lost]
        assert (await storage.heartbeat(alive))[:2] == (True, [])
        assert await storage.finish(alive, [Outcome(kept, 1, "succeeded")]) == [kept]
