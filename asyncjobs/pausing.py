"""`later.pause`, `later.resume` and `later.pauses`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConfigError, UnknownQueueError
from asyncjobs.job import Job
from asyncjobs.limits import check_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Pause


class Pausing:
    """What a scheduler does about pauses."""

    _storage: Storage
    _registry: JobRegistry
    _queues: Sequence[str]

    async def pause(
        self,
        *,
        queue: str | None = None,
        job: str | Job[..., Any] | None = None,
        key: str | None = None,
    ) -> bool:
        """Pause a queue, a job or a concurrency key; return whether it was not paused yet.

        Jobs that run go on. No others start until `resume`, on any worker, and across
        restarts; what is stored meanwhile waits too. Raises ConfigError, UnknownQueueError,
        UnknownJobError, ConcurrencyKeyError.
        """
        lane = lane_to_pause(self._registry, self._queues, queue=queue, job=job, key=key)
        return await self._storage.limits.pause(lane)

    async def resume(
        self,
        *,
        queue: str | None = None,
        job: str | Job[..., Any] | None = None,
        key: str | None = None,
    ) -> bool:
        """End what `pause` began, and return whether it was paused. Raises as that does."""
        lane = lane_to_pause(self._registry, self._queues, queue=queue, job=job, key=key)
        return await self._storage.limits.resume(lane)

    async def pauses(self) -> list[Pause]:
        """Return what is paused, by whomever: kind, name and since when."""
        return await self._storage.limits.pauses()


def lane_to_pause(
    registry: JobRegistry,
    queues: Sequence[str],
    *,
    queue: str | None,
    job: str | Job[..., Any] | None,
    key: str | None,
) -> str:
    """Return the lane that exactly one of *queue*, *job* and *key* names.

    Raises ConfigError, UnknownQueueError, UnknownJobError, ConcurrencyKeyError.
    """
    if [queue, job, key].count(None) != 2:
        raise ConfigError("give one of queue=, job= and key=")
    if queue is not None and queue not in queues:
        raise UnknownQueueError(queue, queues)
    if job is not None:
        job = job.name if isinstance(job, Job) else registry[job].name
    return lane_of(queue, job, key)


def lane_of(queue: str | None, job: str | None, key: str | None) -> str:
    """Return the lane of a queue, a job's name or a key, known or not.

    Raises ConcurrencyKeyError.
    """
    if queue is not None:
        return f"queue:{queue}"
    return f"job:{job}" if job is not None else f"key:{check_key(key)}"
