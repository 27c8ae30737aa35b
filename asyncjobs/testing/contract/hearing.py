"""Workers hear of lanes with news, and of pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.filters import JobFilter
from asyncjobs.testing.contract.limiting import a_limited, let_in, limit, promoted
from asyncjobs.testing.contract.steps import eventually, listening, record_of, store
from asyncjobs.types import ALL_LANES, NewLane

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Signal


class HearingOfLanes:
    """`listen`, for what `limits` is about."""

    async def test_workers_hear_of_every_line_that_grew(self, storage: Storage) -> None:
        await limit(storage)
        for many in (2, 60, 400):
            names = {f'key:{number}" \\ ü {"x" * 150}' for number in range(many)}
            async with listening(storage) as heard:
                await store(storage, *[a_limited(name) for name in names])

                def all_told(_: Signal) -> bool:
                    told = {lane for signal in heard.signals for lane in signal.lanes}
                    return ALL_LANES in told or told >= names  # noqa: B023

                await heard.first(all_told)

    async def test_workers_hear_of_a_job_that_is_due_and_joins_a_line(
        self, storage: Storage
    ) -> None:
        await store(storage, a_limited(wait=0.05))
        async with listening(storage) as heard:
            await eventually(lambda: promoted(storage))
            await heard.first(lambda signal: "key:a" in signal.lanes)

    async def test_workers_hear_of_the_room_that_a_cancellation_makes(
        self, storage: Storage
    ) -> None:
        await limit(storage)
        ids = await store(storage, a_limited())
        await let_in(storage, "key:a")
        async with listening(storage) as heard:
            await storage.cancel(ids, interrupt=True)
            await heard.first(lambda signal: ALL_LANES in signal.lanes)

    async def test_who_waits_for_the_queue_hears_of_a_place_that_is_left(
        self, storage: Storage
    ) -> None:
        await limit(storage)
        await limit(storage, 1, name="queue:default")
        for old in ("key:a", None):
            first, second = await store(
                storage, *[a_limited(lane, limited_queue=True) for lane in (old, "key:c")]
            )
            await let_in(storage, "key:a", "queue:default")
            await let_in(storage, "key:c", "queue:default")
            assert (await record_of(storage, first)).state == "available"
            assert (await record_of(storage, second)).waits_in == "queue:default"
            async with listening(storage) as heard:
                where = JobFilter(ids=[first])
                await storage.admin.retry(where, args="{}", lane=NewLane("key:b"))
                await heard.first(lambda signal: {ALL_LANES, "queue:default"} & set(signal.lanes))
            await storage.admin.delete(JobFilter(ids=[first, second]))

    async def test_workers_hear_of_pauses(self, storage: Storage) -> None:
        async with listening(storage) as heard:
            await storage.limits.pause("key:a")
            await heard.first(lambda signal: signal.pauses)
            await storage.limits.resume("key:a")
            await heard.first(lambda signal: signal.pauses and "key:a" in signal.lanes)
