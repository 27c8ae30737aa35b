"""Jobs are found by what they are, and what is done to many reaches those that allow it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConfigError
from asyncjobs.filters import JobFilter
from asyncjobs.storage.admin import Count, Retried
from asyncjobs.testing.contract.cancelling import ENDED
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
from asyncjobs.types import Extras, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

ERROR = json.dumps({"attempt": 1, "error": "TimeoutError", "message": "Too slow (100%_)"})


async def one_in_each_state(storage: Storage) -> dict[str, int]:
    """Store a job for each state and return the ids by state."""
    worker = await storage.register(a_worker())
    held = await hold(storage, worker, *[a_job()] * 4)
    outcomes = [
        Outcome(job.id, 1, state, error=ERROR if state == "failed" else None)
        for job, state in zip(held, ENDED, strict=False)
    ]
    await storage.finish(worker, outcomes)
    available, scheduled = await store(storage, a_job(), a_job(wait=60))
    ids = ids_of(held)
    ended: dict[str, int] = dict(zip(ENDED, ids, strict=False))
    return ended | {
        "running": ids[3], "available": available, "scheduled": scheduled
    }  # fmt: skip


async def found(storage: Storage, **fields: Any) -> list[int]:
    """Return the ids of the jobs that fit, in the order of the list."""
    where = JobFilter(**fields)
    page = await storage.admin.find(where, limit=1_000)
    assert page.after is None
    assert not page.is_cut_short
    assert await storage.admin.count(where) == Count(len(page.jobs), is_exact=True)
    return ids_of(page.jobs)


async def states_of(storage: Storage, ids: dict[str, int]) -> dict[str, str]:
    """Return the states in which jobs are now that were in others."""
    records = {record.id: record.state for record in await storage.get(list(ids.values()))}
    return {before: records.get(number, "gone") for before, number in ids.items()}


class Controlling:
    """`Storage.admin`."""

    async def test_jobs_are_found_by_each_thing_they_are(self, storage: Storage) -> None:
        args = '{"user": {"id": 7, "roles": ["a", "b"]}, "text": "x", "on": true}'
        first, second, third = await store(
            storage,
            a_job("send", queue="email", priority=3, extras=Extras(("red", "blue"))),
            a_job("send", args=args, extras=Extras(("red",))),
            a_job("other", priority=3),
        )
        assert await found(storage) == [third, second, first]
        for fields, expected in (
            ({"ids": [first, third, 10**15]}, [third, first]),
            ({"ids": []}, []),
            ({"name": "send"}, [second, first]),
            ({"name": ["send", "other"]}, [third, second, first]),
            ({"name": "sen"}, []),
            ({"queue": "email"}, [first]),
            ({"queue": ["email", "none"]}, [first]),
            ({"tag": "red"}, [second, first]),
            ({"tag": ["red", "blue"]}, [first]),
            ({"tag": "green"}, []),
            ({"priority": 3}, [third, first]),
            ({"min_attempt": 0}, [third, second, first]),
            ({"min_attempt": 1}, []),
            ({"args": {"user": {"id": 7}}}, [second]),
            ({"args": {"user": {"roles": ["b"]}, "text": "x"}}, [second]),
            ({"args": {"on": True}}, [second]),
            ({"args": {"on": 1}}, []),
            ({"args": {"text": "X"}}, []),
            ({"args": {}}, [third, second, first]),
            ({"name": "send", "priority": 3, "tag": "blue", "queue": "email"}, [first]),
            ({"name": "send", "priority": 4}, []),
        ):
            assert await found(storage, **fields) == expected, fields

    async def test_jobs_are_found_by_their_state(self, storage: Storage) -> None:
        ids = await one_in_each_state(storage)
        for state, number in ids.items():
            assert await found(storage, state=state) == [number]
        both = [ids["scheduled"], ids["available"]]
        assert await found(storage, state=["available", "scheduled"]) == both

    async def test_jobs_are_found_by_a_part_of_an_error(self, storage: Storage) -> None:
        ids = await one_in_each_state(storage)
        for text in ("TimeoutError: Too slow", "too SLOW", "(100%_)", "time"):
            assert await found(storage, error=text) == [ids["failed"]]
        for text in ("slow%", "T_meout", "attempt"):
            assert await found(storage, error=text) == []

    async def test_jobs_are_found_by_when_they_were_stored(self, storage: Storage) -> None:
        [job_id] = await store(storage)
        created = (await record_of(storage, job_id)).created_at
        second = timedelta(seconds=1)
        assert await found(storage, created_after=created) == [job_id]
        assert await found(storage, created_after=created + second) == []
        assert await found(storage, created_before=created) == []
        assert await found(storage, created_before=created + second) == [job_id]

    async def test_pages_go_on_where_the_last_one_ended(self, storage: Storage) -> None:
        available = [a_job(queue=queue, priority=n % 3) for n in range(5) for queue in "ba"]
        waiting = [a_job(wait=60 - n // 2) for n in range(10)]
        await store(storage, *available, *waiting)
        for where in (
            JobFilter(),
            JobFilter(state="available"),
            JobFilter(state="available", queue="a"),
            JobFilter(state="scheduled"),
            JobFilter(state=["scheduled", "available"], priority=1),
        ):
            every = ids_of((await storage.admin.find(where, limit=1_000)).jobs)
            pages, after = [], None
            while True:
                page = await storage.admin.find(where, after=after, limit=3)
                pages += ids_of(page.jobs)
                assert len(page.jobs) == 3 or page.after is None
                if (after := page.after) is None:
                    break
                await store(storage, a_job("new", priority=9))  # newer than the list
            assert pages[: len(every)] == every
            assert len(pages) == len(set(pages))

    async def test_waiting_jobs_are_listed_in_the_order_in_which_they_run(
        self, storage: Storage
    ) -> None:
        first, second, third = await store(storage, a_job(), a_job(priority=1), a_job())
        assert await found(storage, state="available") == [second, first, third]
        late, early = await store(storage, a_job(wait=90), a_job(wait=60))
        assert await found(storage, state="scheduled") == [early, late]

    async def test_a_page_asked_for_with_nonsense_is_refused(self, storage: Storage) -> None:
        for after in ("x", "{}", "[]", '["a"]', "[1, 2]"):
            try:
                await storage.admin.find(JobFilter(), after=after)
            except ConfigError:
                continue
            raise AssertionError(f"{after} was accepted")

    async def test_more_than_the_bound_is_counted_about(self, storage: Storage) -> None:
        await store(storage, *[a_job()] * 20)
        count = await storage.admin.count(JobFilter(queue="default"), most=10)
        assert count.jobs > 10
        assert await storage.admin.count(JobFilter(queue="default"), most=20) == Count(20, True)

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
