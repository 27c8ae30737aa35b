"""Jobs are stored as they were given, and can be looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConnectionKindError
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
from asyncjobs.types import Extras, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

SOON = timedelta(seconds=1)


class Enqueueing:
    """`open`, `migrate`, `enqueue`, `get`, `counts` and `clear`."""

    async def test_opening_twice_and_closing_once_leaves_it_open(self, storage: Storage) -> None:
        await storage.open()
        await storage.close()
        assert len(await store(storage)) == 1

    async def test_what_is_migrated_needs_no_further_steps(self, storage: Storage) -> None:
        assert await storage.migrate() == []

    async def test_a_job_without_a_wait_is_available_at_once(self, storage: Storage) -> None:
        [stored] = await storage.enqueue([a_job()])
        assert stored.state == "available"
        record = await record_of(storage, stored.id)
        assert (record.state, record.run_at) == ("available", stored.run_at)
        assert abs(record.run_at - record.created_at) < SOON

    async def test_a_wait_of_zero_is_no_wait(self, storage: Storage) -> None:
        [stored] = await storage.enqueue([a_job(wait=0)])
        assert stored.state == "available"

    async def test_a_job_with_a_wait_is_scheduled_for_then(self, storage: Storage) -> None:
        [stored] = await storage.enqueue([a_job(wait=3600)])
        record = await record_of(storage, stored.id)
        assert stored.state == record.state == "scheduled"
        assert stored.run_at == record.run_at
        assert abs(record.run_at - record.created_at - timedelta(hours=1)) < SOON

    async def test_a_job_for_a_moment_is_scheduled_for_exactly_that(self, storage: Storage) -> None:
        moment = datetime(2190, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
        [stored] = await storage.enqueue([a_job(wait_until=moment)])
        assert (stored.state, stored.run_at) == ("scheduled", moment)
        assert (await record_of(storage, stored.id)).run_at == moment

    async def test_a_moment_means_the_same_in_every_time_zone(self, storage: Storage) -> None:
        moment = datetime(2190, 7, 1, 6, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
        [stored] = await storage.enqueue([a_job(wait_until=moment)])
        assert stored.run_at == moment
        assert stored.run_at.utcoffset() is not None

    async def test_a_job_for_a_moment_that_has_passed_is_available(self, storage: Storage) -> None:
        moment = datetime(2020, 2, 29, tzinfo=UTC)
        [stored] = await storage.enqueue([a_job(wait_until=moment)])
        assert (stored.state, stored.run_at) == ("available", moment)

    async def test_what_was_stored_comes_back_in_the_order_given(self, storage: Storage) -> None:
        jobs = [
            a_job(f"job{number}", priority=50 - number % 7, wait=60 if number % 3 else None)
            for number in range(BATCH)
        ]
        stored = await storage.enqueue(jobs)
        ids = [row.id for row in stored]
        assert ids == sorted(set(ids))
        assert [record.name for record in await storage.get(ids)] == [job.name for job in jobs]
        assert [row.state for row in stored] == [
            "scheduled" if job.wait else "available" for job in jobs
        ]

    async def test_callers_at_the_same_time_get_their_own_jobs(self, storage: Storage) -> None:
        async def store_own(caller: int) -> bool:
            ids = await store(storage, *[a_job(f"caller{caller}")] * 10)
            return {record.name for record in await storage.get(ids)} == {f"caller{caller}"}

        assert all(await together(*map(store_own, range(20))))
        assert await storage.counts() == {("default", "available"): 200}

    async def test_storing_no_jobs_is_harmless(self, storage: Storage) -> None:
        assert await storage.enqueue([]) == []
        assert await storage.counts() == {}

    async def test_a_connection_of_an_unknown_kind_is_refused(self, storage: Storage) -> None:
        try:
            await storage.enqueue([a_job()], connection=object())
        except ConnectionKindError:
            assert await storage.counts() == {}
        else:
            raise AssertionError("a connection of an unknown kind was accepted")

    async def test_arguments_come_back_as_they_were(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        value: dict[str, Any] = {
            "a": [1, -2.5, None, True, "ü\n\"'\\ 日本 🙂", {}],
            "": {"{}": "$1 %s"},
        }
        [claimed] = await hold(storage, worker, a_job(args=json.dumps(value)))
        assert json.loads(claimed.args) == value
        assert json.loads((await record_of(storage, claimed.id)).args) == value

    async def test_a_fresh_job_has_no_past(self, storage: Storage) -> None:
        [job_id] = await store(storage, a_job("greet", queue="email", priority=7))
        record = await record_of(storage, job_id)
        assert record[:5] == (job_id, "greet", "email", 7, "available")
        assert record.attempt == 0
        assert record.attempted_at is record.finished_at is None
        assert json.loads(record.errors) == []

    async def test_get_returns_the_jobs_that_exist_by_id(self, storage: Storage) -> None:
        first, second, third = await store(storage, *[a_job()] * 3)
        found = await storage.get([third, third + 1000, first, third])
        assert ids_of(found) == [first, third]
        assert ids_of(await storage.get([second])) == [second]
        assert await storage.get([]) == []

    async def test_a_job_knows_which_job_scheduled_it(self, storage: Storage) -> None:
        [parent] = await store(storage)
        special, other = Extras(tags=("red",)), a_job("other", parent_id=parent)
        for jobs in (
            [a_job(parent_id=parent), a_job(parent_id=parent)],
            [a_job(parent_id=parent), a_job(), a_job(parent_id=parent + 7), other],
            [a_job(extras=special, parent_id=parent), a_job()],
        ):
            for job, stored in zip(jobs, await store(storage, *jobs), strict=True):
                assert (await record_of(storage, stored)).parent_id == job.parent_id
        assert (await record_of(storage, parent)).parent_id is None

    async def test_counts_are_by_queue_and_state(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        assert await storage.counts() == {}
        await hold(storage, worker, a_job(queue="email"))
        await store(storage, a_job(), a_job(), a_job(wait=60), a_job(queue="email"))
        assert await storage.counts() == {
            ("default", "available"): 2,
            ("default", "scheduled"): 1,
            ("email", "running"): 1,
            ("email", "available"): 1,
        }

    async def test_clear_removes_all_jobs_and_counts_them(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [running] = await hold(storage, worker)
        ids = await store(storage, a_job(), a_job(wait=60))
        assert await storage.clear() == 3
        assert await storage.get([running.id, *ids]) == []
        assert await claim_all(storage, worker) == []
        assert (await storage.promote(10)).count == 0

    async def test_a_cleared_job_is_neither_interrupted_nor_rescued(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [cleared] = await hold(storage, worker)
        await storage.cancel([cleared.id], interrupt=True)
        await hold(storage, worker)
        await storage.clear()
        assert (await storage.heartbeat(worker))[:2] == (True, [])
        assert await storage.rescue([worker]) == []

    async def test_clearing_nothing_is_harmless(self, storage: Storage) -> None:
        assert await storage.clear() == 0

    async def test_a_cleared_job_cannot_be_finished(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [cleared] = await hold(storage, worker)
        await storage.clear()
        [later] = await hold(storage, worker)
        assert later.id != cleared.id
        assert await storage.finish(worker, [Outcome(cleared.id, 1, "succeeded")]) == []
        assert (await record_of(storage, later.id)).state == "running"

    async def test_what_few_jobs_ask_for_is_stored_beside_the_plain(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        extras = Extras(tags=("vip", "eu"), extra='{"meta": {"tenant": 7}}')
        rows = [a_job(), a_job(args='{"a": 1}', priority=3, extras=extras), a_job(wait=3600.5)]
        ids = await store(storage, *rows)
        assert ids == sorted(ids)
        records = await storage.get(ids)
        assert [list(record.tags) for record in records] == [[], ["vip", "eu"], []]
        assert [record.state for record in records] == ["available", "available", "scheduled"]
        assert json.loads(records[1].args) == {"a": 1}
        first, second = await storage.claim(worker, QUEUES, BATCH)
        assert (first.id, second.id) == (ids[1], ids[0])
        assert first.extra is not None
        assert json.loads(first.extra) == {"meta": {"tenant": 7}}
        assert second.extra is None
