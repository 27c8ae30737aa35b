"""What a job's definition says: the options of ``@jobs.job(…)``, checked."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from asyncjobs.backoff import Backoff, retry_delay
from asyncjobs.clock import seconds
from asyncjobs.config import (
    MAX_ATTEMPTS,
    MAX_BACKOFF,
    MAX_PRIORITY,
    check_between,
    check_flag,
    check_retain,
    check_runtime,
    check_whole,
)
from asyncjobs.errors import ConfigError
from asyncjobs.limits import check_limits, make_limit
from asyncjobs.options import check_expires, check_tags, make_extras
from asyncjobs.recurrence import RecurrenceOptions, recurrence_of
from asyncjobs.unique import UniqueOptions, unique_rule
from asyncjobs.verdicts import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from asyncjobs.limits import ConcurrencyKey, RateLimit
    from asyncjobs.schedule_types import CatchUp, Overlap, Recurrence
    from asyncjobs.types import Extras, JobState, Limit
    from asyncjobs.unique import OnConflict, UniqueRule

ErrorClasses: TypeAlias = "type[BaseException] | tuple[type[BaseException], ...]"


class DefinitionOptions(UniqueOptions, RecurrenceOptions, total=False):
    """The options of ``@jobs.job(…)``: the job's name, and the fields of `JobOptions`."""

    name: str | None
    queue: str
    priority: int
    max_attempts: int | None
    backoff: Backoff | None
    jitter: float
    max_runtime: float | timedelta | None
    retry_on_timeout: bool
    delete_successful: bool | None
    delete_failed: bool | None
    tags: Sequence[str]
    retry_on: ErrorClasses | None
    discard_on: ErrorClasses
    expires: float | timedelta | None
    process: bool
    retain: float | timedelta | None
    concurrency_key: ConcurrencyKey | None
    concurrency: int | None
    rate_limit: RateLimit | None
    strict_order: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOptions:
    """How a job runs. None leaves it to the worker group. All durations are seconds."""

    queue: str = "default"
    priority: int = 50
    """Lower runs first."""
    max_attempts: int | None = None
    backoff: Backoff | None = None
    jitter: float = 0.0
    """Up to this share is added to each delay, at random, so that jobs that failed together
    do not come back together."""
    max_runtime: float | timedelta | None = None
    """Seconds, or a timedelta, after which it is cancelled."""
    retry_on_timeout: bool = False
    delete_successful: bool | None = None
    delete_failed: bool | None = None
    tags: Sequence[str] = ()
    """Words that each job is found by."""
    retry_on: ErrorClasses | None = None
    """Exception classes after which the job is tried again; None for every one."""
    discard_on: ErrorClasses = ()
    """Exception classes that another attempt cannot mend: the job is `failed` at once."""
    expires: float | timedelta | None = None
    """Time after which nobody needs the job any more: not started by then, it is dropped."""
    process: bool = False
    """Run a plain ``def`` in a process of its own instead of a thread."""
    retain: float | timedelta | None = None
    """Keep each job with its result for so long after its end, however it ended."""
    concurrency_key: ConcurrencyKey | None = None
    """By what *concurrency* and *rate_limit* count: a template of the job's arguments, as
    ``"tenant:{tenant_id}"``, or a function of them. Without it all jobs of the name count."""
    concurrency: int | None = None
    """How many may run at once, over all workers. With a key and no rate_limit it is 1."""
    rate_limit: RateLimit | None = None
    """How many may start in a time, over all workers."""
    strict_order: bool = False
    """While one waits for its retry, those behind it wait too."""
    unique: bool | str | Sequence[str] | None = None
    unique_for: float | timedelta | None = None
    unique_states: Sequence[JobState | str] | None = None
    on_conflict: OnConflict | None = None
    """See `asyncjobs.unique.UniqueOptions`, for the last four."""
    cron: str | None = None
    """For this and the next five see `RecurrenceOptions`."""
    every: float | timedelta | None = None
    starting_at: datetime | None = None
    timezone: str | None = None
    catch_up: CatchUp | None = None
    overlap: Overlap | None = None

    def __post_init__(self) -> None:
        check_whole("priority", self.priority, -MAX_PRIORITY, MAX_PRIORITY)
        check_between("jitter", self.jitter, 0, 10)
        if self.max_attempts is not None:
            check_whole("max_attempts", self.max_attempts, 1, MAX_ATTEMPTS)
        if self.max_runtime is not None:
            check_runtime(self.max_runtime)
        if self.backoff is not None and not callable(self.backoff):
            raise ConfigError(
                f"backoff must be a function (attempt, error) -> seconds, got {self.backoff!r}"
            )
        self._check_flags()
        check_tags(self.tags)
        check_classes("discard_on", self.discard_on)
        if self.retry_on is not None:
            check_classes("retry_on", self.retry_on)
        check_expires(self.expires)
        if self.retain is not None:
            check_retain(self.retain)
            if self.delete_successful or self.delete_failed:
                raise ConfigError(
                    "a job with retain is kept: give no delete_successful=True or "
                    "delete_failed=True beside it"
                )
        check_limits(self.concurrency, self.rate_limit)
        if self.strict_order and not (self.concurrency_key or self.concurrency):
            raise ConfigError("strict_order needs a concurrency_key or a concurrency")
        _ = self.unique_rule, self.recurrence

    def _check_flags(self) -> None:
        for name in ("retry_on_timeout", "process", "strict_order"):
            check_flag(name, getattr(self, name))
        for name in ("delete_successful", "delete_failed"):
            if getattr(self, name) is not None:
                check_flag(name, getattr(self, name))

    def limit(self, job: str) -> Limit | None:
        """Return what limits the job named *job*; None if nothing does."""
        concurrency = self.concurrency
        if self.concurrency_key is not None and self.rate_limit is None:
            concurrency = concurrency or 1
        return make_limit(f"job:{job}", concurrency, self.rate_limit)

    @property
    def unique_rule(self) -> UniqueRule | None:
        """What makes calls of the job equal; None if nothing does."""
        said = {name: getattr(self, name) for name in UniqueOptions.__annotations__}
        return unique_rule(cast("UniqueOptions", said))

    @property
    def recurrence(self) -> Recurrence | None:
        """When the job recurs; None for most."""
        return recurrence_of({
            name: getattr(self, name) for name in RecurrenceOptions.__annotations__
        })  # fmt: skip

    @property
    def extras(self) -> Extras | None:
        """What each job asks for that few do; None for most."""
        return make_extras(
            tags=check_tags(self.tags),
            expires=check_expires(self.expires),
            retain=None if self.retain is None else check_retain(self.retain),
        )

    def may_retry(self, error: BaseException) -> bool:
        """Whether another attempt may help after *error*."""
        if isinstance(error, Retry):
            return True
        if self.discard_on and isinstance(error, self.discard_on):
            return False
        return self.retry_on is None or isinstance(error, self.retry_on)

    def delay_after(self, attempt: int, error: BaseException) -> float | None:
        """Return the seconds until the next attempt; None for no other.

        Raises whatever the user's backoff function raises.
        """
        if isinstance(error, Retry) and error.after is not None:
            return min(error.after, MAX_BACKOFF)
        backoff = self.backoff
        delay = retry_delay(attempt) if backoff is None else backoff(attempt, error)
        if delay is None:
            return None
        spread = 1 + self.jitter * random.random()  # noqa: S311 - not a secret
        wait = seconds(delay)
        if math.isnan(wait):
            raise ValueError("backoff returned nan")
        return min(max(wait, 0.0) * spread, MAX_BACKOFF)


def check_classes(name: str, classes: ErrorClasses) -> None:
    """Raise ConfigError unless *classes* is a class of exceptions, or a tuple of them."""
    each = classes if isinstance(classes, tuple) else (classes,)
    if not all(isinstance(one, type) and issubclass(one, BaseException) for one in each):
        raise ConfigError(f"{name} must be exception classes, got {classes!r}")
