"""How runs of schedules end, and what people do to schedules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from asyncjobs.errors import RowRefusedError
from asyncjobs.storage.schedule_records import Template, run_of
from asyncjobs.testing.contract.schedule_steps import (
    DAY,
    MINUTE,
    a_due_one,
    a_schedule,
    end,
    fire,
    fire_and_claim,
)
from asyncjobs.testing.contract.steps import a_job, a_worker, record_of, together
from asyncjobs.types import Extras, Outcome, RunOf

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage


class Recurring:
    """`schedules`: what becomes of them."""

    async def test_how_runs_end_is_noted(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        schedule = await a_due_one(storage)
        run = await fire_and_claim(storage, worker, schedule)
        await end(storage, worker, run, "failed", most=3)
        [row] = await storage.schedules.get()
        assert (row.last_result, row.failures, row.gave_up_at) == ("failed", 1, None)
        assert row.finished_at is not None
        run = await fire_and_claim(storage, worker, row)
        [row] = await storage.schedules.get()
        assert (row.last_result, row.failures) == (None, 1)
        await end(storage, worker, run, "succeeded", most=3)
        [row] = await storage.schedules.get()
        assert (row.last_result, row.failures) == ("succeeded", 0)

    async def test_one_by_cron_has_no_every(self, storage: Storage) -> None:
        stored = await a_due_one(storage)
        [due] = (await storage.schedules.due(["greet"])).due
        assert (stored.every, due.every, stored.starting_at, due.starting_at) == (None,) * 4

    async def test_a_schedule_gives_up_after_enough_failures(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        await a_due_one(storage)
        for failures in (1, 2):
            [row] = await storage.schedules.get()
            run = await fire_and_claim(storage, worker, row)
            await end(storage, worker, run, "failed", most=2)
            [row] = await storage.schedules.get()
            assert row.failures == failures
        assert row.gave_up_at is not None
        assert (row.next_at, row.is_active, row.enabled) == (None, False, True)
        assert (await storage.schedules.due(["greet"])).due == []
        assert (await fire(storage, row)).names == []

    async def test_attempts_of_one_run_count(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        run = await fire_and_claim(storage, worker, await a_due_one(storage))
        await storage.finish(worker, [Outcome(run.id, 1, "available", error="{}")])
        [run] = await storage.claim(worker, ["default"], 1)
        await end(storage, worker, run, "failed", most=2, delete=True)
        [row] = await storage.schedules.get()
        assert row.failures == 2
        assert row.gave_up_at is not None

    async def test_a_late_report_is_not_noted(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        run = await fire_and_claim(storage, worker, await a_due_one(storage))
        outcome = Outcome(run.id, 2, "failed", run=RunOf("nightly", 1))
        assert await storage.finish(worker, [outcome]) == []
        [row] = await storage.schedules.get()
        assert (row.last_result, row.failures) == (None, 0)

    async def test_runs_that_end_together_are_noted_together(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        schedule = await a_due_one(storage, overlap="allow", catch_up="all")
        await fire(storage, schedule, *(schedule.after_at + n * MINUTE for n in (1, 2, 3)))
        runs = sorted(await storage.claim(worker, ["default"], 5))
        states = ["failed", "succeeded", "failed"]
        outcomes = [
            Outcome(run.id, 1, state, run=RunOf(schedule.name, 2))  # type: ignore[arg-type]
            for run, state in zip(runs, states, strict=True)
        ]
        assert len(await storage.finish(worker, outcomes)) == 3
        [row] = await storage.schedules.get()
        assert (row.last_result, row.failures, row.gave_up_at) == ("failed", 1, None)

    async def test_one_that_gave_up_starts_again(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        run = await fire_and_claim(storage, worker, await a_due_one(storage))
        await end(storage, worker, run, "failed", most=1)
        [given_up] = await storage.schedules.get()
        assert given_up.gave_up_at is not None
        again = await storage.schedules.put(a_schedule())
        assert (again.gave_up_at, again.failures, again.is_active) == (None, 0, True)
        assert again.after_at > given_up.gave_up_at
        assert again.next_at is not None

    async def test_one_that_is_switched_off_has_no_tick(self, storage: Storage) -> None:
        schedule = await a_due_one(storage)
        assert await storage.schedules.switch(schedule.name, enabled=False)
        [row] = await storage.schedules.get()
        assert (row.enabled, row.next_at) == (False, None)
        assert (await storage.schedules.due(["greet"])).due == []
        assert (await fire(storage, schedule)).names == []
        again = await storage.schedules.put(a_schedule(schedule.name))
        assert (again.enabled, again.next_at) == (False, None)

    async def test_what_passed_while_it_was_off_is_not_made_up_for(self, storage: Storage) -> None:
        schedule = await a_due_one(storage)
        await storage.schedules.switch(schedule.name, enabled=False)
        await storage.schedules.switch(schedule.name, enabled=True)
        [due] = (await storage.schedules.due(["greet"])).due
        assert due.next_at is None
        assert due.after_at > schedule.after_at + DAY / 2
        assert not await storage.schedules.switch("nobody", enabled=True)

    async def test_switching_on_what_gave_up_starts_it(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        run = await fire_and_claim(storage, worker, await a_due_one(storage))
        await end(storage, worker, run, "failed", most=1)
        await storage.schedules.switch("nightly", enabled=True)
        [row] = await storage.schedules.get()
        assert (row.is_active, row.failures) == (True, 0)

    async def test_a_schedule_can_be_removed_and_its_runs_stay(self, storage: Storage) -> None:
        worker = await storage.register(a_worker())
        run = await fire_and_claim(storage, worker, await a_due_one(storage))
        assert await storage.schedules.remove("nightly")
        assert not await storage.schedules.remove("nightly")
        assert await storage.schedules.get(["nightly"]) == []
        await end(storage, worker, run, "failed", most=1)
        assert (await record_of(storage, run.id)).state == "failed"

    async def test_a_run_can_be_asked_for(self, storage: Storage) -> None:
        await storage.schedules.put(a_schedule())
        before = await storage.schedules.get()
        stored = await storage.schedules.run_now("nightly")
        assert stored is not None
        assert stored.state == "available"
        record = await record_of(storage, stored.id)
        assert json.loads(record.extra or "") == {"schedule": {"name": "nightly", "tick": None}}
        assert await storage.schedules.get() == before
        assert await storage.schedules.run_now("nightly") is None
        assert await storage.schedules.run_now("nobody") is None

    async def test_of_many_that_ask_for_a_run_one_gets_it(self, storage: Storage) -> None:
        await storage.schedules.put(a_schedule())
        stored = await together(*(storage.schedules.run_now("nightly") for _ in range(8)))
        assert sorted(one is not None for one in stored) == [False] * 7 + [True]

    async def test_runs_that_are_asked_for_may_overlap_if_allowed(self, storage: Storage) -> None:
        schedule = await a_due_one(storage, overlap="allow")
        assert len((await fire(storage, schedule)).runs) == 1
        assert await storage.schedules.run_now("nightly") is not None
        assert await storage.schedules.run_now("nightly") is not None

    async def test_what_nobody_can_read_is_noted_after_a_minute(self, storage: Storage) -> None:
        await storage.schedules.put(a_schedule("fresh"))
        assert not await storage.schedules.report("fresh", "no such zone")
        await a_due_one(storage)
        assert await storage.schedules.report("nightly", "no such zone")
        assert not await storage.schedules.report("nightly", "no such zone")
        [row] = await storage.schedules.get(["nightly"])
        assert row.problem == "no such zone"
        await fire(storage, row)
        [row] = await storage.schedules.get(["nightly"])
        assert row.problem is None

    async def test_what_nobody_knows_is_noted_after_a_minute(self, storage: Storage) -> None:
        await storage.schedules.put(a_schedule("fresh"))
        await a_due_one(storage)
        report = storage.schedules.report_orphans
        assert await report(["greet"], ["default"]) == []
        assert await report(["other"], ["email"]) == []
        assert await report(["other"], ["default"]) == [("nightly", "greet")]
        assert await report(["other"], ["default"]) == []
        [row] = await storage.schedules.get(["nightly"])
        assert row.problem == "no worker knows the job greet"

    async def test_extras_of_a_later_version_are_refused(self, storage: Storage) -> None:
        schedule = await a_due_one(storage, job=a_job(extras=Extras(tags=("vip",))))
        assert schedule.extras is not None
        assert json.loads(schedule.extras) == {"tags": ["vip"]}
        with pytest.raises(RowRefusedError, match="unknown to this version"):
            run_of("nightly", None, Template("greet", "default", 50, "{}", '{"from_tomorrow": 5}'))

    @pytest.mark.parametrize("extras", ['{"retain": "abc"}', "[]", '{"extra": "[1]"}'])
    async def test_extras_that_cannot_be_read_are_refused(
        self, storage: Storage, extras: str
    ) -> None:
        with pytest.raises(RowRefusedError, match="the extras of a schedule cannot be read"):
            run_of("nightly", None, Template("greet", "default", 50, "{}", extras))
