"""Fires schedules at their ticks.

Every worker has a timer set to the next tick of all schedules. Whoever is first moves the
schedule behind the tick and stores the run, in one transaction; to the others it is not due
any more. So there is no leader that could be lost, and while one worker lives, all tick.

A worker looks at the schedules of jobs that it knows. Those of others are left to workers of
another version or application, whose own catch_up decides when they come.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import (
    KeyInDoubtError,
    NotMigratedError,
    RowRefusedError,
    StorageError,
)
from asyncjobs.recurrence import plan
from asyncjobs.schedule_types import Fired, NewSchedule
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.placing import Placer
    from asyncjobs.registry import JobRegistry
    from asyncjobs.schedule_types import DueSchedules, Plan
    from asyncjobs.storage.protocol import Storage

REVIEW = 30.0
"""Seconds between two declarations: so long after the last worker of an old version has gone
its schedules retire."""
LEAST = 0.001
"""Seconds between two looks: the database's clock may be a little behind the timer."""
SUSPECTED = 60.0
"""Seconds after which the failure of a run has been recorded, if it ever is."""
AGAIN, AT_MOST = 0.02, 1.0
"""Seconds until a schedule is looked at again that somebody else had locked, or whose run's
unique key somebody has; doubling."""


class Crontab:
    """The timer of one worker. With *declares*, which makes their rows, it stores what the
    registry's jobs declare; *queues* are all of the application."""

    def __init__(
        self,
        storage: Storage,
        registry: JobRegistry,
        queues: Sequence[str],
        interval: float,
        log: Any,
        *,
        declares: Placer | None,
    ) -> None:
        self._storage, self._registry, self._queues = storage, registry, queues
        self._interval, self._log, self._declares = interval, log, declares
        self._worker = 0
        self._timer = Timer()
        self._review_at = 0.0
        self._suspects: dict[str, float] = {}
        self._again = AGAIN
        self._is_there = True
        self._told: set[tuple[str, str]] = set()
        self.expect = self._timer.expect

    def begin(self, worker: int) -> None:
        """Declare for the registration *worker* from now on."""
        self._worker = worker
        self._review_at = 0.0
        self.expect(0)

    def suspect(self, schedule: str) -> None:
        """See to it that somebody is told if *schedule* gave up: a run of it has failed."""
        self._suspects[schedule] = time.monotonic() + SUSPECTED

    async def run(self) -> None:
        """Fire until cancelled."""
        delays = growing_delays()
        while self._is_there:
            await self._timer.sleep()
            self._timer.reset(self._interval)
            try:
                await self.look()
                delays = growing_delays()
            except StorageError as error:
                self._log.warning("schedules.delayed", error=str(error))
                self.expect(next(delays))

    async def look(self) -> int:
        """Fire what is due and return how many runs that made. Raises StorageError."""
        if not self._is_there:
            return 0
        try:
            if time.monotonic() >= self._review_at:
                await self._review()
            runs = await self._fire()
            if self._suspects:
                await self._tell_who_gave_up()
        except NotMigratedError as error:  # until a restart after the migration
            self._is_there = False
            self._log.warning("schedules.unavailable", error=str(error))
            return 0
        return runs

    async def _review(self) -> None:
        try:
            await self._declare()
        except KeyInDoubtError as error:  # what holds already ticks meanwhile
            self._log.warning("schedules.delayed", error=str(error))
            self._review_at = time.monotonic() + AT_MOST
            self.expect(AT_MOST)
            return
        for name, job in await self._storage.schedules.report_orphans(self._jobs(), self._queues):
            self._log.error("schedule.orphaned", schedule=name, job=job)
        self._review_at = time.monotonic() + REVIEW

    async def _declare(self) -> None:
        schedules = self._storage.schedules
        if self._declares:
            declared = declarations(self._registry, self._declares)
            if self._declares.limiter.undeclared:
                rows = [schedule.job for schedule in declared]
                await self._declares.limiter.declare(self._storage.limits, rows)
            changed, retired = await schedules.declare(self._worker, declared, self._queues)
            for name in changed:
                self._log.info("schedule.declared", schedule=name)
            for name in retired:
                self._log.info("schedule.retired", schedule=name)

    async def _fire(self) -> int:
        due = await self._storage.schedules.due(self._jobs())
        looked_at = time.monotonic()
        plans = await self._plans(due)
        runs = await self._advance(plans)
        waits = [(one.next_at - due.now).total_seconds() for one in plans]
        if due.next_in is not None and (plans or due.next_in > 0):
            waits.append(due.next_in)
        if waits:
            self.expect(max(min(waits) - (time.monotonic() - looked_at), LEAST))
        return runs

    async def _plans(self, due: DueSchedules) -> list[Plan]:
        plans = []
        for schedule in due.due:
            try:
                plans.append(plan(schedule, due.now))
            except (TypeError, ValueError, OverflowError) as error:
                # Somebody wrote it into the row.
                await self._report(schedule.name, str(error))
        return plans

    async def _advance(self, plans: Sequence[Plan]) -> int:
        try:
            fired = Fired([], []) if not plans else await self._storage.schedules.advance(plans)
        except (RowRefusedError, KeyInDoubtError) as error:
            # One that the database refuses, or whose key is another transaction's, holds up no
            # other.
            if len(plans) == 1:
                if isinstance(error, RowRefusedError):
                    await self._report(plans[0].name, error.problem)
                else:
                    self._look_again()
                return 0
            middle = len(plans) // 2
            return await self._advance(plans[:middle]) + await self._advance(plans[middle:])
        for name, tick, job in fired.runs:
            self._log.debug("schedule.fired", schedule=name, tick=tick.isoformat(), id=job.id)
        if len(fired.names) == len(plans):
            self._again = AGAIN
        else:
            self._look_again()
        return len(fired.runs)

    def _look_again(self) -> None:
        self.expect(self._again)
        self._again = min(self._again * 2, AT_MOST)

    async def _report(self, name: str, problem: str) -> None:
        if (name, problem) not in self._told:
            self._told.add((name, problem))
            self._log.error("schedule.unreadable", schedule=name, error=problem)
        await self._storage.schedules.report(name, problem)

    async def _tell_who_gave_up(self) -> None:
        for schedule in await self._storage.schedules.get(list(self._suspects)):
            if schedule.gave_up_at is not None:
                del self._suspects[schedule.name]
                self._log.error(
                    "schedule.gave_up", schedule=schedule.name, failures=schedule.failures
                )
        now = time.monotonic()
        self._suspects = {name: until for name, until in self._suspects.items() if until > now}

    def _jobs(self) -> list[str]:
        return [job.name for job in self._registry]


def declarations(registry: JobRegistry, placer: Placer) -> list[NewSchedule]:
    """Return the schedules that the jobs of *registry* declare."""
    return [
        NewSchedule(job.name, placer.recurring(job), recurrence)
        for job in registry
        if (recurrence := job.options.recurrence) is not None
    ]
