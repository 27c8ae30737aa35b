"""Each task of maintenance is done by one worker at a time, and never forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.testing.contract.steps import a_job, a_worker, eventually, together
from asyncjobs.types import Extras, JobState, Unique

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

ONE, OTHER = "prune this", "prune that"


class Maintaining:
    """`Storage.maintenance`."""

    async def test_nothing_is_due_that_nobody_declared(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        assert await storage.maintenance.tasks() == []
        assert await storage.maintenance.begin(worker, [ONE]) is None

    async def test_of_many_workers_each_gets_another_task(self, storage: Storage) -> None:
        maintenance = storage.maintenance
        await together(*[maintenance.declare([ONE, OTHER]) for _ in range(3)])
        workers = [await storage.register(a_worker(f"worker {n}")) for n in range(6)]
        got = await together(*[maintenance.begin(worker, [ONE, OTHER]) for worker in workers])
        given = [task for task in got if task]
        assert len(given) == len(set(given))
        while len(given) < 2:  # one that was being changed may have been passed over
            for worker, task in zip(workers, got, strict=True):
                if not task and (late := await maintenance.begin(worker, [ONE, OTHER])):
                    given.append(late)
                    break
        assert sorted(given) == sorted([ONE, OTHER])
        idle = next(worker for worker, task in zip(workers, got, strict=True) if not task)
        assert await maintenance.begin(idle, [ONE, OTHER]) in {None, *given}
        assert all(task.worker for task in await maintenance.tasks())

    async def test_what_came_of_a_task_is_told(self, storage: Storage) -> None:
        maintenance = storage.maintenance
        await maintenance.declare([ONE])
        worker = await storage.register(a_worker("the worker"))
        assert await maintenance.begin(worker, [ONE, OTHER]) == ONE
        [task] = await maintenance.tasks()
        assert (task.task, task.worker, task.ended_at) == (ONE, "the worker", None)
        assert await maintenance.end(worker, ONE, every=0.0, done=3, report="seen")
        assert await maintenance.begin(worker, [ONE]) == ONE
        assert await maintenance.end(worker, ONE, every=60.0, done=4, problem="disk full")
        [task] = await maintenance.tasks()
        assert (task.done, task.done_in_all, task.worker) == (4, 7, None)
        assert (task.report, task.problem) == (None, "disk full")
        assert task.began_at is not None
        assert task.ended_at is not None
        assert task.began_at <= task.ended_at < task.due_at
        assert task.seconds is not None
        assert task.seconds >= 0
        assert await maintenance.begin(worker, [ONE]) is None

    async def test_what_a_dead_worker_had_begun_is_due_for_others(self, storage: Storage) -> None:
        maintenance = storage.maintenance
        await maintenance.declare([ONE])
        dying, living = [await storage.register(a_worker(name)) for name in ("dying", "living")]
        assert await maintenance.begin(dying, [ONE]) == ONE
        assert await maintenance.begin(living, [ONE]) is None
        await storage.rescue([dying])
        assert await maintenance.begin(living, [ONE]) == ONE
        assert not await maintenance.end(dying, ONE, every=60.0)
        assert [task.worker for task in await maintenance.tasks()] == ["living"]
        await storage.deregister(living)
        assert [task.worker for task in await maintenance.tasks()] == [None]

    async def test_a_worker_may_begin_again_what_it_did_not_end(self, storage: Storage) -> None:
        await storage.maintenance.declare([ONE])
        worker = await storage.register(a_worker())
        for _ in range(2):
            assert await storage.maintenance.begin(worker, [ONE]) == ONE

    async def test_keys_go_when_their_period_is_over(self, storage: Storage) -> None:
        def keyed(key: str, period: float) -> Extras:
            return Extras(unique=Unique(key, (JobState.AVAILABLE,), period))

        await storage.enqueue([a_job(extras=keyed("ff", 3_600.0))])
        await storage.enqueue([a_job(extras=keyed(f"0{n}", 0.01)) for n in range(3)])

        async def pruned() -> bool:
            removed.append(await storage.maintenance.prune_keys(2))
            return sum(removed) == 3

        removed: list[int] = []
        await eventually(pruned)
        assert max(removed) <= 2
        assert await storage.maintenance.prune_keys(10) == 0
