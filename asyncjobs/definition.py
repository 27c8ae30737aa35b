"""What a job's definition says: the options of ``@jobs.job(…)``, checked."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from asyncjobs.backoff import Backoff, retry_delay
from asyncjobs.clock import seconds
from asyncjobs.config import (
    MAX_ATTEMPTS,
    MAX_BACKOFF,
    MAX_PRIORITY,
    check_between,
    check_whole,
)
from asyncjobs.errors import ConfigError
from asyncjobs.options import check_tags
from asyncjobs.types import Extras

if TYPE_CHECKING:
    from collections.abc import Sequence


class DefinitionOptions(TypedDict, total=False):
    """The options of ``@jobs.job(…)``: the job's name, and the fields of `JobOptions`."""

    name: str | None
    queue: str
    priority: int
    max_attempts: int | None
    backoff: Backoff | None
    jitter: float
    max_runtime: float | None
    retry_on_timeout: bool
    delete_successful: bool | None
    delete_failed: bool | None
    tags: Sequence[str]


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
    max_runtime: float | None = None
    retry_on_timeout: bool = False
    delete_successful: bool | None = None
    delete_failed: bool | None = None
    tags: Sequence[str] = ()
    """Words that each job is found by."""

    def __post_init__(self) -> None:
        check_whole("priority", self.priority, -MAX_PRIORITY, MAX_PRIORITY)
        check_between("jitter", self.jitter, 0, 10)
        if self.max_attempts is not None:
            check_whole("max_attempts", self.max_attempts, 1, MAX_ATTEMPTS)
        if self.max_runtime is not None:
            check_between("max_runtime", self.max_runtime, 0.001, 10 * 365 * 86_400, " s")
        if self.backoff is not None and not callable(self.backoff):
            raise ConfigError(
                f"backoff must be a function (attempt, error) -> seconds, got {self.backoff!r}"
            )
        check_tags(self.tags)

    @property
    def extras(self) -> Extras | None:
        """What each job asks for that few do; None for most."""
        return Extras(tags=check_tags(self.tags)) if self.tags else None

    def delay_after(self, attempt: int, error: BaseException) -> float | None:
        """Return the seconds until the next attempt; None for no other.

        Raises whatever the user's backoff function raises.
        """
        backoff = self.backoff
        delay = retry_delay(attempt) if backoff is None else backoff(attempt, error)
        if delay is None:
            return None
        spread = 1 + self.jitter * random.random()  # noqa: S311 - not a secret
        wait = seconds(delay)
        if math.isnan(wait):
            raise ValueError("backoff returned nan")
        return min(max(wait, 0.0) * spread, MAX_BACKOFF)
