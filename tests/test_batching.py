"""What comes while a batch is under way makes the next."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncjobs.batching import Batcher, portions


class Sink:
    """Where batches go. Each waits until the test lets it through."""

    def __init__(self, limit: int = 100) -> None:
        self.batches: list[list[int]] = []
        self.arrived = asyncio.Semaphore(0)
        self.gate = asyncio.Semaphore(0)
        self.sending = 0
        self.most_at_once = 0
        self.batcher = Batcher(self.send, limit)

    @property
    def received(self) -> list[int]:
        return [item for batch in self.batches for item in batch]

    async def send(self, batch: list[int]) -> None:
        self.batches.append(batch)
        self.sending += 1
        self.most_at_once = max(self.most_at_once, self.sending)
        self.arrived.release()
        await self.gate.acquire()
        self.sending -= 1

    def add(self, *items: int) -> None:
        for item in items:
            self.batcher.add(item)

    def let_through(self, batches: int = 1) -> None:
        for _ in range(batches):
            self.gate.release()


@pytest.fixture
def sink() -> Sink:
    return Sink()


async def test_what_comes_at_once_makes_one_batch(sink: Sink) -> None:
    sink.add(1, 2, 3)
    sink.let_through()
    await sink.batcher.drain()

    assert sink.batches == [[1, 2, 3]]


async def test_what_comes_while_a_batch_is_under_way_makes_the_next(sink: Sink) -> None:
    sink.add(1)
    await sink.arrived.acquire()
    sink.add(2)
    sink.add(3)
    assert len(sink.batcher) == 2
    assert sink.batches == [[1]]

    sink.let_through()
    await sink.arrived.acquire()
    assert sink.batches == [[1], [2, 3]]
    assert len(sink.batcher) == 0

    sink.let_through()
    await sink.batcher.drain()


async def test_what_waits_is_sent_although_the_sending_was_cancelled(sink: Sink) -> None:
    # As asyncio.run does at its end, which cancels every task once.
    sink.add(1)
    await sink.arrived.acquire()
    sink.add(2)
    [sending] = [task for task in asyncio.all_tasks() if "_send_all" in repr(task)]
    sending.cancel()
    await asyncio.wait({sending})
    sink.add(3)
    sink.let_through(3)
    await sink.batcher.drain()

    assert sink.batches == [[1], [2], [3]]
    assert sink.batcher.unsent() == []


async def test_a_batch_has_at_most_the_limit_and_the_rest_keeps_its_order() -> None:
    sink = Sink(limit=2)
    sink.add(1, 2, 3, 4, 5)
    sink.let_through(3)
    await sink.batcher.drain()

    assert sink.batches == [[1, 2], [3, 4], [5]]


async def test_draining_waits_for_what_is_under_way_and_what_came_meanwhile(sink: Sink) -> None:
    sink.add(1)
    await sink.arrived.acquire()
    draining = asyncio.create_task(sink.batcher.drain())
    sink.add(2)
    sink.let_through()
    await sink.arrived.acquire()
    assert not draining.done()

    sink.let_through()
    await draining
    assert sink.batches == [[1], [2]]
    assert sink.sending == 0


async def test_draining_nothing_does_not_wait(sink: Sink) -> None:
    async with asyncio.timeout(5):
        await sink.batcher.drain()

    assert sink.batches == []


async def test_after_a_pause_the_next_item_leaves_at_once(sink: Sink) -> None:
    for item in (1, 2):
        sink.add(item)
        await sink.arrived.acquire()
        sink.let_through()
        await sink.batcher.drain()

    assert sink.batches == [[1], [2]]


async def test_what_waits_can_be_taken_back(sink: Sink) -> None:
    sink.add(1)
    await sink.arrived.acquire()
    sink.add(2, 3)

    assert sink.batcher.unsent() == [1, 2, 3]
    assert sink.batcher.discard() == [2, 3]
    assert sink.batcher.unsent() == [1]

    sink.let_through()
    await sink.batcher.drain()
    assert sink.batches == [[1]]
    assert sink.batcher.unsent() == []


async def test_draining_may_be_cancelled_without_harm(sink: Sink) -> None:
    sink.add(1)
    draining = asyncio.create_task(sink.batcher.drain())
    await sink.arrived.acquire()
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining

    sink.add(2)
    sink.let_through(2)
    await sink.batcher.drain()
    assert sink.batches == [[1], [2]]


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_batch_that_ends_with_its_event_loop_does_not_stop_the_next(
    has_begun: bool,
) -> None:
    sinks: list[Sink] = []

    async def leave_undone() -> None:
        sinks.append(Sink())
        sinks[0].add(1)
        if has_begun:
            await sinks[0].arrived.acquire()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def go_on() -> None:
        [sink] = sinks
        sink.add(2)
        sink.let_through(3)
        async with asyncio.timeout(5):
            await sink.batcher.drain()

    asyncio.run(leave_undone())
    asyncio.run(go_on())

    assert [batch[-1] for batch in sinks[0].batches] == ([1, 2] if has_begun else [2])


steps = st.lists(
    st.sampled_from(["let through", "pause"]) | st.integers(1, 20), min_size=1, max_size=30
)


@given(limit=st.integers(1, 7), steps=steps)
@settings(deadline=None)
async def test_everything_is_sent_once_in_order_in_batches_of_up_to_the_limit(
    limit: int, steps: list[str | int]
) -> None:
    sink = Sink(limit)
    added = 0
    for step in steps:
        if step == "let through":
            sink.let_through()
        elif step == "pause":
            await asyncio.sleep(0)
        else:
            items = range(added, added + int(step))
            sink.add(*items)
            added += len(items)
        assert sink.received == list(range(added - len(sink.batcher)))
    sink.let_through(added)
    await sink.batcher.drain()

    assert sink.received == list(range(added))
    assert all(1 <= len(batch) <= limit for batch in sink.batches)
    assert sink.most_at_once == min(added, 1)


@given(st.lists(st.integers(0, 20)), st.integers(1, 30))
def test_portions_are_as_large_as_they_may_be_and_only_single_items_larger(
    sizes: list[int], most: int
) -> None:
    parts = list(portions(sizes, sizes, most))
    assert [size for part in parts for size in part] == sizes
    assert all(sum(part) <= most or len(part) == 1 for part in parts)
    assert all(sum(one) + other[0] > most for one, other in pairwise(parts))
