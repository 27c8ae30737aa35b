"""Which lanes a call goes through, and what storage is told of them first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from asyncjobs.job import lane_of, limit_of
from asyncjobs.types import Extras

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from asyncjobs.job import JobCall
    from asyncjobs.storage.limits import LimitStorage
    from asyncjobs.types import Limit, NewJob


class Limiter:
    """Gives calls their lanes, and remembers what storage was told of limits."""

    def __init__(self, queue_limits: Mapping[str, Limit]) -> None:
        self.queue_limits = queue_limits
        self._declared: dict[str, Limit] = {}
        self.undeclared: dict[str, Limit] = {}
        """What storage has to be told before what is limited by it is stored."""

    def limited(self, row: NewJob, call: JobCall[Any], key: str | None) -> NewJob:
        """Return *row* with the lanes of *call*, which *key* may choose.

        Raises ConcurrencyKeyError.
        """
        job = call.job
        lane = lane_of(job, row.args) if key is None else f"key:{key}"
        queue_limit = self.queue_limits.get(row.queue)
        if lane is not None:
            self._note(limit_of(job))
        if queue_limit is not None:
            self._note(queue_limit)
        strict = lane is not None and job.options.strict_order
        name = queue_limit and queue_limit.name
        extras = _with_lanes(row.extras, lane, name, strict=strict)
        return row._replace(extras=extras)

    def follow(self, row: NewJob) -> NewJob:
        """Return *row*, which a middleware may have put into another queue, with its lanes."""
        limit, extras = self.queue_limits.get(row.queue), row.extras or Extras()
        queue_lane = limit and limit.name
        if queue_lane == extras.queue_lane:
            return row
        if limit is not None:
            self._note(limit)
        return row._replace(extras=_with_lanes(extras, extras.lane, queue_lane))

    async def declare(self, storage: LimitStorage, rows: Iterable[NewJob]) -> None:
        """Tell *storage* what it was not told yet of the limits of *rows*.

        Raises StorageError, KeyInDoubtError among them.
        """
        names = dict.fromkeys(name for row in rows for name in _limits_of(row))
        limits = {name: self.undeclared[name] for name in names if name in self.undeclared}
        if not limits:
            return
        await storage.declare(list(limits.values()))
        self._declared |= limits
        for name, limit in limits.items():
            if self.undeclared.get(name) == limit:
                del self.undeclared[name]

    def _note(self, limit: Limit) -> None:
        if self._declared.get(limit.name) != limit:
            self.undeclared[limit.name] = limit


def _limits_of(row: NewJob) -> Iterator[str]:
    if row.extras is not None:
        if row.extras.lane is not None:
            yield f"job:{row.name}"
        if row.extras.queue_lane is not None:
            yield row.extras.queue_lane


def _with_lanes(
    extras: Extras | None, lane: str | None, queue_lane: str | None, *, strict: bool = False
) -> Extras | None:
    lanes = [name for name in (lane, queue_lane) if name is not None]
    if not lanes and (extras is None or extras.queue_lane is None):
        return extras
    extras = extras or Extras()
    told: dict[str, Any] = json.loads(extras.extra) if extras.extra else {}
    told["lanes"] = lanes
    if strict:
        told["strict"] = True
    return extras._replace(extra=json.dumps(told), lane=lane, queue_lane=queue_lane)
