"""The jobs of a worker that is gone are given to others, and its late reports are void."""

from __future__ import annotations

import json
from datetime import datetime
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
from asyncjobs.types import Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Rescuing:
    """`rescue`, and the fence against those who are late."""

    async def test_the_jobs_of_a_dead_worker_keep_their_place_and_their_count(
        self, storage: Storage
    ) -> None:
        dead, other = [await storage.register(a_worker(name)) for name in ("dead", "other")]
        held = await hold(storage, dead, a_job("first"), a_job("second"))
        waiting = await store(storage)
        rescued = await storage.rescue([dead])
        assert sorted(rescued) == [
            (held[0].id, "first", "dead", 1),
            (held[1].id, "second", "dead", 1),
        ]
        claimed = await storage.claim(other, QUEUES, BATCH)
        assert ids_of(claimed) == [*ids_of(held), *waiting]
        assert [job.attempt for job in claimed] == [2, 2, 1]

    async def test_a_rescued_job_is_available_with_the_loss_on_record(
        self, storage: Storage
    ) -> None:
        dead = await storage.register(a_worker("dead"))
        [job] = await hold(storage, dead)
        await storage.rescue([dead])
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt, record.finished_at) == ("available", 1, None)
        [error] = json.loads(record.errors)
        assert datetime.fromisoformat(error.pop("at")).utcoffset() is not None
        assert error == {
            "attempt": 1,
            "error": "WorkerLost",
            "message": "the worker dead fell silent",
            "traceback": None,
            "worker": "dead",
        }

    async def test_a_dead_worker_learns_that_it_is_dead(self, storage: Storage) -> None:
        dead = await storage.register(a_worker())
        [job] = await hold(storage, dead)
        await storage.rescue([dead])
        assert (await storage.heartbeat(dead))[:2] == (False, [])
        assert await claim_all(storage, dead) == []
        assert await storage.local_workers("here") == []
        await storage.deregister(dead)
        assert (await record_of(storage, job.id)).attempt == 1

    async def test_the_late_report_of_a_dead_attempt_does_not_win(self, storage: Storage) -> None:
        dead, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, dead)
        late = [
            Outcome(job.id, 1, "succeeded", delete=True),
            Outcome(job.id, 1, "failed", error="{}"),
            Outcome(job.id, 1, "scheduled", delay=60),
            Outcome(job.id, 2, "succeeded"),
        ]
        await storage.rescue([dead])
        for outcome in late:
            assert await storage.finish(dead, [outcome]) == []
        await storage.claim(other, QUEUES, 1)
        for outcome in late:
            assert await storage.finish(dead, [outcome]) == []
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt) == ("running", 2)
        assert await storage.finish(other, [Outcome(job.id, 2, "succeeded")]) == [job.id]

    async def test_the_living_are_left_alone(self, storage: Storage) -> None:
        dead, alive = [await storage.register(a_worker(name)) for name in ("dead", "alive")]
        [job] = await hold(storage, alive)
        assert await storage.rescue([dead]) == []
        assert (await storage.heartbeat(dead))[:2] == (False, [])
        assert (await storage.heartbeat(alive))[:2] == (True, [])
        assert (await record_of(storage, job.id)).state == "running"

    async def test_rescuing_nobody_is_harmless(self, storage: Storage) -> None:
        assert await storage.rescue([]) == []
        worker = await storage.register(a_worker())
        assert await storage.rescue([worker + 1000]) == []
        assert (await storage.heartbeat(worker))[:2] == (True, [])

    async def test_each_job_is_rescued_once(self, storage: Storage) -> None:
        dead = [await storage.register(a_worker()) for _ in range(4)]
        ids = await store(storage, *[a_job()] * 40)
        for worker in dead:
            await storage.claim(worker, QUEUES, 10)
        rescues = await together(*(storage.rescue(dead) for _ in range(4)))
        assert sorted(job.id for job in chain(*rescues)) == ids
        assert {record.attempt for record in await storage.get(ids)} == {1}

    async def test_every_lost_attempt_is_on_record(self, storage: Storage) -> None:
        job_ids = await store(storage)
        for name in ("first", "second"):
            dead = await storage.register(a_worker(name))
            assert await claim_all(storage, dead) == job_ids
            await storage.rescue([dead])
        errors = json.loads((await record_of(storage, job_ids[0])).errors)
        lost = [(error["attempt"], error["worker"]) for error in errors]
        assert lost == [(1, "first"), (2, "second")]

    async def test_a_thousand_jobs_are_rescued_together(self, storage: Storage) -> None:
        dead = await storage.register(a_worker())
        held = await hold(storage, dead, *[a_job()] * BATCH)
        assert sorted(job.id for job in await storage.rescue([dead])) == ids_of(held)
