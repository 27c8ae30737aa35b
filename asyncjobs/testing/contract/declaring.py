"""What the code of living workers declares becomes schedules, and what it does not retires."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.testing.contract.schedule_steps import (
    MINUTE,
    a_schedule,
    declare,
    end,
    fire_and_claim,
)
from asyncjobs.testing.contract.steps import a_job, a_worker, together

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Declaring:
    """`schedules.declare`: what the code of living workers says."""

    async def test_a_declared_schedule_is_stored(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        assert await declare(storage, worker, a_schedule()) == (["nightly"], [])
        assert await declare(storage, worker, a_schedule()) == ([], [])
        [row] = await storage.schedules.get()
        assert row.declared is not None
        [due] = (await storage.schedules.due(["greet"])).due
        assert due.next_at is None

    async def test_workers_that_start_at_once_store_it_once(self, storage: Storage) -> None:
        workers = [await storage.register(a_worker(f"w{n}")) for n in range(8)]
        await together(*(declare(storage, worker, a_schedule()) for worker in workers))
        assert len(await storage.schedules.get()) == 1

    async def test_another_definition_changes_it(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await declare(storage, worker, a_schedule())
        [before] = await storage.schedules.get()
        changed = a_schedule(job=a_job(priority=9), every=60.0)
        assert await declare(storage, worker, changed) == (["nightly"], [])
        [after] = await storage.schedules.get()
        assert (after.cron, after.every, after.priority) == (None, MINUTE, 9)
        assert after.after_at > before.after_at

    async def test_the_same_time_keeps_its_ticks(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await declare(storage, worker, a_schedule(every=60.0))
        [before] = await storage.schedules.get()
        await declare(storage, worker, a_schedule(every=60.0, job=a_job(priority=9)))
        [after] = await storage.schedules.get()
        assert (after.after_at, after.starting_at) == (before.after_at, before.starting_at)

    async def test_of_two_versions_the_later_counts(self, storage: Storage) -> None:
        old, new = a_schedule(), a_schedule(every=60.0)
        old_worker = await storage.register(a_worker("old"))
        await declare(storage, old_worker, old)
        new_worker = await storage.register(a_worker("new"))
        assert await declare(storage, new_worker, new) == (["nightly"], [])
        restarted = await storage.register(a_worker("old again"))
        for worker in (old_worker, restarted):
            assert await declare(storage, worker, old) == ([], [])
        assert await declare(storage, new_worker, new) == ([], [])

    async def test_after_a_rollback_the_earlier_counts_again(self, storage: Storage) -> None:
        old, new = a_schedule(), a_schedule(every=60.0)
        old_worker = await storage.register(a_worker("old"))
        new_worker = await storage.register(a_worker("new"))
        await declare(storage, old_worker, old)
        await declare(storage, new_worker, new)
        await storage.deregister(new_worker)
        assert await declare(storage, old_worker, old) == (["nightly"], [])
        new_worker = await storage.register(a_worker("new"))
        assert await declare(storage, new_worker, new) == (["nightly"], [])
        assert await declare(storage, old_worker, old) == ([], [])

    async def test_what_no_living_worker_declares_retires(self, storage: Storage) -> None:
        old = await storage.register(a_worker("old"))
        await declare(storage, old, a_schedule())
        new = await storage.register(a_worker("new"))
        assert await declare(storage, new) == ([], [])
        await storage.deregister(old)
        assert await declare(storage, new) == ([], ["nightly"])
        assert await declare(storage, new) == ([], [])
        [row] = await storage.schedules.get()
        assert row.retired_at is not None
        assert (row.next_at, row.is_active) == (None, False)

    async def test_a_worker_that_declares_less_retires_it(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await declare(storage, worker, a_schedule("a"), a_schedule("b"))
        assert await declare(storage, worker, a_schedule("a")) == ([], ["b"])

    async def test_what_is_declared_again_runs_again(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await declare(storage, worker, a_schedule())
        await declare(storage, worker)
        assert await declare(storage, worker, a_schedule()) == (["nightly"], [])
        [row] = await storage.schedules.get()
        assert (row.retired_at, row.is_active) == (None, True)

    async def test_what_another_application_declared_stays(self, storage: Storage) -> None:
        other = await storage.register(a_worker())
        await storage.schedules.declare(other, [a_schedule(job=a_job(queue="email"))], ["email"])
        await storage.deregister(other)
        worker = await storage.register(a_worker())
        assert await declare(storage, worker) == ([], [])

    async def test_what_later_stored_does_not_retire(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await storage.schedules.put(a_schedule())
        assert await declare(storage, worker) == ([], [])

    async def test_what_is_switched_off_stays_off(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await declare(storage, worker, a_schedule())
        await storage.schedules.switch("nightly", enabled=False)
        await declare(storage, worker, a_schedule(every=60.0))
        [row] = await storage.schedules.get()
        assert (row.enabled, row.next_at) == (False, None)

    async def test_only_another_definition_starts_what_gave_up(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await declare(storage, worker, a_schedule(every=60.0))
        [row] = await storage.schedules.get()
        run = await fire_and_claim(storage, worker, row)
        await end(storage, worker, run, "failed", most=1)
        await declare(storage, worker)
        await declare(storage, worker, a_schedule(every=60.0))
        [row] = await storage.schedules.get()
        assert row.gave_up_at is not None
        await declare(storage, worker, a_schedule(every=60.0, job=a_job(priority=9)))
        [row] = await storage.schedules.get()
        assert (row.gave_up_at, row.failures, row.is_active) == (None, 0, True)

    async def test_a_worker_that_was_declared_dead_declares_nothing(self, storage: Storage) -> None:
        dead = await storage.register(a_worker())
        await declare(storage, dead, a_schedule())
        await storage.rescue([dead])
        assert await declare(storage, dead, a_schedule()) == ([], [])
        worker = await storage.register(a_worker())
        assert await declare(storage, worker) == ([], ["nightly"])
