"""`later.schedules`: what makes jobs recur, to store, look at, switch and remove."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ArgumentError, RecurrenceError, RowRefusedError, UnknownScheduleError
from asyncjobs.options import LaterOptions
from asyncjobs.recurrence import RecurrenceOptions, recurrence_of
from asyncjobs.schedule_types import NewSchedule
from asyncjobs.scheduled import ScheduledJob
from asyncjobs.storage.schedule_records import Template, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncjobs.job import Job
    from asyncjobs.registry import JobRegistry
    from asyncjobs.schedule_types import Schedule
    from asyncjobs.scheduled import Watching
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import NewJob

MAX_NAME = 200
"""Characters."""


class RecurringOptions(RecurrenceOptions, LaterOptions, total=False):
    """The options of `later` for a job that is to recur. *wait* and *wait_until* are none."""

    name: str | None
    """The schedule's name; the job's without one. Another of that name is replaced."""


OWN_OPTIONS = frozenset((*RecurrenceOptions.__annotations__, "name"))
SURROGATES = re.compile("[\ud800-\udfff]")
"""What UTF-8 cannot hold."""


class Schedules:
    """The schedules of one adapter."""

    def __init__(self, storage: Storage, watch: Watching, registry: JobRegistry) -> None:
        self._storage, self._watch, self._registry = storage, watch, registry

    async def list(self) -> list[Schedule]:
        """Return all schedules, by name, also those that do not run."""
        return await self._storage.schedules.get()

    async def get(self, name: str, /) -> Schedule | None:
        """Return a schedule; None if there is none of that *name*.

        Raises RecurrenceError for what no database takes for a name, as the others do.
        """
        found = await self._storage.schedules.get([_told(name)])
        return found[0] if found else None

    async def enable(self, name: str, /) -> Schedule:
        """Switch a schedule on and return it. Ticks that passed meanwhile are not made up for.

        One that gave up starts again. One that retired does so when the code declares it
        again, or `later` is given it. Raises UnknownScheduleError.
        """
        return await self._switch(name, enabled=True)

    async def disable(self, name: str, /) -> Schedule:
        """Switch a schedule off and return it; a run that it has made goes on.

        Deploys leave it off. Raises UnknownScheduleError.
        """
        return await self._switch(name, enabled=False)

    async def remove(self, name: str, /) -> bool:
        """Remove a schedule and return whether there was one; a run that it has made goes on.

        Raises RecurrenceError if the code declares it: the next worker would store it again.
        """
        found = await self.get(name)
        if found is not None and found.declared is not None and found.retired_at is None:
            raise RecurrenceError(
                f"the schedule {name!r} is declared in the code: remove it there, or disable it"
            )
        return await self._storage.schedules.remove(name)

    async def run_now(self, name: str, /) -> ScheduledJob[Any] | None:
        """Store a run of a schedule beside its ticks, also of one that is off, and return it.

        None if its overlap is "skip" and a run has not ended. If its runs are unique and an equal
        job exists, that one is returned, and `is_new` is false. Raises UnknownScheduleError.
        """
        stored = await self._storage.schedules.run_now(_told(name))
        schedule = await self._known(name)
        if stored is None:
            return None
        template = Template(
            schedule.job, schedule.queue, schedule.priority, schedule.args, schedule.extras
        )
        job = self._registry.get(schedule.job)
        returns = None if job is None else job.returns
        return ScheduledJob(run_of(name, None, template), stored, self._watch, returns)

    async def put(self, job: Job[..., Any], row: NewJob, options: Mapping[str, Any]) -> Schedule:
        """Store that *row*, a call of *job*, recurs as *options* say; what `later` does."""
        recurrence = recurrence_of(options)
        if recurrence is None:
            raise RecurrenceError("a name is that of a schedule: give cron or every with it")
        if row.wait is not None or row.wait_until is not None:
            raise RecurrenceError(
                "wait and wait_until are for one run, not for cron or every; "
                "every takes starting_at"
            )
        if row.extras is not None and row.extras.expires_at is not None:
            raise RecurrenceError("with cron or every, expires is seconds or a timedelta")
        name = _check_name(job.name if options.get("name") is None else options["name"])
        declares = self._registry.get(name)
        if declares is not None and declares.options.recurrence is not None:
            raise RecurrenceError(
                f"the job {name!r} declares a schedule of that name; give this one another name="
            )
        try:
            return await self._storage.schedules.put(
                NewSchedule(name, row, recurrence), connection=options.get("connection")
            )
        except RowRefusedError as error:
            raise ArgumentError(job.name, error.problem) from error

    async def _switch(self, name: str, *, enabled: bool) -> Schedule:
        await self._storage.schedules.switch(_told(name), enabled=enabled)
        return await self._known(name)

    async def _known(self, name: str) -> Schedule:
        found = await self.get(name)
        if found is None:
            raise UnknownScheduleError(name, [known.name for known in await self.list()])
        return found


def _told(name: object) -> str:
    # Somebody may have written another one into the table than `_check_name` takes.
    if isinstance(name, str) and "\0" not in name and not SURROGATES.search(name):
        return name
    return _check_name(name)


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise RecurrenceError(
            f"the name of a schedule has 1 to {MAX_NAME} printable characters, got {name!r}"
        )
    return name
