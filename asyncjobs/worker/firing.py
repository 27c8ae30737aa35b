"""Makes the runs of schedules that are due. One that cannot have its run holds up no other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import KeyInDoubtError, RowRefusedError
from asyncjobs.recurrence import plan
from asyncjobs.worker.doubts import Doubts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.schedule_types import DueSchedules, Fired, Plan
    from asyncjobs.storage.schedules import ScheduleStorage

LEAST = 0.001
"""Seconds between two looks: the database's clock may be a little behind the timer."""
AGAIN, AT_MOST = 0.02, 1.0
"""Seconds until a schedule is looked at again that somebody else had locked; doubling."""
TURN = 0.1
"""Seconds for finding out which keys are in doubt, until it is seen what else is due."""


class Firing:
    """Carries out what is due in *schedules*."""

    def __init__(self, schedules: ScheduleStorage, log: Any) -> None:
        self._schedules, self._log = schedules, log
        self._told: set[tuple[str, str]] = set()
        self._doubts = Doubts(log)
        self._again = AGAIN
        self._runs, self._fired, self._is_behind = 0, 0, False
        """Of one call of `fire`: runs, schedules, and whether somebody had locked one."""

    async def fire(self, due: DueSchedules) -> tuple[int, float | None]:
        """Make the runs of *due*.

        Returns how many that made, and the seconds until the next look; None if nothing is to
        come. Raises StorageError.
        """
        looked_at = time.monotonic()
        self._runs, self._fired, self._is_behind = 0, 0, False
        plans = await self._plans(due)
        unique = {one.name for one in due.due if one.is_unique}
        await self._advance([one for one in plans if one.name not in unique])
        untried = await self._advance_unique([one for one in plans if one.name in unique])

        waits = [(one.next_at - due.now).total_seconds() for one in plans]
        if due.next_in is not None and (self._fired or due.next_in > 0):
            waits.append(due.next_in)
        waits = [wait - (time.monotonic() - looked_at) for wait in waits]
        if untried:
            waits.append(0.0)
        if (next_try := self._doubts.next_in()) is not None:
            waits.append(next_try)
        if self._is_behind:
            waits.append(self._again)
            self._again = min(self._again * 2, AT_MOST)
        else:
            self._again = AGAIN
        return self._runs, max(min(waits), LEAST) if waits else None

    async def _plans(self, due: DueSchedules) -> list[Plan]:
        plans = []
        for schedule in due.due:
            try:
                plans.append(plan(schedule, due.now))
            except (TypeError, ValueError, OverflowError) as error:
                # Somebody wrote it into the row.
                await self._report(schedule.name, str(error))
        return plans

    async def _advance_unique(self, plans: Sequence[Plan]) -> bool:
        """Advance those of *plans* whose keys are not in doubt, and one of the others.

        Returns whether there was no time for all.
        """
        by_name = {one.name: one for one in plans}
        self._doubts.keep(by_name)
        picked = self._doubts.pick()
        certain = [one for one in plans if one.name not in self._doubts]
        untried = await self._advance(certain, until=time.monotonic() + TURN)
        if picked is not None:
            before = self._fired
            await self._advance([by_name[picked]])
            if self._fired > before:
                self._doubts.clear()
                return True
        return untried

    async def _advance(self, plans: Sequence[Plan], *, until: float | None = None) -> bool:
        """Carry out *plans*; with something at least, and after the moment *until* with no more.

        Returns whether there was no time for all.
        """
        parts, is_split = [plans] if plans else [], True
        while parts and (until is None or is_split or time.monotonic() < until):
            part = parts.pop()
            try:
                fired = await self._schedules.advance(part)
            except (RowRefusedError, KeyInDoubtError) as error:
                middle = len(part) // 2
                if is_split := middle > 0:
                    parts += [part[middle:], part[:middle]]
                elif isinstance(error, RowRefusedError):
                    self._doubts.drop(part[0].name)
                    await self._report(part[0].name, error.problem)
                else:
                    self._doubts.add(part[0].name)
            else:
                is_split = False
                self._note(fired, len(part))
        return bool(parts)

    def _note(self, fired: Fired, planned: int) -> None:
        for name, tick, job in fired.runs:
            self._log.debug("schedule.fired", schedule=name, tick=tick.isoformat(), id=job.id)
        self._runs += len(fired.runs)
        self._fired += len(fired.names)
        self._is_behind |= len(fired.names) < planned

    async def _report(self, name: str, problem: str) -> None:
        if (name, problem) not in self._told:
            self._told.add((name, problem))
            self._log.error("schedule.unreadable", schedule=name, error=problem)
        await self._schedules.report(name, problem)
