"""How workers behave: frozen values that refuse nonsense."""

from __future__ import annotations

import functools
import inspect
import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from asyncjobs.clock import seconds
from asyncjobs.errors import ConfigError, UnknownOptionError
from asyncjobs.settings import Configured, configured
from asyncjobs.settings.kinds import LOG_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

GROUP_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")

MAX_BACKOFF = 7 * 24 * 3600.0
"""Seconds. Source: RedwoodJS background jobs."""
MAX_PRIORITY = 32_767
MAX_ATTEMPTS = 32_766
MAX_CONCURRENCY = 10_000
MAX_RESULT = 100_000_000
"""Bytes. PostgreSQL holds a little more, but neither side enjoys it."""
MAX_RUNTIME = 10 * 365 * 86_400.0
"""Seconds."""
LEASE = 30.0
"""Seconds, if nobody says otherwise."""
BEATS = 3
"""Heartbeats within a lease, at least: two of them may be lost."""
LOG_PACE = 20
"""Lines a second of jobs that succeeded in one worker, with ``log_jobs="auto"``."""
FLAGS = (
    "delete_failed_jobs",
    "delete_successful_jobs",
    "kill_stuck",
    "mend_tables",
    "log_arguments",
)
"""The options of a group that are True or False."""
LEAST_RETAIN, MAX_RETAIN = 1.0, 100 * 365 * 86_400.0
"""Seconds."""


def check_between(name: str, value: float, least: float, most: float, unit: str = "") -> None:
    """Raise ConfigError unless *value* is a number from *least* to *most*."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or math.isnan(value) or not least <= value <= most:
        kind = "" if is_number else "a number "
        raise ConfigError(f"{name} must be {kind}from {least:g} to {most:g}{unit}, got {value!r}")


def check_whole(name: str, value: int, least: int, most: int) -> None:
    """Raise ConfigError unless *value* is an int from *least* to *most*."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigError(f"{name} must be a whole number from {least} to {most}, got {value!r}")


def check_runtime(max_runtime: float | timedelta) -> None:
    """Raise ConfigError unless *max_runtime* is a duration that a job may have."""
    value = seconds(max_runtime) if isinstance(max_runtime, timedelta) else max_runtime
    check_between("max_runtime", value, 0.001, MAX_RUNTIME, " s")


