"""A success that is written into a transaction is recorded when that commits, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.errors import ConnectionKindError, TransactionError
from asyncjobs.testing.contract.steps import (
    a_job,
    a_worker,
    claim_all,
    hold,
    ids_of,
    record_of,
    together,
)
from asyncjobs.types import Completion, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob


class StopHereError(Exception):
    """Raised to leave a block without a commit."""


class Transactions:
    """`transaction`, `finish_within` and `completion`."""

    async def test_a_success_is_recorded_by_the_commit(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        async with storage.transaction() as connection:
            found = await storage.finish_within(connection, worker, success(job))
            assert found is Completion.RECORDED
            assert (await record_of(storage, job.id)).state == "running"
        record = await record_of(storage, job.id)
        assert (record.state, record.attempt) == ("succeeded", 1)
        assert record.finished_at
        assert await storage.completion(worker, success(job)) is Completion.RECORDED
        assert await storage.finish(worker, [success(job)]) == []

    async def test_a_success_that_is_not_kept_is_gone_by_the_commit(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        async with storage.transaction() as connection:
            await storage.finish_within(connection, worker, success(job, delete=True))
            assert ids_of(await storage.get([job.id])) == [job.id]
        assert await storage.get([job.id]) == []
        done = await storage.completion(worker, success(job, delete=True))
        assert done is Completion.RECORDED

    async def test_a_success_that_is_rolled_back_was_never_written(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        kept, gone = await hold(storage, worker, a_job(), a_job())
        for outcome in (success(kept), success(gone, delete=True)):
            await roll_back(storage, worker, outcome)
            assert await storage.completion(worker, outcome) is Completion.HELD
        assert [record.state for record in await storage.get([kept.id, gone.id])] == ["running"] * 2
        assert sorted(await storage.finish(worker, [success(kept), success(gone)])) == [
            kept.id,
            gone.id,
        ]

    async def test_jobs_stored_in_the_transaction_exist_with_the_success(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        first, second = await hold(storage, worker, a_job(), a_job())
        try:
            async with storage.transaction() as connection:
                await storage.enqueue([a_job("never")], connection=connection)
                await storage.finish_within(connection, worker, success(first))
                raise StopHereError
        except StopHereError:
            assert await claim_all(storage, worker) == []
        async with storage.transaction() as connection:
            [next_job] = await storage.enqueue([a_job("next")], connection=connection)
            await storage.finish_within(connection, worker, success(second))
            assert await claim_all(storage, worker) == []
        assert await claim_all(storage, worker) == [next_job.id]

    async def test_only_the_holder_can_write_a_success(self, storage: Storage) -> None:
        holder, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, holder)
        for delete in (False, True):
            outcome = success(job, delete=delete)
            assert await roll_back(storage, other, outcome) is Completion.LOST
            assert await storage.completion(other, outcome) is Completion.LOST
        assert (await record_of(storage, job.id)).state == "running"

    async def test_only_the_current_attempt_can_be_a_success(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.finish(worker, [Outcome(job.id, 1, "available")])
        await claim_all(storage, worker)
        assert await roll_back(storage, worker, success(job)) is Completion.LOST
        assert await storage.completion(worker, success(job)) is Completion.LOST

    async def test_a_rescued_job_is_lost_to_its_first_worker(self, storage: Storage) -> None:
        dead, other = [await storage.register(a_worker()) for _ in range(2)]
        [job] = await hold(storage, dead)
        await storage.rescue([dead])
        for _ in range(2):  # while nobody has it, and when another worker has
            assert await roll_back(storage, dead, success(job)) is Completion.LOST
            assert await storage.completion(dead, success(job)) is Completion.LOST
            await claim_all(storage, other)

    async def test_a_job_that_is_to_be_cancelled_cannot_be_a_success(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.cancel([job.id], interrupt=True)
        assert await roll_back(storage, worker, success(job)) is Completion.CANCELLED
        assert (await record_of(storage, job.id)).state == "running"

    async def test_a_job_that_may_end_can_be_a_success(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        await storage.cancel([job.id], interrupt=False)
        async with storage.transaction() as connection:
            found = await storage.finish_within(connection, worker, success(job))
            assert found is Completion.RECORDED
        assert (await record_of(storage, job.id)).state == "succeeded"

    async def test_a_rescue_waits_for_the_commit_and_finds_the_job_done(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)

        async def commit() -> list[int]:
            async with storage.transaction() as connection:
                await storage.finish_within(connection, worker, success(job))
            return []

        async def rescue() -> list[int]:
            return [rescued.id for rescued in await storage.rescue([worker])]

        _, rescued = await together(commit(), rescue())
        record = await record_of(storage, job.id)
        assert (record.state, rescued) in [("succeeded", []), ("available", [job.id])]

    async def test_many_transactions_at_once_wait_for_their_turn(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        held = await hold(storage, worker, *[a_job()] * 50)

        async def commit(job: ClaimedJob) -> Completion:
            async with storage.transaction() as connection:
                return await storage.finish_within(connection, worker, success(job))

        found = await together(*[commit(job) for job in held])
        assert set(found) == {Completion.RECORDED}
        assert await storage.counts() == {("default", "succeeded"): 50}

    async def test_a_connection_of_another_kind_is_refused_for_a_success(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [job] = await hold(storage, worker)
        try:
            async with storage.transaction(object()):
                raise AssertionError("a connection of an unknown kind was joined")
        except ConnectionKindError:
            pass
        try:
            await storage.finish_within(object(), worker, success(job))
        except ConnectionKindError:
            assert (await record_of(storage, job.id)).state == "running"
        else:
            raise AssertionError("a connection of an unknown kind was accepted")

    async def test_a_connection_outside_a_transaction_is_refused(self, storage: Storage) -> None:
        async with storage.transaction() as connection:
            pass
        try:
            async with storage.transaction(connection):
                raise AssertionError("a connection outside a transaction was joined")
        except (TransactionError, ConnectionKindError):
            pass


def success(job: ClaimedJob, *, delete: bool = False) -> Outcome:
    """Return the success of *job*."""
    return Outcome(job.id, job.attempt, "succeeded", delete=delete)


async def roll_back(storage: Storage, worker: int, outcome: Outcome) -> Completion:
    """Write *outcome* into a transaction that is rolled back; return what storage said."""
    try:
        async with storage.transaction() as connection:
            found = await storage.finish_within(connection, worker, outcome)
            raise StopHereError
    except StopHereError:
        return found
