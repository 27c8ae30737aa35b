"""The storage of tests: in memory, always open, and beside any connection."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from asyncjobs.storage.memory import MemoryAdapter
from asyncjobs.types import JobRecord, JobState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from asyncjobs.testing.clock import MovableClock
    from asyncjobs.types import NewJob, StoredJob

WAITING = (JobState.AVAILABLE.value, JobState.SCHEDULED.value, JobState.WAITING.value)


class TestStorage(MemoryAdapter):
    """A MemoryAdapter that takes ``connection=`` and needs no opening.

    A job that is stored with a connection is there at once, as if its transaction had
    committed: what a rollback does is for tests with PostgreSQL.
    """

    __test__ = False  # to pytest, which takes the name for a class of tests

    def __init__(self, clock: MovableClock) -> None:
        super().__init__(clock=clock)
        self.clock = clock
        self.schedules.takes_connections = True

    async def enqueue(
        self, jobs: Sequence[NewJob], *, connection: object | None = None
    ) -> list[StoredJob]:
        """Store *jobs*, whatever the *connection*."""
        return await super().enqueue(jobs)

    def _check_open(self) -> None:
        pass

    async def waiting(self) -> list[JobRecord]:
        """Return the jobs that have not been run, by id."""
        return [record for record in await self.get(sorted(self._rows)) if record.state in WAITING]

    async def next_at(self, worked: Collection[str]) -> datetime | None:
        """Return when the next job of the queues *worked* may run.

        None if none will, as while all are paused.
        """
        paused = {pause.lane for pause in await self.limits.pauses()}
        waiting = [record for record in await self.waiting() if record.queue in worked]
        lanes = {record.waits_in for record in waiting if record.waits_in is not None}
        admission = await self.limits.admit(sorted(lanes), 1)
        moments = [
            record.run_at
            for record in waiting
            if record.waits_in is None and f"queue:{record.queue}" not in paused
        ]
        waits = [0.0] if admission.jobs else list(admission.later.values())
        return min([*moments, *(self.clock() + timedelta(seconds=w) for w in waits)], default=None)
