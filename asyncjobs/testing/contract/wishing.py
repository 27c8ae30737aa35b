"""What people wish of workers stands in the storage, and is told by heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncjobs.errors import UnknownWorkerError
from asyncjobs.testing.contract.steps import a_worker, claim_all, listening, store, together

if TYPE_CHECKING:
    from asyncjobs.storage.overview import WorkerStatus
    from asyncjobs.storage.protocol import Storage


async def status_of(storage: Storage, worker: int) -> WorkerStatus:
    """Return how it stands with one worker, which is registered."""
    [found] = [one for one in await storage.overview.workers() if one.id == worker]
    return found


async def wishes_of(storage: Storage, worker: int) -> tuple[bool, bool]:
    """Return what a heartbeat of *worker* is told: whether it is to be quiet, and to stop."""
    return (await storage.heartbeat(worker))[3:]


class Wishing:
    """`Storage.wishes`, and what becomes of a wish."""

    async def test_a_worker_tells_its_version_and_its_concurrency(self, storage: Storage) -> None:
        worker = await storage.register(
            a_worker()._replace(version="1.2.3", concurrency=7)  # as the worker says
        )
        status = await status_of(storage, worker)
        assert (status.version, status.concurrency, status.state) == ("1.2.3", 7, "running")
        assert not status.is_unheard

    async def test_one_worker_is_quieted_and_resumed_and_hears_of_it(
        self, storage: Storage
    ) -> None:
        worker, other = [await storage.register(a_worker()) for _ in range(2)]
        assert await wishes_of(storage, worker) == (False, False)
        assert await storage.wishes.quiet(worker)
        status = await status_of(storage, worker)
        assert (status.state, status.is_unheard) == ("quiet", True)
        assert status.quiet_at is not None
        assert await wishes_of(storage, worker) == (True, False)
        assert not (await status_of(storage, worker)).is_unheard
        assert await wishes_of(storage, other) == (False, False)
        assert (await status_of(storage, other)).state == "running"
        assert await storage.wishes.resume(worker)
        assert await wishes_of(storage, worker) == (False, False)
        status = await status_of(storage, worker)
        assert (status.state, status.quiet_at, status.is_unheard) == ("running", None, False)

    async def test_a_worker_that_is_told_to_stop_shows_that_it_does(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        assert await storage.wishes.stop(worker)
        assert await wishes_of(storage, worker) == (False, True)
        status = await status_of(storage, worker)
        assert (status.state, status.is_unheard) == ("stopping", True)
        await storage.wishes.note_stopping(worker)
        first = await status_of(storage, worker)
        assert (first.state, first.is_unheard) == ("stopping", False)
        await storage.wishes.note_stopping(worker)
        assert (await status_of(storage, worker)).stopping_at == first.stopping_at
        assert await wishes_of(storage, worker) == (False, True)

    async def test_one_that_stops_by_itself_shows_that_too(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await storage.wishes.note_stopping(worker)
        status = await status_of(storage, worker)
        assert (status.state, status.stop_at, status.is_unheard) == ("stopping", None, False)
        assert await wishes_of(storage, worker) == (False, False)

    async def test_a_wish_says_whether_it_changed_anything(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        wishes = storage.wishes
        assert not await wishes.resume(worker)
        assert await wishes.quiet(worker)
        since = (await status_of(storage, worker)).quiet_at
        assert not await wishes.quiet(worker)
        assert (await status_of(storage, worker)).quiet_at == since
        assert await wishes.resume(worker)
        assert not await wishes.resume(worker)
        assert await wishes.stop(worker)
        assert not await wishes.stop(worker)

    async def test_of_many_who_wish_the_same_at_once_one_has_changed_it(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        assert sorted(await together(*[storage.wishes.quiet(worker) for _ in range(5)])) == [
            *[False] * 4, True,
        ]  # fmt: skip

    async def test_nothing_can_be_wished_of_who_is_not_there(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await storage.deregister(worker)
        for wish in (storage.wishes.quiet, storage.wishes.resume, storage.wishes.stop):
            with pytest.raises(UnknownWorkerError, match=str(worker)):
                await wish(worker)
        await storage.wishes.note_stopping(worker)
        assert await storage.overview.workers() == []

    async def test_a_wish_does_not_outlive_its_worker(self, storage: Storage) -> None:
        worker = await storage.register(a_worker("same"))
        await storage.wishes.quiet(worker)
        await storage.wishes.stop(worker)
        await storage.deregister(worker)
        again = await storage.register(a_worker("same"))
        assert await wishes_of(storage, again) == (False, False)
        assert (await status_of(storage, again)).state == "running"

    async def test_who_registers_as_quiet_is(self, storage: Storage) -> None:
        worker = await storage.register(a_worker()._replace(quiet=True))
        assert await wishes_of(storage, worker) == (True, False)
        assert (await status_of(storage, worker)).state == "quiet"

    async def test_a_wish_is_the_workers_to_fulfil(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await storage.wishes.quiet(worker)
        [job] = await store(storage)
        assert await claim_all(storage, worker) == [job]  # one claim may have been under way

    async def test_a_silent_worker_is_silent_whatever_was_wished(self, storage: Storage) -> None:
        status = await status_of(storage, await storage.register(a_worker()))
        gone = status._replace(silent=status.lease + 1, quiet_at=status.started_at)
        assert (status.is_alive, gone.is_alive, gone.state) == (True, False, "silent")


class HearingOfWishes:
    """Who listens hears at once."""

    async def test_workers_hear_that_something_is_wished_of_them(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        for wish in (storage.wishes.quiet, storage.wishes.resume, storage.wishes.stop):
            async with listening(storage) as heard:
                await wish(worker)
                assert (await heard.first(lambda signal: signal.workers)).workers == (worker,)

    async def test_what_changes_nothing_tells_nothing(self, storage: Storage) -> None:
        worker, other = [await storage.register(a_worker()) for _ in range(2)]
        async with listening(storage) as heard:
            await storage.wishes.resume(worker)
            await storage.wishes.quiet(other)
            assert (await heard.first(lambda signal: signal.workers)).workers == (other,)
