"""The jobs of a worker that is gone are given to others, and its late reports are void."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import chain
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
            (held[0].id, "first", "dead", 1, "default"),
            (held[1].id, "second", "dead", 1, "default"),
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

    async def test_every_lost_attempt_counts_but_the_second(self, storage: Storage) -> None:
        await store(storage)
        counted = []
        for losses in range(4):
            dead = await storage.register(a_worker())
            [job] = await storage.claim(dead, QUEUES, 1)
            assert job.losses == losses
            await storage.rescue([dead])
            counted.append((await record_of(storage, job.id)).attempt)
        assert counted == [1, 1, 2, 3]

    async def test_an_error_of_the_job_is_no_loss(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        error = '{"error": "ValueError"}'
        await storage.finish(worker, [Outcome(job.id, 1, "available", error=error)])
        [again] = await storage.claim(worker, QUEUES, 1)
        assert (again.attempt, again.losses) == (2, 0)

    async def test_what_a_leaving_worker_held_is_not_counted(self, storage: Storage) -> None:
        leaving, dead = [await storage.register(a_worker()) for _ in range(2)]
        [kept] = await hold(storage, leaving)
        [lost] = await hold(storage, dead)
        await storage.leave(leaving)
        assert (await record_of(storage, kept.id)).state == "running"
        rescued = await storage.rescue([leaving, dead])
        assert [(job.id, job.attempt) for job in rescued] == [(kept.id, 0), (lost.id, 1)]
        record = await record_of(storage, kept.id)
        assert (record.state, record.attempt, record.errors) == ("available", 0, "[]")

    async def test_who_left_may_still_finish_until_it_is_gone(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.leave(worker)
        assert (await storage.heartbeat(worker)).alive
        assert await storage.finish(worker, [Outcome(job.id, 1, "succeeded")]) == [job.id]

    async def test_after_an_outage_the_others_get_half_of_their_lease(
        self, storage: Storage
    ) -> None:
        silent = await storage.register(a_worker(lease=0.2))
        held = await hold(storage, silent)
        [registered] = await storage.enqueue([a_job(queue="clock")])
        lease_end = registered.run_at + timedelta(seconds=0.2)

        async def lease_is_over() -> bool:
            [probe] = await storage.enqueue([a_job(queue="clock")])
            return probe.run_at > lease_end

        await eventually(lease_is_over)
        assert await storage.rescue([], watched=0.09) == []
        assert [job.id for job in await storage.rescue([], watched=0.1)] == ids_of(held)

    async def test_who_is_seen_to_be_gone_gets_no_time_after_an_outage(
        self, storage: Storage
    ) -> None:
        gone = await storage.register(a_worker())
        held = await hold(storage, gone)
        assert [job.id for job in await storage.rescue([gone], watched=0)] == ids_of(held)

    async def test_a_thousand_jobs_are_rescued_together(self, storage: Storage) -> None:
        dead = await storage.register(a_worker())
        held = await hold(storage, dead, *[a_job()] * BATCH)
        assert sorted(job.id for job in await storage.rescue([dead])) == ids_of(held)
