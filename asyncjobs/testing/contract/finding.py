"""Jobs are found by what they are."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConfigError
from asyncjobs.filters import JobFilter
from asyncjobs.storage.admin import Count
from asyncjobs.testing.contract.cancelling import ENDED
from asyncjobs.testing.contract.schedule_steps import a_schedule
from asyncjobs.testing.contract.steps import (
    a_job,
    a_worker,
    hold,
    ids_of,
    record_of,
    store,
)
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


class Finding:
    """What `Storage.admin` finds and counts."""

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

    async def test_jobs_are_found_by_the_schedule_whose_runs_they_are(
        self, storage: Storage
    ) -> None:
        await storage.schedules.put(a_schedule("nightly", overlap="allow"))
        await storage.schedules.put(a_schedule("hourly"))
        runs = [await storage.schedules.run_now(name) for name in ("nightly", "hourly", "nightly")]
        first, second, third = [run.id for run in runs if run is not None]
        await store(storage)
        worker = await storage.register(a_worker())
        [run, *_] = await storage.claim(worker, ["default"], 1)
        await storage.finish(worker, [Outcome(run.id, 1, "succeeded")])
        assert await found(storage, schedule="nightly") == [third, first]
        assert await found(storage, schedule="nightly", state="succeeded") == [first]
        assert await found(storage, schedule="nightly", state="available") == [third]
        assert await found(storage, schedule="nightly", state="scheduled") == []
        assert await found(storage, schedule=["nightly", "hourly"]) == [third, second, first]
        assert await found(storage, schedule=["none"]) == []
        assert (await record_of(storage, first)).schedule == "nightly"

    async def test_jobs_are_found_by_the_job_that_scheduled_them(self, storage: Storage) -> None:
        [parent] = await store(storage)
        first, second, _, _ = await store(
            storage,
            a_job(parent_id=parent),
            a_job(parent_id=parent, wait=60),
            a_job(parent_id=parent + 7),
            a_job(),
        )
        assert await found(storage, parent=parent) == [second, first]
        assert await found(storage, parent=parent, state="scheduled") == [second]
        assert await found(storage, parent=parent, state="available") == [first]
        assert await found(storage, parent=first) == []
        assert await storage.admin.delete(JobFilter(parent=parent)) == 2
        assert await found(storage, parent=parent + 7) != []

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
        numbers = ("[Infinity]", "[1e3]", "[true]", f"[{2**63}]", "[" * 15_000, f"[{'9' * 5_000}]")
        queues = ('["q", 99999, 1]', '["q", 1.5, 1]', r'["\u0000", 1, 1]', r'["\ud800", 1, 1]')
        moments = (
            '["2030-01-01T00:00:00", 1]', '["0001-01-01T00:00:00+10:00", 1]',
            '["9999-12-31T23:59:59-12:00", 1]', f'["2030-01-01T00:00:00+00:00", {2**63}]',
        )  # fmt: skip
        for state, places in ((None, numbers), ("available", queues), ("scheduled", moments)):
            for after in ("x", "{}", "[]", '["a"]', "[1, 2]", *places):
                try:
                    await storage.admin.find(JobFilter(state=state), after=after)
                except ConfigError:
                    continue
                raise AssertionError(f"{after[:100]} was accepted")

    async def test_more_than_the_bound_is_counted_about(self, storage: Storage) -> None:
        await store(storage, *[a_job()] * 20)
        count = await storage.admin.count(JobFilter(queue="default"), most=10)
        assert count.jobs > 10
        assert await storage.admin.count(JobFilter(queue="default"), most=20) == Count(20, True)
