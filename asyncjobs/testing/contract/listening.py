"""Who listens hears what there is to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.filters import JobFilter
from asyncjobs.testing.contract.postponing import postponed
from asyncjobs.testing.contract.schedule_steps import a_schedule
from asyncjobs.testing.contract.steps import (
    BATCH,
    a_job,
    a_worker,
    eventually,
    hold,
    listening,
    store,
)
from asyncjobs.types import Outcome, Signal

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

EMAIL = Signal(ready=frozenset({"email"}), priority=7)


class Listening:
    """`listen`."""

    async def test_a_listener_first_hears_that_it_may_have_missed_something(
        self, storage: Storage
    ) -> None:
        async with listening(storage) as heard:
            assert heard.signals[0].missed

    async def test_a_listener_hears_of_new_jobs_and_how_urgent_they_are(
        self, storage: Storage
    ) -> None:
        async with listening(storage) as heard:
            await store(storage, a_job(), a_job(queue="email", priority=5), a_job(wait=60))
            signal = await heard.first(lambda signal: signal.ready)
            assert signal.ready == {"default", "email"}
            assert signal.priority == 5

    async def test_a_listener_hears_when_a_new_job_is_due(self, storage: Storage) -> None:
        async with listening(storage) as heard:
            await store(storage, a_job(wait=7200), a_job(wait=3600))
            signal = await heard.first(lambda signal: signal.due_in is not None)
            assert signal.ready == frozenset()
            assert signal.due_in is not None
            assert 3590 < signal.due_in <= 3601

    async def test_a_listener_hears_whom_to_cancel(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 3)
        first, second, quiet = [job.id for job in held]
        async with listening(storage) as heard:
            await storage.cancel([quiet], interrupt=False)
            await storage.cancel([first, second], interrupt=True)
            signal = await heard.first(lambda signal: signal.cancel)
            assert sorted(signal.cancel) == [first, second]

    async def test_a_listener_hears_of_jobs_that_become_due(self, storage: Storage) -> None:
        async with listening(storage) as heard:
            await store(storage, a_job(queue="email", priority=7, wait=0.02))

            async def promoted() -> int:
                return (await storage.promote(BATCH)).count

            await eventually(promoted)
            assert await heard.first(lambda signal: signal.ready) == EMAIL

    async def test_a_listener_hears_of_rescued_jobs(self, storage: Storage) -> None:
        dead = await storage.register(a_worker())
        await hold(storage, dead, a_job(queue="email", priority=7))
        async with listening(storage) as heard:
            await storage.rescue([dead])
            assert await heard.first(lambda signal: signal.ready) == EMAIL

    async def test_a_listener_hears_of_jobs_that_a_worker_leaves(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await hold(storage, worker, a_job(queue="email", priority=7))
        async with listening(storage) as heard:
            await storage.deregister(worker)
            assert await heard.first(lambda signal: signal.ready) == EMAIL

    async def test_a_listener_hears_of_jobs_given_back(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        back, retry = await hold(storage, worker, a_job(queue="email", priority=7), a_job())
        async with listening(storage) as heard:
            await storage.finish(worker, [Outcome(back.id, 1, "available")])
            assert await heard.first(lambda signal: signal.ready) == EMAIL
            await storage.finish(worker, [Outcome(retry.id, 1, "scheduled", delay=3600)])
            signal = await heard.first(lambda signal: signal.due_in is not None)
            assert signal.due_in is not None
            assert 3590 < signal.due_in <= 3601

    async def test_every_listener_hears(self, storage: Storage) -> None:
        async with listening(storage) as first, listening(storage) as second:
            await store(storage)
            await first.first(lambda signal: signal.ready)
            await second.first(lambda signal: signal.ready)

    async def test_listening_again_works(self, storage: Storage) -> None:
        async with listening(storage) as before:
            pass
        async with listening(storage) as heard:
            await store(storage)
            await heard.first(lambda signal: signal.ready)
        assert not any(signal.ready for signal in before.signals)

    async def test_a_change_of_a_schedule_is_heard(self, storage: Storage) -> None:
        for change in (
            lambda: storage.schedules.put(a_schedule()),
            lambda: storage.schedules.put(a_schedule(every=90.0)),
            lambda: storage.schedules.switch("nightly", enabled=True),
        ):
            await storage.schedules.switch("nightly", enabled=False)
            async with listening(storage) as heard:
                await change()
                await storage.schedules.switch("nightly", enabled=True)
                await heard.first(lambda signal: signal.schedules)

    async def test_retrying_wakes_the_workers(self, storage: Storage) -> None:
        [job_id] = await store(storage, a_job(queue="email", wait=60))
        async with listening(storage) as heard:
            await storage.admin.retry(JobFilter(ids=[job_id]))
            await heard.first(lambda signal: signal.ready == {"email"})

    async def test_a_rescheduled_job_tells_when_it_is_due(self, storage: Storage) -> None:
        [job_id] = await store(storage)
        async with listening(storage) as heard:
            await storage.admin.reschedule(JobFilter(ids=[job_id]), wait=60)
            signal = await heard.first(lambda signal: signal.due_in is not None)
        assert signal.due_in is not None
        assert 0 < signal.due_in <= 61

    async def test_an_offer_wakes_the_workers(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_job("new", queue="email"))
        await storage.finish(worker, [postponed(job)])
        async with listening(storage) as heard:
            assert await storage.offer(["new"]) == 1
            signal = await heard.first(lambda signal: signal.ready)
        assert signal.ready == {"email"}
