"""What `later` is given, as a call; and the hooks and the middleware around the storing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ArgumentError, MiddlewareError, NotAJobError
from asyncjobs.hooks import around_enqueue, collected
from asyncjobs.hooks import call as call_hook
from asyncjobs.job import Job, JobCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncjobs.hooks import EnqueueMiddleware, Hooks, Store
    from asyncjobs.scheduled import ScheduledJob
    from asyncjobs.types import NewJob


def as_call(call: object, args: Sequence[Any] | None) -> JobCall[Any]:
    """Return what was given to `later` as a call, which counts as used. Raises NotAJobError."""
    if isinstance(call, JobCall):
        if args is None:
            return call.take()
        call.take()
        raise NotAJobError(f"{call!r} has its arguments already; give args with the job only")
    if isinstance(call, Job):
        if args is not None and not isinstance(args, list | tuple):
            raise ArgumentError(call.name, f"args must be a list or a tuple, got {args!r}")
        return JobCall(call, tuple(args or ()), {}).take()
    if asyncio.iscoroutine(call):
        call.close()
        raise NotAJobError("later takes the call of a job, got a coroutine: is it decorated?")
    raise NotAJobError(f"later takes the call of a job, got {call!r}")


def as_calls(calls: object) -> list[JobCall[Any]]:
    """Return what was given to `later.many` as calls, which count as used. Raises NotAJobError."""
    if isinstance(calls, Iterable):
        return [as_call(call, None) for call in calls]
    if isinstance(calls, JobCall):
        calls.take()
    raise NotAJobError(f"later.many takes a list of calls, got {calls!r}: later takes one call")


async def store_inside(
    holders: Mapping[str, Sequence[Hooks]], rows: Sequence[NewJob], store: Store
) -> list[ScheduledJob[Any]]:
    """Store *rows* by *store*, inside of what the hooks of each job, by its name, ask for.

    Raises what they raise, and MiddlewareError if one passes more or fewer rows on, or the
    same ones again once they are stored.
    """
    stored: list[ScheduledJob[Any]] = []

    async def innermost(changed: Sequence[NewJob]) -> list[ScheduledJob[Any]]:
        if stored or len(changed) != len(rows):
            raise MiddlewareError(len(rows), len(stored) + len(changed))
        for row in changed:
            for hook in collected("on_enqueue", holders[row.name]):
                await call_hook(hook, row)
        stored.extend(await store(changed))
        return list(stored)

    storing: Store = innermost
    everybody = dict.fromkeys(holder for each in holders.values() for holder in each)
    for function in reversed(around_enqueue(*everybody).enqueue_middleware):
        storing = _bound(function, storing)
    answer = await storing(rows)
    if len(stored) != len(rows):
        raise MiddlewareError(len(rows), len(stored))
    is_whole = isinstance(answer, list) and len(answer) == len(rows)
    return answer if is_whole else stored


def _bound(function: EnqueueMiddleware, store: Store) -> Store:
    async def storing(rows: Sequence[NewJob]) -> list[ScheduledJob[Any]]:
        return await function(rows, store)

    return storing
