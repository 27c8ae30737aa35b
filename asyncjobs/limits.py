"""What a definition says of limits: by which key, how many at once, how many in a time."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import timedelta
from string import Formatter
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.clock import seconds
from asyncjobs.config import check_between, check_flag, check_whole
from asyncjobs.errors import ConcurrencyKeyError, ConfigError
from asyncjobs.types import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_AT_ONCE = 100_000
MAX_PERIOD = 366 * 86_400.0
"""Seconds."""
MAX_KEY = 200
"""Characters of a concurrency key."""

ConcurrencyKey: TypeAlias = "str | Callable[..., str | None]"
"""A template as ``"tenant:{tenant_id}"``, or a function of some of the job's arguments by
name; None from it means that this job is not limited."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most *count* starts per *per* seconds (or timedelta), by the database's clock.

    As a bucket: after a rest up to *count* start at once, and from then on one more every
    ``per / count`` seconds. With *smooth* no two start closer together than that.
    """

    count: int
    per: float | timedelta
    smooth: bool = False

    def __post_init__(self) -> None:
        check_whole("count", self.count, 1, MAX_AT_ONCE)
        period = seconds(self.per) if isinstance(self.per, timedelta) else self.per
        check_between("per", period, 0.001, MAX_PERIOD, " s")
        check_flag("smooth", self.smooth)

    @property
    def burst(self) -> int:
        """How many may start at once."""
        return 1 if self.smooth else self.count

    @property
    def gap(self) -> float:
        """Seconds until one more may start."""
        return seconds(self.per) / self.count


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of a JobManager that is limited, over all workers and all its jobs."""

    name: str
    concurrency: int | None = None
    """How many of its jobs may run at once; None for any number."""
    rate_limit: RateLimit | None = None

    def __post_init__(self) -> None:
        check_limits(self.concurrency, self.rate_limit)

    @property
    def limit(self) -> Limit | None:
        """What it asks of storage; None for nothing."""
        return make_limit(f"queue:{self.name}", self.concurrency, self.rate_limit)


def check_limits(concurrency: int | None, rate_limit: RateLimit | None) -> None:
    """Raise ConfigError for what limits nothing sensible."""
    if concurrency is not None:
        check_whole("concurrency", concurrency, 1, MAX_AT_ONCE)
    if rate_limit is not None and not isinstance(rate_limit, RateLimit):
        raise ConfigError(f"rate_limit must be a RateLimit(count, per=…), got {rate_limit!r}")


def make_limit(name: str, concurrency: int | None, rate: RateLimit | None) -> Limit | None:
    """Return the limit *name*; None if nothing is limited."""
    if rate is not None:
        return Limit(name, concurrency, rate.burst, rate.gap)
    return None if concurrency is None else Limit(name, concurrency)


def check_key(key: object, job: str | None = None, made_of: Collection[str] | None = None) -> str:
    """Return *key*, *made_of* these arguments, if it can be one. Raises ConcurrencyKeyError."""
    if not isinstance(key, str):
        problem = f"must be a text, got {key!r} ({type(key).__name__})"
    elif not key or not key.isprintable():
        problem = f"must be printable and not empty, got {key!r}"
    elif len(key) > MAX_KEY:
        problem = f"must have at most {MAX_KEY} characters, got {len(key)}: {key[:40]!r}…"
    else:
        return key
    raise ConcurrencyKeyError(job, problem, made_of)


class KeyMaker:
    """Makes the concurrency keys of one job from the arguments of its calls.

    Raises ConfigError for a template or a function that names what is no parameter of *job*.
    """

    def __init__(self, job: str, key: ConcurrencyKey, signature: inspect.Signature) -> None:
        self._job, self._key, self._signature = job, key, signature
        self._names = self._check_names(set(signature.parameters))

    @property
    def needs_arguments(self) -> bool:
        """Whether it is another one for other arguments."""
        return bool(self._names)

    def make(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the key for *arguments*; None if the function says that they have none.

        Raises ConcurrencyKeyError.
        """
        bound = self._signature.bind_partial(**arguments)
        bound.apply_defaults()
        values = {name: bound.arguments[name] for name in self._names}
        try:
            key = self._key(**values) if callable(self._key) else self._key.format(**values)
        except Exception as error:
            problem = f"could not be made: {type(error).__name__}: {error}"
            raise ConcurrencyKeyError(self._job, problem, self._names) from error
        return None if key is None else check_key(key, self._job, self._names)

    def _check_names(self, known: Collection[str]) -> tuple[str, ...]:
        names = _names_of(self._key, self._job)
        for name in names:
            if name not in known:
                parameters = ", ".join(sorted(known)) or "none"
                raise ConfigError(
                    f"job {self._job!r}: concurrency_key names {name!r}, which is no parameter "
                    f"of the job (parameters: {parameters})"
                )
        return names


def _names_of(key: object, job: str) -> tuple[str, ...]:
    if isinstance(key, str):
        check_key(key, job)
        return tuple(dict.fromkeys(_fields_of(key, job)))
    if not callable(key):
        raise ConfigError(
            f"job {job!r}: concurrency_key must be a text or a function of the job's "
            f"arguments, got {key!r}"
        )
    try:
        parameters = inspect.signature(key).parameters.values()
    except ValueError:  # as of int: it is written in C
        raise ConfigError(
            f"job {job!r}: the function that is its concurrency_key must say by which names it "
            f"takes arguments of the job, got {key!r}"
        ) from None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if not all(parameter.kind in named for parameter in parameters):
        raise ConfigError(
            f"job {job!r}: the function that is its concurrency_key must take arguments of the "
            "job by name"
        )
    return tuple(parameter.name for parameter in parameters)


def _fields_of(template: str, job: str) -> list[str]:
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ConfigError(
            f"job {job!r}: concurrency_key is no template: {error}: {template!r}"
        ) from None
    return [field.split(".")[0].split("[")[0] for field in fields]
