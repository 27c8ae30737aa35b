"""What can be done to stored jobs: cancel, retry, reschedule and delete one, or many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from asyncjobs.clock import check_wait
from asyncjobs.config import check_flag, check_whole
from asyncjobs.errors import (
    ArgumentError,
    ConfigError,
    JobExistsError,
    StoredArgumentsError,
)
from asyncjobs.filters import MAX_ID, FilterOptions, JobFilter
from asyncjobs.job import lane_of, limit_of
from asyncjobs.types import NewLane
from asyncjobs.unique import UniqueRule

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from asyncjobs.job import Job
    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.admin import Count, Page
    from asyncjobs.storage.maintenance import MaintenanceTask
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import JobRecord, Json


class Control:
    """The part of a scheduler that acts on jobs that are stored.

    Each action takes the id of a job, a `JobFilter`, or the keywords of one, and returns
    whether, or for how many jobs, it came in time. Those of many jobs are taken in batches, of
    which each is done as a whole, newest jobs first; jobs stored meanwhile are not met.
    Raises ConfigError if nothing says which jobs are meant.
    """

    def __init__(self, storage: Storage, registry: JobRegistry) -> None:
        self._storage, self._registry = storage, registry

    async def find(
        self,
        where: JobFilter | None = None,
        /,
        *,
        after: str | None = None,
        limit: int = 100,
        **fields: Unpack[FilterOptions],
    ) -> Page:
        """Return up to *limit* jobs; without anything that says which, of all.

        Available ones alone come in the order in which each queue runs them, scheduled ones
        alone in that of their time, and all others newest first. The next page begins *after*
        what this one says.
        """
        meant = _meant(where, fields, is_everything=True)
        return await self._storage.admin.find(meant, after=after, limit=limit)

    async def count(
        self, where: JobFilter | None = None, /, **fields: Unpack[FilterOptions]
    ) -> Count:
        """Return how many jobs there are: exactly up to 10 000, and otherwise about."""
        return await self._storage.admin.count(_meant(where, fields, is_everything=True))

    async def maintenance(self) -> list[MaintenanceTask]:
        """Return what workers do to keep the storage tidy, by name: when next, and how it went."""
        return await self._storage.maintenance.tasks()

    @overload
    async def cancel(self, job_id: int, /, *, interrupt: bool = True) -> bool: ...

    @overload
    async def cancel(
        self,
        where: JobFilter | None = None,
        /,
        *,
        interrupt: bool = True,
        **fields: Unpack[FilterOptions],
    ) -> int: ...

    async def cancel(
        self,
        which: int | JobFilter | None = None,
        /,
        *,
        interrupt: bool = True,
        **fields: Unpack[FilterOptions],
    ) -> int:
        """Cancel jobs that have not ended; those that have are not counted.

        A waiting job never runs and is kept as `cancelled`. A running one is cancelled where
        it runs, or with *interrupt* false may end, and is not tried again.
        """
        check_flag("interrupt", interrupt)
        if isinstance(which, int):
            number = _check_alone(which, fields)
            return bool(await self._storage.cancel([number], interrupt=interrupt))
        return await self._storage.admin.cancel(_meant(which, fields), interrupt=interrupt)

    @overload
    async def retry(self, job_id: int, /, *, args: Mapping[str, Any] | None = None) -> bool: ...

    @overload
    async def retry(
        self, where: JobFilter | None = None, /, **fields: Unpack[FilterOptions]
    ) -> int: ...

    async def retry(self, which: int | JobFilter | None = None, /, **fields: Any) -> int:
        """Let jobs run now that have ended, or wait for their time.

        One that had ended begins anew: it has all its attempts, and its errors are kept. What
        runs or is available is left as it is. With an id *args* may give it other arguments,
        by name, as Python or JSON has them; then an available one counts too.

        A job whose unique key another one has meanwhile is left as it is; with an id that is
        a JobExistsError. Raises ArgumentError, ConcurrencyKeyError and UnknownJobError for
        *args*.
        """
        if not isinstance(which, int):
            return (await self._storage.admin.retry(_meant(which, fields))).jobs
        args = fields.pop("args", None)
        where = JobFilter(ids=[_check_alone(which, fields)])
        if args is None:
            retried = await self._storage.admin.retry(where)
        else:
            found = await self._storage.get([which])
            if not found:
                return False
            text, key, lane = self._edited(found[0], args)
            if lane and lane.name and not found[0].lane:  # else who stored it declared it
                limit = limit_of(self._registry[found[0].name])
                await self._storage.limits.declare([limit])
            retried = await self._storage.admin.retry(where, args=text, unique_key=key, lane=lane)
        if retried.held_by is not None:
            [record] = await self._storage.get([which])
            raise JobExistsError(record.name, retried.held_by)
        return bool(retried.jobs)

    @overload
    async def reschedule(
        self,
        job_id: int,
        /,
        *,
        wait: float | timedelta | None = None,
        wait_until: datetime | None = None,
    ) -> bool: ...

    @overload
    async def reschedule(
        self,
        where: JobFilter | None = None,
        /,
        *,
        wait: float | timedelta | None = None,
        wait_until: datetime | None = None,
        **fields: Unpack[FilterOptions],
    ) -> int: ...

    async def reschedule(
        self,
        which: int | JobFilter | None = None,
        /,
        *,
        wait: float | timedelta | None = None,
        wait_until: datetime | None = None,
        **fields: Unpack[FilterOptions],
    ) -> int:
        """Set the time of jobs that wait for theirs, or for a worker.

        Raises WaitError, also for neither *wait* nor *wait_until*.
        """
        seconds, moment = check_wait(wait, wait_until, is_required=True)
        where = _one_or_many(which, fields)
        count = await self._storage.admin.reschedule(where, wait=seconds, wait_until=moment)
        return bool(count) if isinstance(which, int) else count

    @overload
    async def delete(self, job_id: int, /) -> bool: ...

    @overload
    async def delete(
        self, where: JobFilter | None = None, /, **fields: Unpack[FilterOptions]
    ) -> int: ...

    async def delete(
        self, which: int | JobFilter | None = None, /, **fields: Unpack[FilterOptions]
    ) -> int:
        """Remove jobs that do not run. Cancel one that does first, and wait until it has ended."""
        count = await self._storage.admin.delete(_one_or_many(which, fields))
        return bool(count) if isinstance(which, int) else count

    def _edited(
        self, record: JobRecord, args: Mapping[str, Any]
    ) -> tuple[Json, str | None, NewLane | None]:
        # What was made of the old arguments is made anew; what somebody chose stays.
        job = self._registry[record.name]
        text = _encoded(job, args)
        return text, _unique_key(job, record, text), _lane(job, record, text)


def _unique_key(job: Job[..., Any], record: JobRecord, text: Json) -> str | None:
    defaults = job.codec.stored_defaults
    for rule in (UniqueRule(by=True), job.unique):
        if rule is None or not rule.by or isinstance(rule.by, str):
            continue
        if rule.key(job.name, record.args, defaults) == record.unique_key:
            return rule.key(job.name, text, defaults)
    return None


def _lane(job: Job[..., Any], record: JobRecord, text: Json) -> NewLane | None:
    if job.key is None:
        return None
    try:
        before = lane_of(job, record.args)
    except Exception:  # noqa: BLE001 - the user's code checks what is stored, perhaps no more
        return None
    lane = lane_of(job, text)
    # Also if it is the same: somebody else may have edited the job meanwhile.
    if before != record.lane:
        return None
    return NewLane(lane, is_strict=lane is not None and job.options.strict_order)


def _encoded(job: Job[..., Any], args: Mapping[str, Any]) -> Json:
    if not isinstance(args, Mapping) or not all(isinstance(name, str) for name in args):
        raise ArgumentError(job.name, f"args must be the arguments by name, got {args!r}")
    try:
        return job.codec.encode((), args)
    except ArgumentError as error:
        try:  # as JSON has them: a moment or an enum as text
            stored = job.codec.decode(json.dumps(dict(args)))
        except (StoredArgumentsError, TypeError, ValueError, RecursionError):
            raise error from None
        return job.codec.encode((), stored)


def _one_or_many(which: int | JobFilter | None, fields: Mapping[str, Any]) -> JobFilter:
    if isinstance(which, int):
        return JobFilter(ids=[_check_alone(which, fields)])
    return _meant(which, fields)


def _meant(
    where: JobFilter | None, fields: Mapping[str, Any], *, is_everything: bool = False
) -> JobFilter:
    if where is not None:
        if not isinstance(where, JobFilter):
            raise ConfigError(f"which jobs: an id, a JobFilter, or its keywords, got {where!r}")
        _check_alone(0, fields)
        return where
    meant = JobFilter(**fields)
    if meant.is_everything and not is_everything:
        raise ConfigError(
            'say which jobs are meant, as in state="failed"; JobFilter() means all of them'
        )
    return meant


def _check_alone(job_id: int, fields: Mapping[str, Any]) -> int:
    check_whole("job_id", job_id, -MAX_ID - 1, MAX_ID)
    if fields:
        raise ConfigError(f"give an id, a JobFilter or keywords, not also {', '.join(fields)}")
    return job_id
