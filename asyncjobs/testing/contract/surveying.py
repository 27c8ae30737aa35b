"""What is told of queues, lanes and schedules, for lists of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from asyncjobs.statistics import Tally
from asyncjobs.testing.contract.limiting import a_limited, let_in, limit
from asyncjobs.testing.contract.schedule_steps import (
    MINUTE,
    a_due_one,
    a_schedule,
    fire,
    fire_and_claim,
)
from asyncjobs.testing.contract.steps import a_job, a_worker, claim_all, hold, store
from asyncjobs.types import Limit, Outcome, RunOf

if TYPE_CHECKING:
    from asyncjobs.storage.overview import LaneStatus
    from asyncjobs.storage.protocol import Storage


async def lanes(
    storage: Storage, *, kind: str | None = None, containing: str | None = None
) -> dict[str, LaneStatus]:
    """Return the lanes by name."""
    page = await storage.overview.lanes(kind=kind, containing=containing)
    assert page.after is None
    assert not page.is_cut_short
    assert [lane.name for lane in page.lanes] == sorted(lane.name for lane in page.lanes)
    return {lane.name: lane for lane in page.lanes}


class Surveying:
    """`overview.queues`, `lanes` and `runs`, `limits.known`, and what lists schedules."""

    async def test_at_first_there_is_nothing_to_list(self, storage: Storage) -> None:
        assert await storage.overview.queues() == []
        assert await lanes(storage) == {}
        assert await storage.overview.runs(["nightly"], 5) == []
        assert await storage.limits.known() == []
        assert await storage.schedules.find() == []
        assert await storage.schedules.counts() == {}
        assert await storage.schedules.lateness() == (0, 0.0, 0)
        assert await storage.statistics.history(60, 60) == {}

    async def test_queues_are_told_by_the_states_of_their_jobs(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        first, second, _ = await hold(storage, worker, *[a_job()] * 2, a_job(queue="email"))
        await storage.finish(
            worker, [Outcome(first.id, 1, "succeeded"), Outcome(second.id, 1, "failed")]
        )
        await store(storage, a_job(), a_job(wait=60), a_job(queue="email", wait=60))
        await limit(storage)
        await store(storage, *[a_limited()] * 2)
        [cancelled] = await store(storage, a_job(queue="email"))
        await storage.cancel([cancelled], interrupt=False)
        found = await storage.overview.queues()
        assert all(counted.is_exact for counted in found)
        assert {(counted.queue, counted.state): counted.jobs for counted in found} == {
            ("default", "succeeded"): 1, ("default", "failed"): 1, ("default", "available"): 1,
            ("default", "scheduled"): 1, ("default", "waiting"): 2, ("email", "running"): 1,
            ("email", "scheduled"): 1, ("email", "cancelled"): 1,
        }  # fmt: skip

    async def test_limits_are_told_as_they_were_said_last(self, storage: Storage) -> None:
        await limit(storage)
        [before] = await storage.limits.known()
        await storage.limits.declare([Limit("queue:email", None, 5, 0.5), before.limit])
        again, other = await storage.limits.known()
        assert again == before
        assert other.limit == Limit("queue:email", None, 5, 0.5)
        await storage.limits.declare([before.limit._replace(concurrency=7)])
        [changed] = await storage.limits.known(1)
        assert changed.limit.concurrency == 7
        assert changed.changed_at >= before.changed_at

    async def test_a_changed_limit_holds_until_another_is_declared(self, storage: Storage) -> None:
        for declared, changed in ((2, 9), (3, 5)):
            await limit(storage, declared)
            await storage.limits.change(Limit("job:greet", changed))
            await limit(storage, declared)
            [known] = await storage.limits.known()
            assert known.limit.concurrency == changed
        await limit(storage, 5)
        await limit(storage, 3)
        [known] = await storage.limits.known()
        assert known.limit.concurrency == 3

    async def test_lanes_are_told_with_who_waits_and_who_was_let_in(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage, 2)
        await store(storage, *[a_limited()] * 5, a_limited("key:b"))
        await let_in(storage, "key:a")
        assert len(await storage.claim(worker, ["default"], 1)) == 1
        await storage.limits.pause("queue:email")
        found = await lanes(storage)
        assert list(found) == ["key:a", "key:b", "queue:email"]
        busy, other, paused = found.values()
        assert (busy.waiting, busy.let_in, busy.running, busy.paused_at) == (3, 2, 1, None)
        assert busy.limit is not None
        assert busy.limit.concurrency == 2
        assert (other.waiting, other.let_in, other.running) == (1, 0, 0)
        assert (paused.waiting, paused.let_in, paused.limit) == (0, 0, None)
        assert paused.paused_at is not None

    async def test_a_lane_that_nobody_uses_is_not_told(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await limit(storage)
        await store(storage, a_limited())
        await let_in(storage, "key:a")
        [number] = await claim_all(storage, worker)
        # Its line is empty, so the limit is that of the one that was let in.
        assert (await lanes(storage))["key:a"].limit is not None
        await storage.finish(worker, [Outcome(number, 1, "succeeded")])
        assert await lanes(storage) == {}

    async def test_the_lane_of_a_queue_is_told_beside_those_of_its_jobs(
        self, storage: Storage
    ) -> None:
        await limit(storage)
        await limit(storage, 1, name="queue:default")
        jobs = [a_limited(lane, limited_queue=True) for lane in ("key:a", "key:b")]
        await store(storage, *jobs)
        for lane in ("key:a", "key:b", "queue:default"):
            await let_in(storage, lane)
        found = await lanes(storage)
        told = {name: (lane.waiting, lane.let_in) for name, lane in found.items()}
        assert told == {"key:a": (0, 1), "key:b": (0, 1), "queue:default": (1, 1)}

    async def test_lanes_are_found_by_their_names(self, storage: Storage) -> None:
        for lane in ("job:greet", "key:Tenant:7", "key:tenant:8", "key:user", "queue:email"):
            await storage.limits.pause(lane)
        assert list(await lanes(storage, kind="job")) == ["job:greet"]
        assert list(await lanes(storage, containing="TENANT")) == ["key:Tenant:7", "key:tenant:8"]
        assert list(await lanes(storage, kind="queue", containing="tenant")) == []
        assert list(await lanes(storage, kind="key", containing="8")) == ["key:tenant:8"]

    async def test_lanes_come_page_by_page(self, storage: Storage) -> None:
        names = [f"key:{number}" for number in range(5)]
        for lane in names:
            await storage.limits.pause(lane)
        after, seen = None, list[str]()
        while True:
            page = await storage.overview.lanes(after=after, kind="key", limit=2)
            seen += [lane.name for lane in page.lanes]
            if (after := page.after) is None:
                break
        assert seen == names

    async def test_runs_are_told_with_how_they_ended(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        schedule = await a_due_one(storage, "nightly", overlap="allow")
        tick = schedule.after_at + MINUTE
        run = await fire_and_claim(storage, worker, schedule)
        outcome = Outcome(run.id, 1, "failed", error="{}", run=RunOf("nightly", 5))
        await storage.finish(worker, [outcome])
        asked = await storage.schedules.run_now("nightly")
        assert asked is not None
        await store(storage)
        newest, oldest = await storage.overview.runs(["nightly", "other", "nightly"], 5)
        assert (newest.id, newest.state, newest.tick) == (asked.id, "available", None)
        assert newest.seconds is None
        assert (oldest.schedule, oldest.id, oldest.state) == ("nightly", run.id, "failed")
        assert (oldest.tick, oldest.attempt) == (tick, 1)
        assert oldest.seconds is not None
        assert [run.id for run in await storage.overview.runs(["nightly"], 1)] == [asked.id]

    async def test_the_last_runs_of_each_schedule_are_told(self, storage: Storage) -> None:
        for name in ("b", "a"):
            schedule = await a_due_one(storage, name, overlap="allow")
            ticks = [schedule.after_at + number * MINUTE for number in range(1, 5)]
            await fire(storage, schedule, *ticks)
        runs = await storage.overview.runs(["b", "a"], 3)
        assert [run.schedule for run in runs] == ["a"] * 3 + ["b"] * 3
        last = runs[:3]
        assert [run.id for run in last] == sorted((run.id for run in last), reverse=True)
        ticks = [run.tick for run in last if run.tick is not None]
        assert [one - other for one, other in pairwise(ticks)] == [MINUTE, MINUTE]

    async def test_schedules_are_found_by_name_job_and_standing(self, storage: Storage) -> None:
        for name, job in (("a", "Greet"), ("b", "tidy"), ("greetings", "tidy")):
            await storage.schedules.put(a_schedule(name, job=a_job(job)))
        await storage.schedules.switch("b", enabled=False)
        find = storage.schedules.find
        assert [found.name for found in await find()] == ["a", "b", "greetings"]
        assert [found.name for found in await find(limit=2)] == ["a", "b"]
        assert [found.name for found in await find(after="a", limit=1)] == ["b"]
        assert [found.name for found in await find(containing="gREET")] == ["a", "greetings"]
        assert [found.name for found in await find(standing="off")] == ["b"]
        assert await find(standing="off", containing="greet") == []
        assert await find(standing="gave up") == []
        assert await storage.schedules.counts() == {"active": 2, "off": 1}
        assert [found.standing for found in await find()] == ["active", "off", "active"]

    async def test_active_schedules_are_late_together(self, storage: Storage) -> None:
        await storage.schedules.put(a_schedule("in time"))
        await a_due_one(storage, "late")
        await a_due_one(storage, "off")
        await storage.schedules.switch("off", enabled=False)
        late = await storage.schedules.lateness()
        day = 86_400
        assert (late.overdue, late.problems) == (1, 0)
        assert day - 120 < late.seconds < day + 3_600
        await storage.schedules.report("late", "nobody can read it")
        assert (await storage.schedules.lateness()).problems == 1

    async def test_what_ended_is_told_by_queue_name_and_span(self, storage: Storage) -> None:
        await storage.statistics.record({
            ("default", "greet"): Tally(succeeded=3, failed=1),
            ("email", "send"): Tally(retried=2),
        })  # fmt: skip
        found = await storage.statistics.history(3_600, 2)
        assert found.keys() == {("default", "greet"), ("email", "send")}
        [span] = found["default", "greet"]
        assert (span.succeeded, span.failed, span.retried, span.cancelled) == (3, 1, 0, 0)
        assert span.since.timestamp() % 3_600 == 0
        only = await storage.statistics.history(60, 60, ["send", "none"])
        assert [key for key, spans in only.items() if spans] == [("email", "send")]
        assert await storage.statistics.history(60, 60, []) == {}

    async def test_what_ended_is_told_by_queue_and_span(self, storage: Storage) -> None:
        assert await storage.statistics.queue_spans(3_600, 2) == {}
        await storage.statistics.record({
            ("default", "greet"): Tally(succeeded=3, failed=1),
            ("default", "send"): Tally(succeeded=1, cancelled=2),
            ("email", "send"): Tally(retried=2),
        })  # fmt: skip
        found = await storage.statistics.queue_spans(3_600, 2)
        assert found.keys() == {"default", "email"}
        [span] = found["default"]
        assert (span.succeeded, span.failed, span.retried, span.cancelled) == (4, 1, 0, 2)
        assert span.since.timestamp() % 3_600 == 0
