"""How long to wait before a failed job is tried again.

A backoff is a function (attempt that failed, from 1; its error) -> seconds or a timedelta
until the next attempt, or None to stop. `exponential`, `linear` and `constant` make common
ones; without any, a job waits as `retry_delay` says.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

from asyncjobs.clock import seconds
from asyncjobs.config import MAX_BACKOFF, check_between

Backoff: TypeAlias = Callable[[int, BaseException], "float | timedelta | None"]


def retry_delay(attempt: int) -> timedelta:
    """Return how long to wait after the failed attempt number *attempt*, from 1.

    ``attempt ** 4`` seconds (1 s, 16 s, 81 s, …), at most 7 days.
    Source: RedwoodJS background jobs.

    Raises ValueError if *attempt* is below 1.
    """
    if attempt < 1:
        raise ValueError(f"attempt must be at least 1, got {attempt}")
    return timedelta(seconds=min(attempt**4, MAX_BACKOFF))


def exponential(
    first: float | timedelta = 1.0,
    *,
    factor: float = 2.0,
    most: float | timedelta = MAX_BACKOFF,
    jitter: float = 0.1,
) -> Backoff:
    """Return a backoff that waits *first*, then *factor* times longer each time, at most *most*.

    *jitter* adds up to this share to each delay, at random, so that jobs that failed together
    do not come back together. Durations are seconds or timedeltas. Raises ConfigError.
    """
    start, bound = _duration("first", first), _duration("most", most)
    check_between("factor", factor, 1, 1_000)

    def delay(attempt: int, _: BaseException) -> float:
        try:
            return start * factor ** (attempt - 1)
        except OverflowError:
            return bound

    return _spread(delay, bound, jitter)


def linear(
    step: float | timedelta = 60.0,
    *,
    most: float | timedelta = MAX_BACKOFF,
    jitter: float = 0.1,
) -> Backoff:
    """Return a backoff that waits *step*, then *step* longer each time, at most *most*.

    *jitter* as in `exponential`. Raises ConfigError.
    """
    each, bound = _duration("step", step), _duration("most", most)
    return _spread(lambda attempt, _: each * attempt, bound, jitter)


def constant(delay: float | timedelta, *, jitter: float = 0.1) -> Backoff:
    """Return a backoff that always waits *delay*; *jitter* as in `exponential`."""
    always = _duration("delay", delay)
    return _spread(lambda _attempt, _error: always, MAX_BACKOFF, jitter)


def _spread(delay: Callable[[int, BaseException], float], most: float, jitter: float) -> Backoff:
    check_between("jitter", jitter, 0, 10)

    def backoff(attempt: int, error: BaseException) -> float:
        share = 1 + jitter * random.random()  # noqa: S311 - not a secret
        return min(delay(attempt, error) * share, most)

    return backoff


def _duration(name: str, value: float | timedelta) -> float:
    if isinstance(value, timedelta):
        value = seconds(value)
    check_between(name, value, 0, MAX_BACKOFF, " s")
    return value
