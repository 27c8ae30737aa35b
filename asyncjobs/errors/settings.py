"""What the program says makes no sense."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

from asyncjobs.errors.base import AsyncJobsError

if TYPE_CHECKING:
    from collections.abc import Iterable


class ConfigError(AsyncJobsError, ValueError):
    """What the program says about itself cannot be; found before anything runs."""


class UnknownNameError(ConfigError, LookupError):
    """A name that was never declared. Names the nearest one that was."""

    kind: ClassVar[str] = "name"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, sorted(known)
        super().__init__(name, self.known)

    def __str__(self) -> str:
        near = get_close_matches(str(self.name), self.known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown {self.kind} {self.name!r} (known: {', '.join(self.known) or 'none'}){hint}"


class UnknownQueueError(UnknownNameError):
    """A queue that the JobManager does not list."""

    kind = "queue"


class UnknownAdapterError(UnknownNameError):
    """An adapter that the JobManager does not hold."""

    kind = "adapter"


class UnknownOptionError(UnknownNameError, TypeError):
    """An option that this function does not take."""

    kind = "option"


class UnknownSettingError(UnknownNameError):
    """A setting that there is not, in the environment, in pyproject.toml or after ``--set``."""

    kind = "setting"

    def __init__(self, name: str, known: Iterable[str], where: str) -> None:
        super().__init__(name, known)
        self.where = where
        self.args = (name, self.known, where)

    def __str__(self) -> str:
        near = get_close_matches(str(self.name), self.known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else f" (known: {', '.join(self.known)})"
        return f"unknown setting {self.name!r} in {self.where}{hint}"


class UnknownTimezoneError(UnknownNameError):
    """A time zone that is not in the time zone data of this machine."""

    kind = "time zone"

    def __str__(self) -> str:
        if not self.known:
            return f"unknown time zone {self.name!r}: this machine has none; install tzdata"
        near = get_close_matches(str(self.name), self.known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ", such as 'Europe/Zurich'"
        return f"unknown time zone {self.name!r}: write a name of the IANA database{hint}"


class UnknownScheduleError(UnknownNameError):
    """A schedule that is not stored."""

    kind = "schedule"


class UnknownJobError(UnknownNameError):
    """A row names a job not registered here; a later deploy that has it still runs it."""

    kind = "job"


class RecurrenceError(ConfigError):
    """When a job is to recur makes no sense."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return self.problem


class CronError(RecurrenceError):
    """A cron expression that cannot be read, or that never comes."""

    def __init__(self, expression: str, problem: str) -> None:
        self.expression, self.problem = expression, problem
        ConfigError.__init__(self, expression, problem)

    def __str__(self) -> str:
        return (
            f"cron {self.expression!r}: {self.problem}; write `minute hour day month weekday`, "
            "with seconds `second minute hour day month weekday`, or a name like @daily"
        )


class DuplicateJobError(ConfigError):
    """Two functions want to be the job of one name."""

    def __init__(self, name: str, first: str, second: str) -> None:
        self.name, self.first, self.second = name, first, second
        super().__init__(name, first, second)

    def __str__(self) -> str:
        return (
            f"two jobs are named {self.name!r}: {self.first} and {self.second}; "
            "give one of them another name="
        )


class DatabaseNotConfiguredError(ConfigError):
    """No address of a database was given anywhere."""

    def __str__(self) -> str:
        return (
            "no database is configured: pass a DSN to PostgresAdapter, or set "
            "ASYNCJOBS_DATABASE_URL or DATABASE_URL; without any, `asyncjobs dev` "
            "starts a PostgreSQL of its own"
        )


class AppNotFoundError(ConfigError):
    """The JobManager that a command is for cannot be found or imported."""
