"""The storage cannot do what it was asked."""

from __future__ import annotations

from asyncjobs.errors.base import AsyncJobsError


class StorageError(AsyncJobsError):
    """The database cannot do what was asked."""


class StorageUnavailableError(StorageError, ConnectionError):
    """The database did not answer. Whether the last statement took effect is not known."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"the database is not available: {self.problem}"


class RowRefusedError(StorageError):
    """The database refuses a value; the same batch without it may be stored."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"the database refuses a value: {self.problem}"


class KeyInDoubtError(StorageError):
    """A transaction that has not ended stores a job with the same unique key, or changes the same
    limit, schedule or job.

    What holds is not known before; `later`, what changes jobs and schedules, and a worker that
    ends a run, wait for it.
    """

    def __init__(self, key: str = "a job with the same unique key") -> None:
        self.key = key
        super().__init__(key)

    def __str__(self) -> str:
        return f"another transaction, which has not ended, stores or changes {self.key}"


class NotPermittedError(StorageError, PermissionError):
    """The database's user may not do what was asked."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"the database does not permit it: {self.problem}"


class NotMigratedError(StorageError):
    """The database has no tables of ours, or older ones."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        super().__init__(schema)

    def __str__(self) -> str:
        return (
            f"the schema {self.schema!r} in this database is missing or not up to date: "
            "run `asyncjobs migrate`"
        )


class SchemaTooNewError(StorageError):
    """The tables were migrated by a later version that this one cannot work with."""

    def __init__(self, schema: str, found: int, needs: int, known: int) -> None:
        self.schema, self.found, self.needs, self.known = schema, found, needs, known
        super().__init__(schema, found, needs, known)

    def __str__(self) -> str:
        return (
            f"the schema {self.schema!r} is at version {self.found}, which needs an asyncjobs "
            f"that knows version {self.needs}; this one knows {self.known}: deploy a later one"
        )


class MigrationChangedError(StorageError):
    """A migration that was applied is not the one in this package."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"the migration {self.name} was applied with other contents than it has here"
