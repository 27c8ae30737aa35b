"""Of equal jobs there is only one, as long as its state or its period says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from asyncjobs.errors import JobExistsError
from asyncjobs.testing.contract.steps import (
    BATCH,
    a_job,
    a_worker,
    claim_all,
    eventually,
    hold,
    record_of,
    store,
    together,
)
from asyncjobs.types import Extras, JobState, Outcome, Unique

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import NewJob, StoredJob

WAITING = (JobState.SCHEDULED, JobState.WAITING, JobState.AVAILABLE)
LIVE = (*WAITING, JobState.RUNNING)
ONE, OTHER = "01" * 16, "02" * 16


def a_unique_job(
    key: str = ONE,
    *,
    states: tuple[JobState, ...] = LIVE,
    period: float | None = None,
    on_conflict: str = "ignore",
    tags: tuple[str, ...] = (),
    args: str = "{}",
    queue: str = "default",
    priority: int = 50,
    wait: float | None = None,
) -> NewJob:
    """Return a unique job to store."""
    extras = Extras(tags=tags, unique=Unique(key, states, period, on_conflict))
    return a_job(queue=queue, priority=priority, args=args, wait=wait, extras=extras)


async def put(storage: Storage, job: NewJob) -> StoredJob:
    """Store *job* alone."""
    [stored] = await storage.enqueue([job])
    return stored


async def clash(storage: Storage, *jobs: NewJob) -> int | None:
    """Store *jobs*, which fails, and return the id that the error names."""
    try:
        await storage.enqueue(jobs)
    except JobExistsError as error:
        return error.id
    raise AssertionError("they were stored")


class Uniqueness:
    """`enqueue` of jobs with `Extras.unique`."""

    async def test_an_equal_job_is_stored_once_and_told_of(self, storage: Storage) -> None:
        first = await put(storage, a_unique_job(queue="email", priority=7, args='{"n": 1}'))
        assert first.is_new
        again = await put(storage, a_unique_job(args='{"n": 2}'))
        assert again == (first.id, "available", first.run_at, False, "email", 7)
        other = await put(storage, a_unique_job(OTHER))
        assert other.is_new
        assert (await record_of(storage, first.id)).args == '{"n": 1}'
        assert sum((await storage.counts()).values()) == 2

    async def test_of_a_hundred_callers_at_once_one_is_first(self, storage: Storage) -> None:
        stored = await together(*[put(storage, a_unique_job()) for _ in range(100)])
        assert len({one.id for one in stored}) == 1
        assert sum(one.is_new for one in stored) == 1
        assert await storage.counts() == {("default", "available"): 1}

    async def test_equal_jobs_of_one_batch_become_one(self, storage: Storage) -> None:
        jobs = [a_unique_job(), a_job(), a_unique_job(OTHER), a_unique_job(), a_job()]
        stored = await storage.enqueue(jobs)
        assert [one.is_new for one in stored] == [True, True, True, False, True]
        assert stored[3].id == stored[0].id
        ids = [one.id for one in stored if one.is_new]
        assert ids == sorted(ids)
        assert await storage.counts() == {("default", "available"): 4}

    async def test_a_thousand_unique_jobs_twice_are_a_thousand(self, storage: Storage) -> None:
        jobs = [a_unique_job(f"{number:032x}") for number in range(BATCH)]
        first = await storage.enqueue(jobs)
        again = await storage.enqueue(jobs)
        assert [one.id for one in again] == [one.id for one in first]
        assert {one.is_new for one in again} == {False}

    async def test_a_job_keeps_its_key_until_it_has_ended(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_unique_job())

        async def refused(state: str) -> None:
            stored = await put(storage, a_unique_job())
            assert (stored.id, stored.state, stored.is_new) == (job.id, state, False)

        await refused("running")
        await storage.finish(worker, [Outcome(job.id, 1, "scheduled", delay=60, error="{}")])
        await refused("scheduled")
        [other] = await hold(storage, worker, a_unique_job(OTHER))
        await storage.finish(worker, [Outcome(other.id, 1, "available", refund=True)])
        assert not (await put(storage, a_unique_job(OTHER))).is_new
        assert await claim_all(storage, worker) == [other.id]
        await storage.deregister(worker)
        assert not (await put(storage, a_unique_job(OTHER))).is_new

    async def test_a_job_that_has_ended_releases_its_key(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        for state in ("succeeded", "failed", "cancelled"):
            for delete in (False, True):
                [job] = await hold(storage, worker, a_unique_job())
                await storage.finish(worker, [Outcome(job.id, 1, state, delete=delete)])
        assert (await put(storage, a_unique_job())).is_new

    async def test_a_cancelled_waiting_job_releases_its_key(self, storage: Storage) -> None:
        first = await put(storage, a_unique_job())
        await storage.cancel([first.id], interrupt=True)
        assert (await put(storage, a_unique_job())).is_new

    async def test_without_running_the_key_is_free_from_the_first_start_on(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_unique_job(states=WAITING))
        second = await put(storage, a_unique_job(states=WAITING))
        assert second.is_new
        # The first one comes back: it does not claim the key again.
        await storage.finish(worker, [Outcome(job.id, 1, "available", refund=True)])
        third = await put(storage, a_unique_job(states=WAITING))
        assert (third.id, third.is_new) == (second.id, False)
        assert await claim_all(storage, worker) == [job.id, second.id]

    async def test_a_final_state_may_keep_the_key(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        states = (*LIVE, JobState.SUCCEEDED)
        [job] = await hold(storage, worker, a_unique_job(states=states))
        await storage.finish(worker, [Outcome(job.id, 1, "succeeded")])
        again = await put(storage, a_unique_job(states=states))
        assert (again.id, again.state, again.is_new) == (job.id, "succeeded", False)

    async def test_for_a_period_there_is_no_other_although_the_row_is_gone(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        job = a_unique_job(period=3600)
        first = await put(storage, job)
        assert (await put(storage, job)).id == first.id
        assert await claim_all(storage, worker) == [first.id]
        await storage.finish(worker, [Outcome(first.id, 1, "succeeded", delete=True)])
        again = await put(storage, job)
        assert again[:4] == (first.id, "succeeded", first.run_at, False)
        assert (await put(storage, a_unique_job())).is_new  # which does not ask for a period

    async def test_after_the_period_an_equal_job_is_new(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        job = a_unique_job(period=0.05)
        first = await put(storage, job)
        assert await claim_all(storage, worker) == [first.id]
        await storage.finish(worker, [Outcome(first.id, 1, "succeeded", delete=True)])

        async def store_again() -> StoredJob | None:
            stored = await put(storage, job)
            return stored if stored.is_new else None

        second = await eventually(store_again)
        assert second is not None
        assert second.id > first.id

    async def test_a_period_begins_when_a_job_is_stored_and_not_when_one_is_refused(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        job = a_unique_job(period=0.01)
        first = await put(storage, job)

        async def refused_by_the_job() -> bool:  # its period is over, and it still waits
            return (await put(storage, a_unique_job(period=3600))).id == first.id

        for _ in range(5):
            assert await refused_by_the_job()
        assert await claim_all(storage, worker) == [first.id]
        await storage.finish(worker, [Outcome(first.id, 1, "succeeded", delete=True)])

        async def store_again() -> bool:
            return (await put(storage, job)).is_new

        assert await eventually(store_again)

    async def test_of_a_hundred_callers_with_a_period_one_is_first(self, storage: Storage) -> None:
        job = a_unique_job(period=3600)
        stored = await together(*[put(storage, job) for _ in range(100)])
        assert len({one.id for one in stored}) == 1
        assert sum(one.is_new for one in stored) == 1

    async def test_clear_forgets_periods_too(self, storage: Storage) -> None:
        await put(storage, a_unique_job(period=3600))
        await storage.clear()
        assert (await put(storage, a_unique_job(period=3600))).is_new

    async def test_replace_changes_the_job_that_waits(self, storage: Storage) -> None:
        first = await put(storage, a_unique_job(args='{"n": 1}', tags=("old",), wait=60))
        changed = a_unique_job(
            args='{"n": 2}', tags=("new",), queue="email", priority=3, on_conflict="replace"
        )
        second = await put(storage, changed)
        assert (second.id, second.state, second.is_new) == (first.id, "available", False)
        record = await record_of(storage, first.id)
        assert (record.queue, record.priority, record.state) == ("email", 3, "available")
        assert (json.loads(record.args), list(record.tags)) == ({"n": 2}, ["new"])
        assert record.run_at == second.run_at < first.run_at
        worker = await storage.register(a_worker())
        [claimed] = await storage.claim(worker, ["email"], BATCH)
        assert (claimed.id, json.loads(claimed.args)) == (first.id, {"n": 2})
        assert await claim_all(storage, worker) == []

    async def test_a_replaced_job_is_that_of_whoever_replaced_it(self, storage: Storage) -> None:
        [one, other] = await store(storage, a_job(), a_job())
        first = await put(storage, a_unique_job()._replace(parent_id=one))
        for on_conflict, parent in (("ignore", one), ("reschedule", one), ("replace", other)):
            job = a_unique_job(on_conflict=on_conflict)._replace(parent_id=other)
            assert (await put(storage, job)).id == first.id
            assert (await record_of(storage, first.id)).parent_id == parent

    async def test_a_replaced_job_keeps_its_place(self, storage: Storage) -> None:
        first = await put(storage, a_unique_job())
        other = await put(storage, a_job())
        await put(storage, a_unique_job(args='{"n": 2}', on_conflict="replace"))
        worker = await storage.register(a_worker())
        assert await claim_all(storage, worker) == [first.id, other.id]

    async def test_replace_can_make_a_job_wait_again(self, storage: Storage) -> None:
        first = await put(storage, a_unique_job())
        later = await put(storage, a_unique_job(wait=60, on_conflict="replace"))
        assert (later.id, later.state) == (first.id, "scheduled")
        worker = await storage.register(a_worker())
        assert await claim_all(storage, worker) == []

    async def test_replace_leaves_a_running_job_as_it_is(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_unique_job(args='{"n": 1}'))
        again = await put(storage, a_unique_job(args='{"n": 2}', on_conflict="replace"))
        assert (again.id, again.state, again.is_new) == (job.id, "running", False)
        assert json.loads((await record_of(storage, job.id)).args) == {"n": 1}

    async def test_reschedule_changes_only_the_time(self, storage: Storage) -> None:
        first = await put(storage, a_unique_job(args='{"n": 1}', priority=7))
        moved = a_unique_job(args='{"n": 2}', priority=9, wait=60, on_conflict="reschedule")
        second = await put(storage, moved)
        assert (second.id, second.state, second.is_new) == (first.id, "scheduled", False)
        assert second.priority == 7
        record = await record_of(storage, first.id)
        assert (json.loads(record.args), record.priority) == ({"n": 1}, 7)
        assert record.run_at == second.run_at > first.run_at
        back = await put(storage, moved._replace(wait=None))
        assert (back.id, back.state) == (first.id, "available")
        worker = await storage.register(a_worker())
        assert await claim_all(storage, worker) == [first.id]

    async def test_several_changes_in_one_batch_count_in_their_order(
        self, storage: Storage
    ) -> None:
        jobs = [
            a_unique_job(args='{"n": 1}', priority=1),
            a_unique_job(args='{"n": 2}', priority=2, on_conflict="replace"),
            a_unique_job(args='{"n": 3}', priority=3, wait=60, on_conflict="reschedule"),
            a_unique_job(args='{"n": 4}', priority=4),
        ]
        for expected_new in (True, False):
            stored = await storage.enqueue(jobs)
            assert [one.is_new for one in stored] == [expected_new, False, False, False]
            assert len({one.id for one in stored}) == 1
            record = await record_of(storage, stored[0].id)
            assert (json.loads(record.args), record.priority) == ({"n": 2}, 2)
            assert record.state == "scheduled"

    async def test_raise_names_the_job_that_exists_and_stores_nothing(
        self, storage: Storage
    ) -> None:
        first = await put(storage, a_unique_job())
        jobs = [a_job(), a_unique_job(OTHER), a_unique_job(on_conflict="raise")]
        assert await clash(storage, *jobs) == first.id
        assert await storage.counts() == {("default", "available"): 1}
        assert (await put(storage, a_unique_job(OTHER, on_conflict="raise"))).is_new

    async def test_raise_refuses_two_of_one_batch(self, storage: Storage) -> None:
        assert await clash(storage, *[a_unique_job(on_conflict="raise")] * 2) is None
        assert await storage.counts() == {}
