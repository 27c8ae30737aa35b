"""How it stands with queues and workers, at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.storage.overview import SHOWN
from asyncjobs.testing.contract.steps import a_job, a_worker, eventually, hold, store
from asyncjobs.types import Extras

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Looking:
    """`Storage.overview`."""

    async def test_at_first_there_is_nothing_to_see(self, storage: Storage) -> None:
        assert await storage.overview.depths() == []
        assert await storage.overview.workers() == []
        assert set((await storage.overview.states()).values()) == {0}

    async def test_depths_are_of_available_jobs_by_queue(self, storage: Storage) -> None:
        await store(storage, a_job(queue="email"), a_job(priority=1), a_job(), a_job(priority=90))
        await store(storage, a_job(queue="other", wait=3_600))
        found = await storage.overview.depths()
        assert [(depth.queue, depth.available) for depth in found] == [("default", 3), ("email", 1)]
        assert all(depth.waited >= 0 for depth in found)

    async def test_a_queue_is_as_old_as_what_has_waited_longest(self, storage: Storage) -> None:
        await store(storage, a_job(priority=90))

        async def has_waited() -> bool:
            [depth] = await storage.overview.depths()
            return depth.waited > 0.05

        await eventually(has_waited)
        await store(storage, a_job(priority=10))
        [depth] = await storage.overview.depths()
        assert depth.waited > 0.05

    async def test_states_are_counted(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await hold(storage, worker, a_job())
        await store(storage, a_job(), a_job(), a_job(wait=3_600))
        [cancelled] = await store(storage, a_job())
        await storage.cancel([cancelled], interrupt=False)
        states = await storage.overview.states()
        expected = {"available": 2, "scheduled": 1, "running": 1, "cancelled": 1}
        assert {state: count for state, count in states.items() if count} == expected

    async def test_workers_are_told_with_what_they_run(self, storage: Storage) -> None:
        worker = await storage.register(a_worker("one", lease=45.0))
        idle = await storage.register(a_worker("two"))
        held = await hold(storage, worker, *[a_job(queue="email") for _ in range(SHOWN + 3)])
        found = await storage.overview.workers()
        assert [one.id for one in found] == [worker, idle]
        busy = found[0]
        assert (busy.name, busy.group, list(busy.queues)) == ("one", "group", ["default", "email"])
        assert (busy.host, busy.pid, busy.lease, busy.running) == ("host", 7, 45.0, SHOWN + 3)
        assert 0 <= busy.silent < 45
        assert len(busy.jobs) == SHOWN
        assert {job.id for job in busy.jobs} <= {job.id for job in held}
        assert {(job.name, job.queue, job.attempt) for job in busy.jobs} == {("greet", "email", 1)}
        assert all(job.seconds >= 0 for job in busy.jobs)
        assert (found[1].running, list(found[1].jobs)) == (0, [])

    async def test_a_job_knows_which_worker_runs_it(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [held] = await hold(storage, worker, a_job())
        [waits] = await store(storage, a_job())
        records = await storage.get([held.id, waits])
        assert [record.worker_id for record in records] == [worker, None]

    async def test_tags_are_those_of_stored_jobs(self, storage: Storage) -> None:
        assert await storage.overview.tags() == []
        red, both = Extras(tags=("red",)), Extras(tags=("red", "blue"))
        await store(storage, a_job(), a_job(extras=red), a_job(extras=both))
        assert await storage.overview.tags() == ["blue", "red"]