def check_flag(name: str, value: object) -> None:
    """Raise ConfigError unless *value* is True or False: the text "false" would count as true."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {value!r}")


def check_retain(retain: float | timedelta) -> float:
    """Return *retain* in seconds. Raises ConfigError for what is no duration to keep a row for."""
    value = retain.total_seconds() if isinstance(retain, timedelta) else retain
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not LEAST_RETAIN <= value <= MAX_RETAIN:
        raise ConfigError(
            f"retain must be seconds or a timedelta, from {LEAST_RETAIN:g} s to 100 years, "
            f"got {retain!r}"
        )
    return float(value)


def explains_options(cls: type[T]) -> type[T]:
    """Make *cls* answer an option it does not take with UnknownOptionError."""
    init = cls.__init__
    known = list(inspect.signature(init).parameters)[1:]

    @functools.wraps(init)
    def explaining_init(self: Any, *args: Any, **given: Any) -> None:
        for option in given:
            if option not in known:
                raise UnknownOptionError(option, known)
        init(self, *args, **given)

    cls.__init__ = explaining_init  # type: ignore[method-assign] # the signature stays the same
    return cls


@explains_options
@configured("group")
@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerGroup(Configured):
    """How one group of workers claims and runs jobs. All durations are seconds.

    What is left out here may be said by the environment or by pyproject.toml: see
    `asyncjobs.settings`.
    """

    adapter: str
    """The name of the JobManager's adapter that the jobs are in."""
    name: str | None = None
    """What the group is called in settings, names of workers and logs; its queues if None."""
    queue: str | Sequence[str] = "*"
    """A queue, a list of them, or "*" for every queue of the JobManager."""
    count: int = 1
    """Processes that `asyncjobs work` runs of this group. Embedded workers are always one."""
    concurrency: int = 10
    """Jobs that one process runs at once. Jobs that wait for the network allow hundreds; too
    many for what they call makes all of them slow."""
    threads: int | None = None
    """Jobs that are a plain ``def`` and run at once, of those; None for as many."""
    processes: int | None = None
    """Jobs with ``process=True`` that run at once, of those; None for one a processor."""
    max_attempts: int = 24
    """Attempts of a job that does not say so itself. 24 take 16 days."""
    max_runtime: float | timedelta = 14_400.0
    """Run time after which a job that does not say so itself is cancelled: seconds, or a
    timedelta."""
    delete_failed_jobs: bool = False
    """Remove a job that used up its attempts, with all its errors."""
    delete_successful_jobs: bool = True
    """Remove a job that succeeded. Kept ones fill the table, but do not slow the workers."""
    retain: float | timedelta | None = None
    """Time after which a job that ended and was kept is removed, if it does not say so itself:
    seconds, or a timedelta. None keeps it until somebody removes it."""
    max_result: int = 1_000_000
    """Bytes of JSON that a job's result may have."""
    sleep_delay: float = 5.0
    """Time between two looks at the queue when nothing wakes the worker. Only a safety net
    while LISTEN works; what it costs is one statement each time."""
    lease: float = LEASE
    """Silence after which others take this worker's jobs. Too low runs jobs twice, too high
    lets the jobs of a dead machine wait."""
    heartbeat_interval: float = 5.0
    """Time between two signs of life."""
    shutdown_timeout: float = 30.0
    """How long running jobs may go on at shutdown. Keep it under what your platform waits
    before it kills."""
    kill_stuck: bool = False
    """End the process when a job does not end although it was cancelled, once the others have
    ended or were given back: for a supervisor to start it again."""

    mend_tables: bool = False
    """Vacuum our tables, and rebuild our indexes, when they need it much: see maintenance. False
    only says so."""
    log_jobs: Literal["auto", "all", "failures"] | float = "auto"
    """Which jobs that succeed have a line in the log, at info. "auto": all, but at most
    `LOG_PACE` a second, and then how many others; "all"; "failures": none; or a share of them
    from 0 to 1, by id. Whatever fails, is cancelled or put off has its line in any case."""
    log_arguments: bool = False
    """Say the arguments of jobs in their lines, but for what the JobManager's redact hides."""

    def __post_init__(self) -> None:
        is_text = isinstance(self.name, str)
        if self.name is not None and not (is_text and GROUP_NAME.fullmatch(self.name)):
            raise ConfigError(
                f"name must be of 1 to 100 letters, digits, dots, - and _, got {self.name!r}"
            )
        check_whole("count", self.count, 0, 1_000)
        check_whole("concurrency", self.concurrency, 1, MAX_CONCURRENCY)
        for name in ("threads", "processes"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1, MAX_CONCURRENCY)
        check_whole("max_attempts", self.max_attempts, 1, MAX_ATTEMPTS)
        check_runtime(self.max_runtime)
        if self.retain is not None:
            check_retain(self.retain)
        check_whole("max_result", self.max_result, 4, MAX_RESULT)
        check_between("sleep_delay", self.sleep_delay, 0.01, 3_600, " s")
        check_between("heartbeat_interval", self.heartbeat_interval, 0.05, 3_600, " s")
        self._check_lease()
        check_between("shutdown_timeout", self.shutdown_timeout, 0, 86_400, " s")
        for name in FLAGS:
            check_flag(name, getattr(self, name))
        if self.log_jobs not in LOG_WORDS:
            if isinstance(self.log_jobs, str):
                raise ConfigError(
                    f"log_jobs must be of {', '.join(LOG_WORDS)}, or from 0 to 1, "
                    f"got {self.log_jobs!r}"
                )
            check_between("log_jobs", self.log_jobs, 0, 1)
        if not self.queue or not isinstance(self.queue, str | list | tuple):
            raise ConfigError(f'queue must be "*", a name or a list of names, got {self.queue!r}')

    def _check_lease(self) -> None:
        least = BEATS * self.heartbeat_interval
        if self.lease == LEASE < least:  # which nobody need have said
            check_between(
                "heartbeat_interval",
                self.heartbeat_interval,
                0.05,
                LEASE / BEATS,
                f" s, a third of the lease ({LEASE:g} s by default)",
            )
        unit = f" s (three times heartbeat_interval, {self.heartbeat_interval:g} s, is the least)"
        check_between("lease", self.lease, least, 86_400, unit)

    @property
    def label(self) -> str:
        """The group's name, or its queues in one word: for names of workers and logs."""
        if self.name is not None:
            return self.name
        return self.queue if isinstance(self.queue, str) else ",".join(self.queue)

    def queues(self, known: Sequence[str]) -> list[str]:
        """Return the names of the queues that this group works, of those *known*."""
        if self.queue == "*":
            return list(known)
        return [self.queue] if isinstance(self.queue, str) else list(dict.fromkeys(self.queue))
