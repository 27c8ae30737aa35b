"""No result is to be had of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.errors.base import AsyncJobsError

if TYPE_CHECKING:
    from collections.abc import Mapping


class WaitingError(AsyncJobsError):
    """Somebody waits for a job of which there is no result to be had."""

    def __init__(self, id: int, name: str) -> None:  # noqa: A002 - it is the job's id
        self.id, self.name = id, name
        super().__init__(id, name)

    def __str__(self) -> str:
        return f"the job {self.name!r} ({self.id}) has no result"


class JobFailedError(WaitingError):
    """The job failed, and is not tried again. *record* is that of its last attempt."""

    def __init__(self, id: int, name: str, record: Mapping[str, Any]) -> None:  # noqa: A002
        self.id, self.name, self.record = id, name, dict(record)
        Exception.__init__(self, id, name, self.record)

    @property
    def error(self) -> str:
        """The name of the exception's class."""
        return self.record.get("error") or "unknown"

    @property
    def message(self) -> str:
        """What the exception said."""
        return self.record.get("message") or ""

    def __str__(self) -> str:
        attempt = self.record.get("attempt")
        return (
            f"the job {self.name!r} ({self.id}) failed at attempt {attempt}: "
            f"{self.error}: {self.message}"
        )


class JobCancelledError(WaitingError):
    """The job was cancelled.

    Raised to whoever waits for it, and to itself when it leaves its own transaction, which was
    rolled back.
    """

    def __str__(self) -> str:
        return f"the job {self.name!r} ({self.id}) was cancelled"


class JobGoneError(WaitingError, LookupError):
    """Nothing is stored of the job, neither that it waits nor how it ended."""

    def __str__(self) -> str:
        return (
            f"nothing is stored of the job {self.name!r} ({self.id}): its row was removed, or its "
            "time to be kept is over, or the transaction that stores it is not committed"
        )


class ResultNotKeptError(WaitingError):
    """The job was not asked to keep its result, so nobody can wait for it."""

    def __str__(self) -> str:
        return (
            f"the job {self.name!r} ({self.id}) keeps no result: give the job or the call "
            "a retain=, the time to keep it for"
        )


class ResultTimeoutError(WaitingError, TimeoutError):
    """The job did not end in time. It goes on."""

    def __init__(self, id: int, name: str, timeout: float) -> None:  # noqa: A002
        self.id, self.name, self.timeout = id, name, timeout
        Exception.__init__(self, id, name, timeout)

    def __str__(self) -> str:
        return f"the job {self.name!r} ({self.id}) did not end within {self.timeout:g} s"


class StoredResultError(WaitingError):
    """The stored result does not fit what the job is annotated to return now."""

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        Exception.__init__(self, name, problem)

    def __str__(self) -> str:
        return f"the stored result no longer fits the job {self.name!r}: {self.problem}"


class DetachedJobError(WaitingError, RuntimeError):
    """A ScheduledJob that came from elsewhere, as by pickle, knows no storage to ask."""

    def __str__(self) -> str:
        return (
            f"this ScheduledJob of {self.name!r} came from another process or was copied: "
            f"ask a scheduler for it, `await later.job({self.id})`"
        )
