"""Schedules to try, and the steps that their tests are made of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from asyncjobs.schedule_types import NewSchedule, Plan, Recurrence
from asyncjobs.testing.contract.steps import a_job
from asyncjobs.types import Outcome, RunOf

if TYPE_CHECKING:
    from asyncjobs.schedule_types import Fired, Schedule
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob, NewJob

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def a_schedule(
    name: str = "nightly",
    *,
    job: NewJob | None = None,
    every: float | None = None,
    starting_at: datetime | None = None,
    catch_up: Any = "once",
    overlap: Any = "skip",
) -> NewSchedule:
    """Return a schedule to store: each hour, or *every* so many seconds."""
    cron = "0 * * * *" if every is None else None
    distance = None if every is None else timedelta(seconds=every)
    when = Recurrence(cron, distance, starting_at, "UTC", catch_up, overlap)
    return NewSchedule(name, a_job() if job is None else job, when)


async def a_due_one(storage: Storage, name: str = "nightly", **options: Any) -> Schedule:
    """Store a schedule that has not been looked at for a day, and return it."""
    stored = await storage.schedules.put(a_schedule(name, **options))
    long_ago = stored.after_at - DAY
    plan = Plan(name, stored.after_at, [], None, long_ago, long_ago + MINUTE)
    assert (await storage.schedules.advance([plan])).names == [name]
    [schedule] = await storage.schedules.get([name])
    return schedule


def planned(schedule: Schedule, *ticks: datetime) -> Plan:
    """Return the plan to run *ticks* and go on a minute later."""
    covered = ticks[-1] + MINUTE
    return Plan(schedule.name, schedule.after_at, ticks, None, covered, covered + MINUTE)


async def fire(storage: Storage, schedule: Schedule, *ticks: datetime) -> Fired:
    """Run *ticks* of *schedule*, or one."""
    ticks = ticks or (schedule.after_at + MINUTE,)
    return await storage.schedules.advance([planned(schedule, *ticks)])


async def fire_and_claim(storage: Storage, worker: int, schedule: Schedule) -> ClaimedJob:
    """Run one tick of *schedule* and let *worker* claim the run."""
    [(_, _, stored)] = (await fire(storage, schedule)).runs
    [run] = await storage.claim(worker, ["default"], 5)
    assert run.id == stored.id
    return run


async def end(
    storage: Storage, worker: int, run: ClaimedJob, state: Any, *, most: int, delete: bool = False
) -> None:
    """Record how a run ended."""
    outcome = Outcome(run.id, run.attempt, state, delete=delete, run=RunOf("nightly", most))
    assert await storage.finish(worker, [outcome]) == [run.id]


async def declare(
    storage: Storage, worker: int, *schedules: NewSchedule
) -> tuple[list[str], list[str]]:
    """Let the code of *worker* declare *schedules*."""
    return await storage.schedules.declare(worker, schedules, ["default"])
