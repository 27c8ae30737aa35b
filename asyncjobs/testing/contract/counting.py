"""What ended is counted, in spans of every width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.statistics import WIDTHS, Tally, class_of
from asyncjobs.testing.contract.steps import a_job, store, together

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


def a_tally(*, succeeded: int = 0, failed: int = 0, retried: int = 0) -> Tally:
    """Return a tally with one measured attempt."""
    tally = Tally(succeeded, failed, retried)
    tally.waits[class_of(0.5)] += 1
    tally.runs[class_of(2.0)] += 1
    tally.waited, tally.ran = 0.5, 2.0
    return tally


class Counting:
    """`Storage.statistics`."""

    async def test_nothing_is_counted_at_first(self, storage: Storage) -> None:
        for width in WIDTHS:
            assert await storage.statistics.spans(width, 100) == []
            assert await storage.statistics.tallies(width, 100) == {}
        assert await storage.statistics.names() == []
        assert await storage.statistics.totals() == {}

    async def test_tallies_are_added_up_by_queue_and_name(self, storage: Storage) -> None:
        one, other = ("default", "greet"), ("email", "send")
        await storage.statistics.record({})
        await storage.statistics.record({one: a_tally(succeeded=3, retried=1)})
        await storage.statistics.record({one: a_tally(succeeded=2), other: a_tally(failed=1)})
        for width in WIDTHS:
            found = await storage.statistics.tallies(width, 100)
            assert found.keys() == {one, other}
            assert (found[one].succeeded, found[one].retried, found[one].failed) == (5, 1, 0)
            assert (found[other].failed, found[other].cancelled) == (1, 0)
            assert found[one].waits[class_of(0.5)] == found[one].runs[class_of(2.0)] == 2
            assert sum(found[one].waits) == sum(found[one].runs) == 2
            spans = await storage.statistics.spans(width, 100)
            assert sum(span.succeeded for span in spans) == 5
            assert sum(span.failed for span in spans) == 1
            assert all(span.since.timestamp() % width == 0 for span in spans)
        assert await storage.statistics.names() == ["greet", "send"]

    async def test_tallies_of_many_at_once_are_all_counted(self, storage: Storage) -> None:
        names = [("default", "greet"), ("email", "send"), ("email", "other")]
        each = [dict.fromkeys(names[turn % 3 :] + names[: turn % 3]) for turn in range(9)]
        await together(
            *[
                storage.statistics.record({key: a_tally(succeeded=1) for key in keys})
                for keys in each
            ]
        )
        found = await storage.statistics.tallies(3_600, 100)
        assert [found[name].succeeded for name in names] == [9, 9, 9]

    async def test_totals_grow_and_are_not_pruned(self, storage: Storage) -> None:
        one, other = ("default", "greet"), ("email", "send")
        await storage.statistics.record({one: a_tally(succeeded=3, failed=1)})
        first = await storage.statistics.totals()
        await storage.statistics.record({one: a_tally(retried=1), other: a_tally(succeeded=1)})
        await storage.statistics.prune()
        found = await storage.statistics.totals()
        assert found.keys() == {one, other}
        tally = found[one].tally
        assert (tally.succeeded, tally.failed, tally.retried, tally.cancelled) == (3, 1, 1, 0)
        assert tally.waits[class_of(0.5)] == tally.runs[class_of(2.0)] == 2
        assert sum(tally.waits) == sum(tally.runs) == 2
        assert (tally.waited, tally.ran) == (1.0, 4.0)
        assert found[one].since == first[one].since <= found[other].since
        assert first[one].tally.succeeded == 3
        assert first[one].tally.retried == 0

    async def test_the_oldest_totals_are_told_if_there_are_many(self, storage: Storage) -> None:
        keys = [("default", name) for name in ("zebra", "ape", "mole")]
        for key in keys:
            await storage.statistics.record({key: a_tally(succeeded=1)})
        assert list(await storage.statistics.totals(limit=2)) == keys[:2]

    async def test_what_was_only_rescued_has_not_ended(self, storage: Storage) -> None:
        await storage.statistics.record({("default", "greet"): Tally(rescued=2)})
        assert await storage.statistics.spans(60, 100) == []
        [total] = (await storage.statistics.totals()).values()
        assert total.tally.rescued == 2
        assert total.tally.ended == 0

    async def test_ids_are_counted(self, storage: Storage) -> None:
        await store(storage, *[a_job()] * 3)
        before = await storage.statistics.enqueued()
        assert before >= 3
        await storage.clear()
        await store(storage, a_job())
        assert await storage.statistics.enqueued() > before

    async def test_pruning_keeps_what_may_be_asked_for(self, storage: Storage) -> None:
        await storage.statistics.record({("default", "greet"): a_tally(succeeded=1)})
        await storage.statistics.prune()
        for width in WIDTHS:
            assert len(await storage.statistics.spans(width, 100)) == 1
