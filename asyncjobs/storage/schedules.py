"""What a storage adapter does about schedules; its attribute `schedules`.

The rules of `asyncjobs.storage.protocol` hold here too. Only ticks are not the storage's own:
it is told them by plans, each made for a schedule as it was looked at, and carries out a plan
exactly if the schedule is still as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.schedule_types import (
        DueSchedules,
        Fired,
        Lateness,
        NewSchedule,
        Plan,
        Schedule,
        Standing,
    )
    from asyncjobs.types import StoredJob


class ScheduleStorage(Protocol):
    """Where schedules are kept. See the module for the rules.

    A change of a schedule is told to listeners. One whose `next_at` is lost thereby, or that
    runs again after it did not, is due at once, to be planned; its ticks up to then are past.
    """

    async def put(self, schedule: NewSchedule, *, connection: object | None = None) -> Schedule:
        """Store *schedule*, or put it in place of the one of its name, and return it, planned.

        One that gave up or retired starts again; one that was switched off stays so. If it
        recurs as before, its ticks go on as before. With *connection* all this happens when
        its transaction commits.
        """
        ...

    async def declare(
        self, worker: int, schedules: Sequence[NewSchedule], queues: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Store what the code of *worker* declares, and retire what no worker's code does.

        A definition that came later than all others that living workers declare counts; one
        that is not new starts nothing that gave up. Of the schedules that were declared, those
        in *queues* retire. Returns the names that were changed and those that retired. Does
        nothing for a worker that was declared dead.
        """
        ...

    async def due(self, jobs: Sequence[str]) -> DueSchedules:
        """Return the active schedules of *jobs* that have a tick or are to be planned."""
        ...

    async def advance(self, plans: Sequence[Plan]) -> Fired:
        """Carry out *plans*, and store the runs they make, all in one step.

        A tick that has a run makes no other; a schedule with overlap "skip" makes none while
        one of its runs has not ended. Raises RowRefusedError if a run cannot be stored.
        """
        ...

    async def get(self, names: Sequence[str] | None = None) -> list[Schedule]:
        """Return the schedules of *names* that exist, or all, by name."""
        ...

    async def find(
        self,
        *,
        after: str | None = None,
        containing: str | None = None,
        standing: Standing | None = None,
        limit: int = 100,
    ) -> list[Schedule]:
        """Return up to *limit* schedules by name, behind the name *after*.

        Those with *containing* in their name or in that of their job, whatever the case.
        """
        ...

    async def counts(self) -> dict[Standing, int]:
        """Return how many schedules there are by how they stand, where there are any."""
        ...

    async def lateness(self) -> Lateness:
        """Return how late those are that should run."""
        ...

    async def switch(self, name: str, *, enabled: bool) -> bool:
        """Switch a schedule on or off, and return whether there is one.

        One that gave up starts again when it is switched on.
        """
        ...

    async def remove(self, name: str) -> bool:
        """Remove a schedule but not its runs, and return whether there was one."""
        ...

    async def run_now(self, name: str) -> StoredJob | None:
        """Store a run of a schedule that is for no tick, whether it is active or not.

        None if there is no such schedule; or if its overlap is "skip" and a run of it has not
        ended.
        """
        ...

    async def report(self, name: str, problem: str) -> bool:
        """Note that a schedule cannot be read, if nobody could for a minute; say if it is news."""
        ...

    async def report_orphans(
        self, jobs: Sequence[str], queues: Sequence[str]
    ) -> list[tuple[str, str]]:
        """Note which schedules of *queues* nobody ran for a minute and *jobs* does not have.

        Returns name and job of those that are news.
        """
        ...
