"""Who waits for a job hears what becomes of it, and what is kept goes when its time is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from asyncjobs.testing.contract.steps import (
    a_job,
    a_worker,
    eventually,
    hold,
    ids_of,
    listening,
    record_of,
    store,
)
from asyncjobs.types import Extras, Kept, Outcome, Progress

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import JobStatus, NewJob

HALF = '{"done": 0.5, "message": "half"}'
HOUR = 3600.0


def a_keeping_job(retain: float = HOUR, *, queue: str = "default") -> NewJob:
    """Return a job whose result is kept."""
    extras = Extras(extra=json.dumps({"retain": retain}), retain=retain)
    return a_job(queue=queue, extras=extras)


async def status_of(storage: Storage, job_id: int) -> JobStatus:
    """Return how it stands with one job, which exists."""
    [status] = await storage.results.look([job_id])
    return status


class Watching:
    """The attribute `results`."""

    async def test_a_result_is_stored_with_the_job(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_keeping_job())
        assert (await status_of(storage, job.id)).keeps
        kept = Kept('{"total": [1, null, "ü"]}', HALF)
        assert await storage.finish(worker, [Outcome(job.id, 1, "succeeded", kept=kept)])
        status, record = await status_of(storage, job.id), await record_of(storage, job.id)
        assert status.has_ended
        assert status.state == record.state == "succeeded"
        for found in (status, record):
            assert json.loads(found.result or "") == {"total": [1, None, "ü"]}
            assert json.loads(found.progress or "") == json.loads(HALF)

    async def test_null_is_a_result_and_nothing_is_none(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        null, nothing = await hold(storage, worker, a_keeping_job(), a_keeping_job())
        outcomes = [
            Outcome(null.id, 1, "succeeded", kept=Kept("null")),
            Outcome(nothing.id, 1, "succeeded"),
        ]
        await storage.finish(worker, outcomes)
        assert (await status_of(storage, null.id)).result == "null"
        assert (await status_of(storage, nothing.id)).result is None

    async def test_a_failed_job_shows_its_last_error(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker, a_keeping_job())
        outcome = Outcome(job.id, 1, "failed", error='{"message": "no"}', kept=Kept())
        await storage.finish(worker, [outcome])
        status = await status_of(storage, job.id)
        assert (status.state, status.error and json.loads(status.error)) == (
            "failed",
            {"message": "no"},
        )

    async def test_what_is_kept_is_as_fenced_as_every_outcome(self, storage: Storage) -> None:
        holder, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, holder)
        for worker, attempt in ((other, 1), (holder, 2)):
            late = Outcome(job.id, attempt, "succeeded", kept=Kept("1"))
            assert await storage.finish(worker, [late]) == []
        assert (await status_of(storage, job.id)).state == "running"

    async def test_a_retry_of_a_job_that_keeps_its_result_goes_on(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        first, second = await hold(storage, worker, a_keeping_job(), a_keeping_job())
        outcomes = [
            Outcome(first.id, 1, "scheduled", delay=HOUR, error="{}", kept=Kept()),
            Outcome(second.id, 1, "available", refund=True, kept=Kept(progress=HALF)),
        ]
        assert sorted(await storage.finish(worker, outcomes)) == [first.id, second.id]
        statuses = await storage.results.look([first.id, second.id])
        assert [(s.state, s.attempt) for s in statuses] == [("scheduled", 1), ("available", 0)]
        [again] = await storage.claim(worker, ["default"], 9)
        assert (again.id, again.attempt) == (second.id, 1)

    async def test_only_unfinished_jobs_can_be_watched_and_only_once(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        ended, running = await hold(storage, worker, a_job(), a_job())
        await storage.finish(worker, [Outcome(ended.id, 1, "succeeded")])
        waiting, future = await store(storage, a_job(), a_job(wait=60))
        ids = [ended.id, running.id, waiting, future, future + 1000]
        assert sorted(await storage.results.watch(ids)) == [running.id, waiting, future]
        assert await storage.results.watch(ids) == []
        watched = {status.id: status.watched for status in await storage.results.look(ids)}
        assert watched == {ended.id: False, running.id: True, waiting: True, future: True}

    async def test_a_worker_learns_by_the_claim_that_a_job_is_watched(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [plain, keeping] = await store(storage, a_job(), a_keeping_job())
        await storage.results.watch([plain, keeping])
        claimed = sorted(await storage.claim(worker, ["default"], 9))
        assert ids_of(claimed) == [plain, keeping]
        extras = [json.loads(job.extra or "{}") for job in claimed]
        assert extras == [{"watched": True}, {"retain": HOUR, "watched": True}]

    async def test_only_the_holder_can_report_progress(self, storage: Storage) -> None:
        holder, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, holder)
        await storage.results.report(other, [Progress(job.id, 1, HALF)])
        await storage.results.report(holder, [Progress(job.id, 2, HALF)])
        await storage.results.report(holder, [Progress(job.id + 1000, 1, HALF)])
        assert (await status_of(storage, job.id)).progress is None
        await storage.finish(holder, [Outcome(job.id, 1, "succeeded")])
        await storage.results.report(holder, [Progress(job.id, 1, HALF)])
        assert (await status_of(storage, job.id)).progress is None

    async def test_ended_jobs_go_when_the_time_they_are_kept_is_over(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        short, long, plain, runs = await hold(
            storage, worker, *map(a_keeping_job, (0.01, HOUR)), a_job(), a_keeping_job(0.01)
        )
        await store(storage, a_keeping_job(0.01))
        ended = [Outcome(job.id, 1, "succeeded", kept=Kept("1")) for job in (short, long)]
        await storage.finish(worker, [*ended, Outcome(plain.id, 1, "failed")])
        await eventually(lambda: storage.results.prune_retained(10))
        assert ids_of(await storage.get([short.id])) == []
        ids = [long.id, plain.id, runs.id]
        assert ids_of(await storage.get(ids)) == ids

    async def test_a_cancelled_job_that_never_ran_goes_too(self, storage: Storage) -> None:
        [job] = await store(storage, a_keeping_job(0.01))
        assert await storage.cancel([job], interrupt=True) == [job]
        assert await eventually(lambda: storage.results.prune_retained(10)) == 1

    async def test_one_pruning_removes_at_most_so_many(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_keeping_job(0.01)] * 5)
        await storage.finish(worker, [Outcome(job.id, 1, "cancelled") for job in held])

        async def pruned() -> int:
            removed = await storage.results.prune_retained(2)
            assert removed <= 2
            return removed

        async def counted() -> bool:
            return await storage.results.count_expired([], None, 10) == (5, 0)

        assert await eventually(counted)
        assert await storage.results.count_expired([], None, 3) == (3, 0)
        for left in (3, 1, 0):
            await eventually(pruned)
            assert len(await storage.get(ids_of(held))) == left

    async def test_what_ended_long_ago_goes_by_its_queue(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        jobs = [a_job(), a_job(queue="email"), a_keeping_job(HOUR), a_job()]
        plain, other, keeping, runs = await hold(storage, worker, *jobs)
        ended = [Outcome(job.id, 1, "failed") for job in (plain, other, keeping)]
        await storage.finish(worker, ended)
        assert await storage.results.prune_ended(["default"], HOUR, 10) == 0
        assert await storage.results.count_expired(["default"], HOUR, 10) == (0, 0)

        async def counted() -> tuple[int, int] | None:
            found = await storage.results.count_expired(["default", "email"], 0.01, 10)
            return found if found == (0, 2) else None

        assert await eventually(counted)
        assert await storage.results.count_expired(["default", "email"], None, 10) == (0, 0)
        assert await storage.results.count_expired(["other"], 0.01, 10) == (0, 0)
        removed = await eventually(lambda: storage.results.prune_ended(["default"], 0.01, 10))
        assert removed == 1
        ids = [plain.id, other.id, keeping.id, runs.id]
        assert ids_of(await storage.get(ids)) == ids[1:]


class Telling:
    """What listeners hear of `results`."""

    async def test_the_worker_of_a_running_job_hears_that_it_is_watched(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        async with listening(storage) as heard:
            await storage.results.watch([job.id])
            signal = await heard.first(lambda signal: signal.watched)
            assert signal.watched == (job.id,)

    async def test_the_end_of_a_watched_job_is_told_and_of_others_not(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        quiet, watched = await hold(storage, worker, a_keeping_job(), a_keeping_job())
        await storage.results.watch([watched.id])
        async with listening(storage) as heard:
            for job in (quiet, watched):
                outcome = Outcome(job.id, 1, "succeeded", kept=Kept("1"))
                await storage.finish(worker, [outcome])
            await heard.first(lambda signal: watched.id in signal.changed)
            assert not any(quiet.id in signal.changed for signal in heard.signals)

    async def test_the_cancellation_of_a_watched_job_is_told(self, storage: Storage) -> None:
        quiet, watched = await store(storage, a_job(), a_job())
        await storage.results.watch([watched])
        async with listening(storage) as heard:
            await storage.cancel([quiet, watched], interrupt=True)
            signal = await heard.first(lambda signal: signal.changed)
            assert (signal.changed, signal.cancel) == ((watched,), ())

    async def test_a_thousand_ends_are_told(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        ids = ids_of(await hold(storage, worker, *[a_keeping_job()] * 1000))
        assert sorted(await storage.results.watch(ids)) == ids
        async with listening(storage) as heard:
            outcomes = [Outcome(job, 1, "succeeded", kept=Kept("1")) for job in ids]
            await storage.finish(worker, outcomes)

            async def told() -> bool:
                return {job for signal in heard.signals for job in signal.changed} == set(ids)

            await eventually(told)

    async def test_a_watched_job_that_was_to_go_stays_to_say_how_it_ended(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.results.watch([job.id])
        async with listening(storage) as heard:
            await storage.finish(worker, [Outcome(job.id, 1, "succeeded", True, kept=Kept())])
            await heard.first(lambda signal: job.id in signal.changed)
        assert (await status_of(storage, job.id)).state == "succeeded"
        assert await storage.results.prune_retained(9) == 0  # not yet

    async def test_progress_is_stored_and_told_to_those_who_watch(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        quiet, watched = await hold(storage, worker, a_job(), a_job())
        await storage.results.watch([watched.id])
        async with listening(storage) as heard:
            reports = [Progress(quiet.id, 1, HALF), Progress(watched.id, 1, HALF)]
            await storage.results.report(worker, reports)
            signal = await heard.first(lambda signal: signal.changed)
            assert signal.changed == (watched.id,)
        for job in (quiet, watched):
            status = await status_of(storage, job.id)
            assert (status.state, json.loads(status.progress or "")) == (
                "running",
                json.loads(HALF),
            )

    async def test_the_beginning_of_a_watched_job_is_told(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await store(storage)
        await storage.results.watch([job])
        await storage.claim(worker, ["default"], 1)
        async with listening(storage) as heard:
            await storage.results.report(worker, [Progress(job, 1)])
            await heard.first(lambda signal: job in signal.changed)
        assert (await status_of(storage, job)).progress is None
