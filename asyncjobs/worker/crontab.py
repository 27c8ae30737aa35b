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

import anyio

from asyncjobs.errors import KeyInDoubtError, NotMigratedError, StorageError
from asyncjobs.schedule_types import NewSchedule
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.firing import Firing
from asyncjobs.worker.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.placing import Placer
    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.protocol import Storage

REVIEW = 30.0
"""Seconds between two declarations: so long after the last worker of an old version has gone
its schedules retire."""
SUSPECTED = 60.0
"""Seconds after which the failure of a run has been recorded, if it ever is."""
SOON = 1.0
"""Seconds until declarations are tried again that another transaction holds up."""


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
        self._firing = Firing(storage.schedules, log)
        self._turn = anyio.Lock()
        self._review_at = 0.0
        self._suspects: dict[str, float] = {}
        self._is_there = True
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
            self._review_at = time.monotonic() + SOON
            self.expect(SOON)
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
        async with self._turn:
            due = await self._storage.schedules.due(self._jobs())
            runs, next_in = await self._firing.fire(due)
        if next_in is not None:
            self.expect(next_in)
        return runs

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
