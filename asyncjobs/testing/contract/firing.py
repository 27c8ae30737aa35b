"""A schedule makes exactly one run for each tick, whoever comes first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from asyncjobs.schedule_types import Plan
from asyncjobs.testing.contract.schedule_steps import (
    DAY,
    MINUTE,
    a_due_one,
    a_schedule,
    end,
    fire,
    fire_and_claim,
    planned,
)
from asyncjobs.testing.contract.steps import a_job, a_worker, record_of, together
from asyncjobs.testing.contract.uniqueness import a_unique_job
from asyncjobs.types import Extras, Outcome

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Firing:
    """`schedules`: storing them, their ticks, and how their runs end."""

    async def test_a_stored_schedule_is_planned(self, storage: Storage) -> None:
        put = await storage.schedules.put(a_schedule())
        assert await storage.schedules.get() == [put]
        assert put.next_at == put.after_at.replace(minute=0, second=0, microsecond=0) + 60 * MINUTE
        assert (put.enabled, put.declared, put.is_active) == (True, None, True)

    async def test_what_it_runs_is_kept(self, storage: Storage) -> None:
        job = a_job("greet", queue="email", priority=7, args='{"to": "Ada"}')
        put = await storage.schedules.put(a_schedule("morning", job=job))
        assert (put.name, put.job, put.queue, put.priority) == ("morning", "greet", "email", 7)
        assert json.loads(put.args) == {"to": "Ada"}

    async def test_every_counts_from_the_moment_of_storing(self, storage: Storage) -> None:
        put = await storage.schedules.put(a_schedule(every=60.0))
        assert put.starting_at is not None
        assert timedelta(0) <= put.after_at - put.starting_at < timedelta(seconds=1)
        assert put.next_at == put.starting_at + MINUTE

    async def test_every_counts_from_a_given_moment(self, storage: Storage) -> None:
        start = datetime(2020, 1, 1, 8, 30, tzinfo=UTC)
        put = await storage.schedules.put(a_schedule(every=7200.0, starting_at=start))
        assert put.next_at is not None
        assert (put.next_at - start) % timedelta(hours=2) == timedelta(0)
        assert timedelta(0) < put.next_at - put.after_at <= timedelta(hours=2)

    async def test_storing_it_again_changes_no_tick(self, storage: Storage) -> None:
        first = await storage.schedules.put(a_schedule(every=60.0))
        again = await storage.schedules.put(a_schedule(every=60.0, job=a_job("other")))
        assert again == first._replace(job="other")

    async def test_another_time_begins_anew(self, storage: Storage) -> None:
        first = await storage.schedules.put(a_schedule(every=60.0))
        again = await storage.schedules.put(a_schedule(every=90.0))
        assert again.after_at > first.after_at
        assert again.starting_at is not None
        assert again.next_at == again.starting_at + timedelta(seconds=90)

    async def test_two_that_store_it_at_once_store_one(self, storage: Storage) -> None:
        await together(*(storage.schedules.put(a_schedule()) for _ in range(8)))
        assert len(await storage.schedules.get()) == 1

    async def test_only_what_has_a_tick_is_due(self, storage: Storage) -> None:
        late, hourly = await a_due_one(storage), await storage.schedules.put(a_schedule("hourly"))
        found = await storage.schedules.due(["greet"])
        assert [row.name for row in found.due] == [late.name]
        assert found.next_in is not None
        assert hourly.next_at is not None
        assert abs((hourly.next_at - found.now).total_seconds() - found.next_in) < 10
        assert (await storage.schedules.due(["other"])).due == []

    async def test_nothing_is_due_where_nothing_is_stored(self, storage: Storage) -> None:
        found = await storage.schedules.due(["greet"])
        assert (found.due, found.next_in) == ([], None)
        assert abs(found.now - datetime.now(UTC)) < DAY

    async def test_a_tick_makes_a_run(self, storage: Storage) -> None:
        job = a_job("greet", queue="email", priority=7, args='{"to": "Ada"}')
        schedule = await a_due_one(storage, job=job)
        tick = schedule.after_at + MINUTE
        fired = await fire(storage, schedule, tick)
        [(name, at, stored)] = fired.runs
        assert (fired.names, name, at) == ([schedule.name], schedule.name, tick)
        record = await record_of(storage, stored.id)
        assert (record.name, record.queue, record.priority) == ("greet", "email", 7)
        assert record.state == "available"
        assert json.loads(record.extra or "") == {
            "schedule": {"name": schedule.name, "tick": tick.isoformat()}
        }
        [after] = await storage.schedules.get()
        assert (after.last_at, after.after_at) == (tick, tick + MINUTE)
        assert after.next_at == tick + 2 * MINUTE

    async def test_its_runs_ask_for_what_the_schedule_was_given(self, storage: Storage) -> None:
        extra = '{"meta": {"tenant": 7}}'
        extras = Extras(tags=("vip", "a b"), extra=extra, expires=60.0)
        schedule = await a_due_one(storage, job=a_job(extras=extras))
        [(_, _, stored)] = (await fire(storage, schedule)).runs
        record = await record_of(storage, stored.id)
        assert list(record.tags) == ["vip", "a b"]
        assert record.meta == {"tenant": 7}

    async def test_of_many_that_fire_at_once_one_does(self, storage: Storage) -> None:
        schedule = await a_due_one(storage, overlap="allow")
        fired = await together(*(fire(storage, schedule) for _ in range(8)))
        assert sorted(len(one.runs) for one in fired) == [0] * 7 + [1]
        assert sum((await storage.counts()).values()) == 1

    async def test_a_plan_for_what_has_changed_does_nothing(self, storage: Storage) -> None:
        schedule = await a_due_one(storage)
        await storage.schedules.put(a_schedule(schedule.name, every=90.0))
        assert (await fire(storage, schedule)).names == []
        await storage.schedules.remove(schedule.name)
        assert (await fire(storage, schedule)).names == []

    async def test_a_tick_makes_no_second_run(self, storage: Storage) -> None:
        schedule = await a_due_one(storage, overlap="allow")
        tick = schedule.after_at + MINUTE
        assert len((await fire(storage, schedule, tick)).runs) == 1
        [moved] = await storage.schedules.get()
        fired = await fire(storage, moved, tick, tick + MINUTE)
        assert [at for _, at, _ in fired.runs] == [tick + MINUTE]

    @pytest.mark.parametrize("state", ["scheduled", "available", "running"])
    async def test_no_run_begins_while_one_has_not_ended(
        self, storage: Storage, state: str
    ) -> None:
        worker = await storage.register(a_worker())
        schedule = await a_due_one(storage)
        run = await fire_and_claim(storage, worker, schedule)
        if state != "running":
            await storage.finish(worker, [Outcome(run.id, 1, state, delay=3600)])  # type: ignore[arg-type]
        assert (await record_of(storage, run.id)).state == state
        [moved] = await storage.schedules.get()
        tick = moved.after_at + MINUTE
        assert (await fire(storage, moved, tick)).runs == []
        [after] = await storage.schedules.get()
        assert (after.skipped_at, after.last_at) == (tick, moved.last_at)
        assert after.after_at > moved.after_at

    async def test_one_begins_when_the_last_has_ended(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        schedule = await a_due_one(storage)
        run = await fire_and_claim(storage, worker, schedule)
        await storage.finish(worker, [Outcome(run.id, 1, "succeeded")])
        [moved] = await storage.schedules.get()
        assert len((await fire(storage, moved)).runs) == 1

    async def test_runs_overlap_if_that_is_allowed(self, storage: Storage) -> None:
        schedule = await a_due_one(storage, overlap="allow", catch_up="all")
        ticks = [schedule.after_at + number * MINUTE for number in (1, 2, 3)]
        assert [at for _, at, _ in (await fire(storage, schedule, *ticks)).runs] == ticks

    async def test_a_tick_that_is_too_old_is_noted(self, storage: Storage) -> None:
        schedule = await a_due_one(storage)
        tick, now = schedule.after_at + MINUTE, schedule.after_at + 5 * MINUTE
        plan = Plan(schedule.name, schedule.after_at, [], tick, now, now + MINUTE)
        assert (await storage.schedules.advance([plan])).runs == []
        [after] = await storage.schedules.get()
        assert (after.skipped_at, after.last_at) == (tick, None)

    @pytest.mark.parametrize("on_conflict", ["ignore", "raise", "reschedule"])
    async def test_a_tick_whose_equal_job_exists_makes_no_run(
        self, storage: Storage, on_conflict: str
    ) -> None:
        worker = await storage.register(a_worker())
        job = a_unique_job(on_conflict=on_conflict)
        schedule = await a_due_one(storage, job=job, overlap="allow")
        run = await fire_and_claim(storage, worker, schedule)
        await end(storage, worker, run, "succeeded", most=24, delete=True)
        [other] = await storage.enqueue([a_unique_job()])
        [moved] = await storage.schedules.get()
        tick = moved.after_at + MINUTE
        fired = await fire(storage, moved, tick)
        assert (fired.names, fired.runs) == (["nightly"], [])
        [after] = await storage.schedules.get()
        assert (after.last_at, after.last_result) == (moved.last_at, "succeeded")
        assert after.skipped_at == tick
        assert (await record_of(storage, other.id)).state == "available"

    async def test_of_ticks_at_once_whose_jobs_are_equal_one_makes_a_run(
        self, storage: Storage
    ) -> None:
        schedule = await a_due_one(storage, job=a_unique_job(), overlap="allow", catch_up="all")
        ticks = [schedule.after_at + number * MINUTE for number in (1, 2, 3)]
        assert [at for _, at, _ in (await fire(storage, schedule, *ticks)).runs] == ticks[:1]
        [after] = await storage.schedules.get()
        assert (after.last_at, after.skipped_at) == (ticks[0], ticks[2])

    async def test_a_tick_that_replaces_the_equal_job_makes_that_its_run(
        self, storage: Storage
    ) -> None:
        worker = await storage.register(a_worker())
        [other] = await storage.enqueue([a_unique_job()])
        job = a_unique_job(on_conflict="replace")
        schedule = await a_due_one(storage, job=job, overlap="allow")
        [(_, tick, stored)] = (await fire(storage, schedule)).runs
        assert stored.id == other.id
        [moved] = await storage.schedules.get()
        assert (moved.last_at, moved.skipped_at) == (tick, None)
        await storage.claim(worker, ["default"], 1)
        assert (await fire(storage, moved)).runs == []
        [after] = await storage.schedules.get()
        assert (after.last_at, after.skipped_at) == (tick, moved.after_at + MINUTE)

    async def test_schedules_that_are_due_together_fire_together(self, storage: Storage) -> None:
        schedules = [await a_due_one(storage, f"s{number}") for number in range(5)]
        plans = [planned(one, one.after_at + MINUTE) for one in schedules]
        fired = await storage.schedules.advance(plans)
        assert sorted(fired.names) == sorted(name for name, _, _ in fired.runs)
        assert len({stored.id for _, _, stored in fired.runs}) == 5
