"""The hooks and the middleware that run when calls are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.errors import MiddlewareError
from asyncjobs.hooks import around_enqueue, call, collected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncjobs.hooks import EnqueueMiddleware, Hooks, Store
    from asyncjobs.scheduled import ScheduledJob
    from asyncjobs.types import NewJob


async def store_inside(
    holders: Mapping[str, Sequence[Hooks]], rows: Sequence[NewJob], store: Store
) -> list[ScheduledJob[Any]]:
    """Store *rows* by *store*, inside of what the hooks of each job, by its name, ask for.

    Raises what they raise, and MiddlewareError if one passes more or fewer rows on.
    """

    async def innermost(changed: Sequence[NewJob]) -> list[ScheduledJob[Any]]:
        if len(changed) != len(rows):
            raise MiddlewareError(len(rows), len(changed))
        for row in changed:
            for hook in collected("on_enqueue", holders[row.name]):
                await call(hook, row)
        return await store(changed)

    storing: Store = innermost
    everybody = dict.fromkeys(holder for each in holders.values() for holder in each)
    for function in reversed(around_enqueue(*everybody).enqueue_middleware):
        storing = _bound(function, storing)
    return await storing(rows)


def _bound(function: EnqueueMiddleware, store: Store) -> Store:
    async def storing(rows: Sequence[NewJob]) -> list[ScheduledJob[Any]]:
        return await function(rows, store)

    return storing
