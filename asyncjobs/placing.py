"""What a call is as a row: the job's word, what the call says in its place, and all it asks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import NotAJobError
from asyncjobs.job import JobCall
from asyncjobs.limiting import Limiter
from asyncjobs.options import NOTHING, joined
from asyncjobs.types import Extras, NewJob, tuple_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncjobs.job import Job
    from asyncjobs.options import Chosen
    from asyncjobs.registry import JobRegistry
    from asyncjobs.types import Json, Limit
    from asyncjobs.unique import UniqueRule


class Placer:
    """Makes rows of calls of the jobs of one manager."""

    def __init__(self, registry: JobRegistry, queue_limits: Mapping[str, Limit]) -> None:
        self._registry = registry
        self.limiter = Limiter(queue_limits)

    def row(self, call: JobCall[Any], chosen: Chosen, parent: int | None) -> NewJob:
        """Return *call*, by the job *parent*, as a row.

        Raises ArgumentError, ConfigError and NotAJobError.
        """
        if self._registry.get(call.job.name) is not call.job:
            raise NotAJobError(f"the job {call.job.name!r} belongs to another JobManager")
        asks = chosen.extras or call.job.extras or not self._registry.carrier.is_idle
        extras = self._extras(call.job, chosen.extras) if asks else None
        return self._placed(call, chosen, extras, parent)

    def recurring(self, job: Job[..., Any]) -> NewJob:
        """Return the runs of *job*, which recurs by itself: calls without arguments or context."""
        return self._placed(JobCall(job, (), {}).take(), NOTHING, job.extras, None)

    def _placed(
        self, call: JobCall[Any], chosen: Chosen, extras: Extras | None, parent: int | None
    ) -> NewJob:
        job, options = call.job, call.job.options
        queue, priority, wait, wait_until, _, key, unique = chosen
        args = job.codec.encode(call.args, call.kwargs)
        if unique is not None or job.unique is not None:
            extras = _made_unique(job, args, unique, extras)
        row = tuple_of(
            NewJob,
            (
                job.name,
                options.queue if queue is None else queue,
                options.priority if priority is None else priority,
                args,
                wait,
                wait_until,
                extras,
                parent,
            ),
        )
        if job.limit is not None or key is not None or self.limiter.queue_limits:
            return self.limiter.limited(row, call, key)
        return row

    def _extras(self, job: Job[..., Any], of_call: Extras | None) -> Extras | None:
        extras = joined(job.extras, of_call) if job.extras or of_call else None
        if extras is not None and extras.retain is not None:
            job.returns.prepare()
        carrier = self._registry.carrier
        if carrier.is_idle or (carried := carrier.collect()) is None:
            return extras
        return joined(Extras(extra=json.dumps({"context": carried})), extras)


def _made_unique(
    job: Job[..., Any], args: Json, rule: UniqueRule | None, extras: Extras | None
) -> Extras | None:
    if rule is None:
        rule = job.unique
    else:
        rule = rule.over(job.unique)
        rule.check(job.name, job.codec.signature.parameters)
    assert rule is not None
    unique = rule.of(job.name, args, job.codec.stored_defaults)
    return extras if unique is None else (extras or Extras())._replace(unique=unique)
