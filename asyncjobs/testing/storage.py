"""The storage of tests: in memory, always open, and beside any connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.storage.memory import MemoryAdapter
from asyncjobs.types import JobRecord, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.testing.clock import MovableClock
    from asyncjobs.types import NewJob, StoredJob

WAITING = (JobState.AVAILABLE.value, JobState.SCHEDULED.value)


class TestStorage(MemoryAdapter):
    """A MemoryAdapter that takes ``connection=`` and needs no opening.

    A job that is stored with a connection is there at once, as if its transaction had
    committed: what a rollback does is for tests with PostgreSQL.
    """

    __test__ = False  # to pytest, which takes the name for a class of tests

    def __init__(self, clock: MovableClock) -> None:
        super().__init__(clock=clock)
        self.clock = clock
        self.stored: list[int] = []
        """The ids of all jobs that were ever stored, in their order."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, connection: object | None = None
    ) -> list[StoredJob]:
        """Store *jobs*, whatever the *connection*."""
        await self.open()
        try:
            found = await super().enqueue(jobs)
        finally:
            await self.close()
        self.stored += [job.id for job in found]
        return found

    async def waiting(self) -> list[JobRecord]:
        """Return the jobs that have not been run, by id."""
        return [record for record in await self.get(self.stored) if record.state in WAITING]
