"""Makes the runs of schedules that are due. One that cannot have its run holds up no other.

What is due is carried out in one transaction. If the database refuses a run, or another's open
transaction has its unique key, that is tried in halves, until it is known whom it is about.
Those are tried apart from then on. Only unique runs may have to wait for anybody, so all others
go first, and the search goes on at the next look when it has taken its turn.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import KeyInDoubtError, RowRefusedError
from asyncjobs.recurrence import plan
from asyncjobs.worker.troubles import IN_DOUBT, REFUSED, Troubles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.schedule_types import DueSchedules, Plan
    from asyncjobs.storage.schedules import ScheduleStorage

LEAST = 0.001
"""Seconds between two looks: the database's clock may be a little behind the timer."""
AGAIN, AT_MOST = 0.02, 1.0
"""Seconds until a schedule is looked at again that somebody else had locked; doubling."""
TURN = 0.1
"""Seconds for what may have to wait, until it is seen what else is due."""


class Firing:
    """Carries out what is due in *schedules*, one call at a time."""

    def __init__(self, schedules: ScheduleStorage, log: Any) -> None:
        self._schedules, self._log = schedules, log
        self._told: set[tuple[str, str]] = set()
        self._troubles = Troubles(log)
        self._parts: list[list[str]] = []
        """Halves of what failed together, still to be tried."""
        self._again = AGAIN
        self._runs, self._is_behind = 0, False
        self._fired: set[str] = set()
        """Of one call of `fire`: runs, whether somebody had locked a schedule, and the others."""

    async def fire(self, due: DueSchedules) -> tuple[int, float | None]:
        """Make the runs of *due*.

        Returns how many that made, and the seconds until the next look; None if nothing is to
        come. Raises StorageError.
        """
        looked_at = time.monotonic()
        self._runs, self._is_behind, self._fired = 0, False, set()
        plans = await self._plans(due)
        unique = {one.name for one in due.due if one.is_unique}
        self._troubles.keep(plans)
        await self._fire_plain({name: one for name, one in plans.items() if name not in unique})
        await self._fire_unique({name: one for name, one in plans.items() if name in unique})
        await self._fire_troubled(plans)
        waits = [(plans[name].next_at - due.now).total_seconds() for name in self._fired]
        if due.next_in is not None and (self._fired or due.next_in > 0):
            waits.append(due.next_in)
        return self._runs, self._next_in([wait - time.monotonic() + looked_at for wait in waits])

    def _next_in(self, waits: list[float]) -> float | None:
        if self._parts:
            waits.append(0.0)
        if (next_try := self._troubles.next_in()) is not None:
            waits.append(next_try)
        if self._is_behind:
            waits.append(self._again)
            self._again = min(self._again * 2, AT_MOST)
        else:
            self._again = AGAIN
        return max(min(waits), LEAST) if waits else None

    async def _plans(self, due: DueSchedules) -> dict[str, Plan]:
        plans = {}
        for schedule in due.due:
            try:
                plans[schedule.name] = plan(schedule, due.now)
            except (TypeError, ValueError, OverflowError) as error:
                # Somebody wrote it into the row.
                await self._report(schedule.name, str(error))
        return plans

    async def _fire_plain(self, plans: dict[str, Plan]) -> None:
        await self._search([[name for name in plans if name not in self._troubles]], plans)

    async def _fire_unique(self, plans: dict[str, Plan]) -> None:
        parts = [[name for name in part if name in plans] for part in self._parts]
        known = {name for part in parts for name in part}
        parts.append([one for one in plans if one not in known and one not in self._troubles])
        self._parts = await self._search(parts, plans, until=time.monotonic() + TURN)

    async def _search(
        self, parts: list[list[str]], plans: dict[str, Plan], *, until: float = math.inf
    ) -> list[list[str]]:
        """Carry out *parts* of *plans*, the last one first, and the halves of those that fail.

        Returns what is left at the moment *until*. One is tried in any case, so that there is
        an end to it.
        """
        left = [part for part in parts if part]
        while left:
            part = left.pop()
            if not await self._try([plans[name] for name in part]):
                middle = len(part) // 2
                left += [part[middle:], part[:middle]]
            if time.monotonic() >= until:
                break
        return left

    async def _fire_troubled(self, plans: dict[str, Plan]) -> None:
        began, until = time.monotonic(), time.monotonic() + TURN
        spent = 0.0
        for name in self._troubles.due():
            await self._try([plans[name]])
            if name in self._fired:
                self._troubles.settle(name)
            else:
                spent += time.monotonic() - began
            began = time.monotonic()
            if began >= until:
                break
        if spent:
            self._troubles.rest(spent)

    async def _try(self, part: Sequence[Plan]) -> bool:
        """Carry out *part*, or note why one alone cannot be; False if several cannot."""
        try:
            fired = await self._schedules.advance(part)
        except (RowRefusedError, KeyInDoubtError) as error:
            if len(part) > 1:
                return False
            if isinstance(error, RowRefusedError):
                self._troubles.add(part[0].name, REFUSED)
                await self._report(part[0].name, error.problem)
            else:
                self._troubles.add(part[0].name, IN_DOUBT)
            return True
        for name, tick, job in fired.runs:
            self._log.debug("schedule.fired", schedule=name, tick=tick.isoformat(), id=job.id)
        self._runs += len(fired.runs)
        self._fired.update(fired.names)
        for locked in {one.name for one in part}.difference(fired.names):
            self._troubles.put_off(locked)
            self._is_behind = True
        return True

    async def _report(self, name: str, problem: str) -> None:
        if (name, problem) not in self._told:
            self._told.add((name, problem))
            self._log.error("schedule.unreadable", schedule=name, error=problem)
        await self._schedules.report(name, problem)
