"""Whatever changes something: the pages and the API do it here, where it is logged with who."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from starlette.exceptions import HTTPException

from asyncjobs.errors import (
    ArgumentError,
    AsyncJobsError,
    ConcurrencyKeyError,
    UnknownWorkerError,
)
from asyncjobs.glance.redaction import without_hidden
from asyncjobs.limits import check_limits, make_limit
from asyncjobs.types import JobState, Limit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from asyncjobs.auth import Identity
    from asyncjobs.dashboard.desk import Desk
    from asyncjobs.filters import JobFilter
    from asyncjobs.limits import RateLimit
    from asyncjobs.storage.admin import Count
    from asyncjobs.storage.overview import WorkerStatus
    from asyncjobs.types import JobRecord, KnownLimit


class Kind(NamedTuple):
    """Something that can be done to jobs."""

    verb: str
    done: str
    """As in "3 jobs were retried"."""
    states: frozenset[str]
    """The states that allow it."""
    warning: str = ""


class PauseOptions(TypedDict, total=False):
    """What `later.pause` takes."""

    queue: str
    job: str
    key: str


_WAITING = {state.value for state in JobState} - {"running", "succeeded", "failed", "cancelled"}
KINDS = {
    "retry": Kind(
        "Retry", "retried", frozenset({"scheduled", "succeeded", "failed", "cancelled"}),
        "They run again as soon as a worker is free.",
    ),
    "cancel": Kind(
        "Cancel", "cancelled", frozenset(_WAITING | {"running"}),
        "Those that wait never run; those that run are cancelled where they run.",
    ),
    "reschedule": Kind("Reschedule", "rescheduled", frozenset(_WAITING)),
    "delete": Kind(
        "Delete", "deleted", frozenset({state.value for state in JobState} - {"running"}),
        "Nothing of them is kept. This cannot be undone.",
    ),
}  # fmt: skip


def allowed(kind: Kind, where: JobFilter) -> JobFilter:
    """Return *where* for those jobs only whose state allows what *kind* does."""
    states = set(kind.states if where.states is None else where.states) & kind.states
    return replace(where, state=sorted(states))


class Actions:
    """What *identity* does. Raises HTTPException for one who may only look."""

    def __init__(self, desk: Desk, identity: Identity) -> None:
        if not identity.may_act:
            raise HTTPException(403, "You may look, but not change anything here.")
        self._desk, self._identity = desk, identity

    async def count(self, action: str, where: JobFilter) -> Count:
        """Return for how many jobs it would be done."""
        return await self._desk.later.count(allowed(KINDS[action], where))

    async def on_jobs(
        self,
        action: str,
        where: JobFilter,
        *,
        wait: float | None = None,
        wait_until: datetime | None = None,
    ) -> int:
        """Do one of `KINDS` to the jobs that fit, and return to how many it was done."""
        later, meant = self._desk.later, allowed(KINDS[action], where)
        with self._logged(action, _as_facts(where)) as result:
            if action == "retry":
                result["jobs"] = await later.retry(meant)
            elif action == "cancel":
                result["jobs"] = await later.cancel(meant)
            elif action == "delete":
                result["jobs"] = await later.delete(meant)
            else:
                result["jobs"] = await later.reschedule(meant, wait=wait, wait_until=wait_until)
        return int(result["jobs"])

    async def retry_with(self, record: JobRecord, edited: dict[str, Any]) -> bool:
        """Retry a job with other arguments, and return whether it was still there to retry.

        What is hidden stays as it is where *edited* has it as it is shown. Raises ArgumentError
        and ConcurrencyKeyError, which tell no hidden value.
        """
        with self._logged("edit", {"ids": [record.id]}) as result:
            args = self._desk.redaction.restored(record, edited)
            try:
                done = await self._desk.later.retry(record.id, args=args)
            except (ArgumentError, ConcurrencyKeyError) as error:
                raise without_hidden(error, edited, args) from None
            result["jobs"] = int(done)
        return done

    async def run_schedule(self, name: str) -> int | None:
        """Store a run of a schedule and return its id; None if one has not ended."""
        with self._logged("run", {"schedule": name}) as result:
            run = await self._desk.later.schedules.run_now(name)
            result["job"] = None if run is None else run.id
        return None if run is None else run.id

    async def switch_schedule(self, name: str, *, enabled: bool) -> None:
        """Switch a schedule on, which also starts one that gave up, or off."""
        schedules = self._desk.later.schedules
        with self._logged("enable" if enabled else "disable", {"schedule": name}):
            await (schedules.enable(name) if enabled else schedules.disable(name))

    async def remove_schedule(self, name: str) -> bool:
        """Remove a schedule that no code declares, and return whether it was there."""
        with self._logged("remove", {"schedule": name}) as result:
            result["changed"] = await self._desk.later.schedules.remove(name)
        return bool(result["changed"])

    async def pause(self, kind: str, name: str) -> bool:
        """Pause a queue, a job or a key, and return whether it was not paused yet."""
        with self._logged("pause", {kind: name}) as result:
            result["changed"] = await self._desk.later.pause(**_what(kind, name))
        return bool(result["changed"])

    async def resume(self, kind: str, name: str) -> bool:
        """End a pause, also of what is not known here, and return whether there was one."""
        what = _what(kind, name)
        with self._logged("resume", dict(what)) as result:
            result["changed"] = await self._desk.storage.limits.resume(f"{kind}:{name}")
        return bool(result["changed"])

    async def change_limit(
        self, name: str, concurrency: int | None, rate: RateLimit | None
    ) -> KnownLimit:
        """Change what holds for a limit that some code has declared, and return that.

        Raises ConfigError for what limits nothing sensible.
        """
        check_limits(concurrency, rate)
        wanted = make_limit(name, concurrency, rate) or Limit(name)
        with self._logged("limit", {"limit": name}) as result:
            before = await known_limit(self._desk, name)
            await self._desk.storage.limits.change(wanted)
            result["before"] = before.limit._asdict()
            result["after"] = wanted._asdict()
        return await known_limit(self._desk, name)

    async def wish(self, what: str, worker: int) -> bool:
        """Quiet, resume or stop a worker, and return whether that changed anything.

        Raises HTTPException if there is no such worker, and DeafWorkerError.
        """
        known = await known_worker(self._desk, worker)
        workers = self._desk.later.workers
        do = {"quiet": workers.quiet, "resume": workers.resume, "stop": workers.stop}[what]
        where = {"worker": worker, "name": known.name, "host": known.host}
        try:
            with self._logged(what, where) as result:
                result["changed"] = await do(worker)
        except UnknownWorkerError as error:
            raise _no_worker(error.worker) from None
        return bool(result["changed"])

    @contextmanager
    def _logged(self, action: str, where: dict[str, Any]) -> Iterator[dict[str, Any]]:
        log = self._desk.manager.logger.bind(
            who=self._identity.name, action=action, adapter=self._desk.adapter, where=where
        )
        result: dict[str, Any] = {}
        try:
            yield result
        except (AsyncJobsError, HTTPException) as error:
            log.warning("dashboard.refused", error=str(error))
            raise
        except Exception:
            log.error("dashboard.failed", exc_info=True)
            raise
        finally:
            self._desk.glance.changed()
        log.info("dashboard.acted", **result)


async def known_limit(desk: Desk, name: str) -> KnownLimit:
    """Return the limit *name*. Raises HTTPException if no code has declared one."""
    for known in await desk.storage.limits.known():
        if known.limit.name == name:
            return known
    raise HTTPException(404, f"There is no limit {name!r}: the code declares them.")


async def known_worker(desk: Desk, number: int) -> WorkerStatus:
    """Return the worker *number*. Raises HTTPException if there is none, or not any more."""
    for worker in await desk.storage.overview.workers():
        if worker.id == number:
            return worker
    raise _no_worker(number)


def _no_worker(number: int) -> HTTPException:
    return HTTPException(404, f"There is no worker {number}, or not any more.")


def _what(kind: str, name: str) -> PauseOptions:
    if kind == "queue":
        return {"queue": name}
    if kind == "job":
        return {"job": name}
    if kind == "key":
        return {"key": name}
    raise HTTPException(400, f"A queue, a job or a key is paused, not {kind!r}.")


def _as_facts(where: JobFilter) -> dict[str, Any]:
    given = {field.name: getattr(where, field.name) for field in fields(where)}
    return {name: value for name, value in given.items() if value is not None}
