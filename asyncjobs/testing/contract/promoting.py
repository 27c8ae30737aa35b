"""A job for the future becomes available when it is due, and never before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

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
from asyncjobs.types import Outcome, Promotion

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Promoting:
    """`promote`."""

    async def test_a_job_becomes_available_when_it_is_due(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [stored] = await storage.enqueue([a_job(wait=0.05)])
        await eventually(lambda: promote_some(storage))
        record = await record_of(storage, stored.id)
        assert (record.state, record.run_at) == ("available", stored.run_at)
        assert await claim_all(storage, worker) == [stored.id]

    async def test_a_job_is_never_early(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [stored] = await storage.enqueue([a_job(wait=0.2)])

        async def claimed_at_last() -> list[int]:
            await storage.promote(BATCH)
            return await claim_all(storage, worker)

        assert await eventually(claimed_at_last) == [stored.id]
        record = await record_of(storage, stored.id)
        assert record.attempted_at is not None
        assert record.attempted_at >= record.run_at

    async def test_a_claim_does_not_promote(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job_id] = await store(storage, a_job(wait=0.02))

        async def overdue() -> bool:
            assert await claim_all(storage, worker) == []
            [probe] = await storage.enqueue([a_job(queue="clock")])
            return probe.run_at > (await record_of(storage, job_id)).run_at

        await eventually(overdue)
        assert (await record_of(storage, job_id)).state == "scheduled"

    async def test_the_earliest_become_available_first(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = await due_now(storage, worker, delays=[0.03, 0.01, 0.02])
        records = await storage.get(ids)  # a delay counts from when its own row is written
        for _ in range(3):
            assert (await storage.promote(1)).count == 1
        by_time = [row.id for row in sorted(records, key=lambda row: row.run_at)]
        assert await claim_all(storage, worker) == by_time

    async def test_jobs_promoted_together_keep_the_order_of_their_times(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        delays = [number % 10 / 1000 for number in range(30)]
        ids = await due_now(storage, worker, delays=delays)
        records = await storage.get(ids)
        assert (await storage.promote(BATCH)).count == 30
        by_time = [row.id for row in sorted(records, key=lambda row: row.run_at)]
        claimed = await claim_all(storage, worker)
        times = {row.id: row.run_at for row in records}
        assert [times[job_id] for job_id in claimed] == [times[job_id] for job_id in by_time]

    async def test_promoted_jobs_go_behind_their_equals(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [due] = await due_now(storage, worker, delays=[0])
        equal, urgent, lazy = await store(storage, a_job(), a_job(priority=1), a_job(priority=99))
        assert (await storage.promote(BATCH)).count == 1
        assert await claim_all(storage, worker) == [urgent, equal, due, lazy]

    async def test_no_more_than_the_limit_become_available(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await due_now(storage, worker, delays=[0.0] * 5)
        assert await storage.promote(3) == Promotion(3, 0.0)
        assert await storage.counts() == {("default", "available"): 3, ("default", "scheduled"): 2}
        assert (await storage.promote(3)).count == 2

    async def test_a_thousand_jobs_become_available_at_once(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await due_now(storage, worker, delays=[0.0] * BATCH)
        assert (await storage.promote(2 * BATCH)).count == BATCH

    async def test_two_promotions_at_once_share_the_jobs(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await due_now(storage, worker, delays=[0.0] * 40)
        parts = await together(*(storage.promote(30) for _ in range(4)))
        count = sum(part.count for part in parts) + (await storage.promote(BATCH)).count
        assert count == 40

    async def test_promotion_tells_when_the_next_job_is_due(self, storage: Storage) -> None:
        await store(storage, a_job(wait=7200), a_job(wait=3600), a_job())
        promotion = await storage.promote(BATCH)
        assert promotion.count == 0
        assert promotion.next_in is not None
        assert 3590 < promotion.next_in <= 3600

    async def test_promotion_tells_if_there_is_no_future_job(self, storage: Storage) -> None:
        assert await storage.promote(BATCH) == Promotion(0, None)
        await store(storage)
        assert await storage.promote(BATCH) == Promotion(0, None)

    async def test_a_moment_far_away_does_not_overflow(self, storage: Storage) -> None:
        moment = datetime.now(UTC) + timedelta(days=365 * 1000)
        await store(storage, a_job(wait_until=moment))
        promotion = await storage.promote(BATCH)
        assert promotion.next_in is not None
        assert promotion.next_in > 365 * 999 * 86_400


async def promote_some(storage: Storage) -> int:
    """Promote what is due, and return how many jobs that were."""
    return (await storage.promote(BATCH)).count


async def due_now(storage: Storage, worker: int, *, delays: list[float]) -> list[int]:
    """Return jobs that are due but not promoted; *delays* give the order of their times."""
    held = await hold(storage, worker, *[a_job()] * len(delays))
    outcomes = [
        Outcome(job.id, 1, "scheduled", delay=delay)
        for job, delay in zip(held, delays, strict=True)
    ]
    await storage.finish(worker, outcomes)
    last = max(record.run_at for record in await storage.get([job.id for job in held]))

    async def all_due() -> bool:
        [probe] = await storage.enqueue([a_job(queue="clock")])
        [job] = await storage.claim(worker, ["clock"], 1)
        await storage.finish(worker, [Outcome(job.id, 1, "succeeded", delete=True)])
        return probe.run_at > last

    await eventually(all_due)
    return [job.id for job in held]
