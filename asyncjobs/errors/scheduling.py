"""A call that was not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.errors.base import AsyncJobsError

if TYPE_CHECKING:
    from collections.abc import Collection


class ScheduleError(AsyncJobsError):
    """A call could not be stored. Nothing was."""


class WaitError(ScheduleError, ValueError):
    """A time that a job cannot be scheduled for."""


class ArgumentError(ScheduleError, TypeError):
    """Arguments that do not fit the job, or that JSON cannot hold."""

    tells_of: Collection[str] | None = None
    """The arguments whose values *problem* may tell, if that is known; otherwise of any."""

    def __init__(self, job: str, problem: str, tells_of: Collection[str] | None = None) -> None:
        self.job, self.problem = job, problem
        if tells_of is not None:
            self.tells_of = tells_of
        super().__init__(job, problem)

    def __str__(self) -> str:
        return f"job {self.job!r}: {self.problem}"


class ConcurrencyKeyError(ScheduleError, ValueError):
    """A concurrency key that cannot be one, or could not be made from the arguments."""

    tells_of: Collection[str] | None = None
    """The arguments whose values *problem* may tell, if that is known; otherwise of any."""

    def __init__(
        self, job: str | None, problem: str, tells_of: Collection[str] | None = None
    ) -> None:
        self.job, self.problem = job, problem
        if tells_of is not None:
            self.tells_of = tells_of
        super().__init__(job, problem)

    def __str__(self) -> str:
        where = "" if self.job is None else f"job {self.job!r}: "
        return f"{where}the concurrency key {self.problem}"


class BatchTooLargeError(ScheduleError, ValueError):
    """More calls at once than one statement takes."""

    def __init__(self, most: int, found: int) -> None:
        self.most, self.found = most, found
        super().__init__(most, found)

    def __str__(self) -> str:
        return f"later.many takes at most {self.most} calls at once, got {self.found}"


class JobExistsError(ScheduleError):
    """An equal job is stored already, and a unique one was asked for with "raise"."""

    def __init__(self, job: str, id: int | None) -> None:  # noqa: A002 - what jobs call it
        self.job, self.id = job, id
        super().__init__(job, id)

    def __str__(self) -> str:
        if self.id is None:
            return f"two calls of the job {self.job!r} in one batch have the same unique key"
        return f"the job {self.job!r} exists already, with the same unique key: {self.id}"


class NotAJobError(ScheduleError, TypeError):
    """`later` was given something else than a call of a job or a job."""


class ConnectionKindError(ScheduleError, TypeError):
    """A ``connection=`` through which no row can be written."""


class MiddlewareError(ScheduleError):
    """A middleware around the storing of calls passed more or fewer of them on."""

    def __init__(self, given: int, passed: int) -> None:
        self.given, self.passed = given, passed
        super().__init__(given, passed)

    def __str__(self) -> str:
        return f"a middleware was given {self.given} jobs to store and passed {self.passed} on"


class NotOpenError(ScheduleError, RuntimeError):
    """The manager has not been opened, so there is no connection to store a job by."""

    job: str | None = None
    """The name of the one with ``process=True`` in whose process that is; None elsewhere."""

    def __init__(self, job: str | None = None) -> None:
        super().__init__(*(() if job is None else (job,)))
        if job is not None:
            self.job = job

    def __str__(self) -> str:
        if self.job is not None:
            return (
                f"the job {self.job!r} has process=True, and in its process no job manager is "
                "open: return what an `async def` job or a hook is to schedule from, or call the "
                "SQL function `enqueue`"
            )
        return (
            "the job manager is not open: use `FastAPI(lifespan=jobs.lifespan())`, "
            "or `async with jobs:` around the code that schedules"
        )
