"""What PostgreSQL's and asyncpg's exceptions mean here."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from asyncjobs.errors import (
    AsyncJobsError,
    KeyInDoubtError,
    NotMigratedError,
    NotPermittedError,
    RowRefusedError,
    StorageError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting, cancelled by an administrator
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.ReadOnlySQLTransactionError,  # a failover made this server a standby
    asyncpg.TransactionRollbackError,  # deadlock
    asyncpg.InternalClientError,  # "cannot switch to state": a statement that was cut off
    asyncpg.InterfaceError,
    asyncpg.InvalidTransactionStateError,  # idle in a transaction for too long
    asyncpg.InvalidSQLStatementNameError,  # a pooler that forgot a prepared statement,
    asyncpg.DuplicatePreparedStatementError,  # or mistook another client's for it
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""What may pass by itself: the same statement on a new connection may work later."""

NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""A value that the table does not take, whoever sends it."""


def translate(error: BaseException, schema: str) -> AsyncJobsError | None:
    """Return this package's error for one of asyncpg's; None for what is ours already, or a bug."""
    if isinstance(error, StorageError):
        return None
    if isinstance(error, NOT_MIGRATED):
        return NotMigratedError(schema)
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return NotPermittedError(str(error))
    is_asyncpgs_own = isinstance(error, UNAVAILABLE) and isinstance(error, ValueError)
    if is_asyncpgs_own or isinstance(error, REFUSED):  # the first: what it cannot send
        return RowRefusedError(str(error))
    # Any other error of PostgreSQL, such as a lock timeout, may pass too.
    if isinstance(error, (*UNAVAILABLE, asyncpg.PostgresError)):
        raise_cancellation(error)
        return StorageUnavailableError(f"{type(error).__name__}: {error}")
    return None


@contextmanager
def translated(schema: str, *, is_callers: bool = False) -> Iterator[None]:
    """Raise this package's errors in place of asyncpg's. What is a bug of ours stays as it is,
    and so does, in a transaction that *is_callers*, that it was aborted before."""
    try:
        yield
    except Exception as error:
        if is_callers and isinstance(error, asyncpg.InFailedSQLTransactionError):
            raise
        if (known := translate(error, schema)) is None:
            raise
        raise known from error


@contextmanager
def in_doubt(key: str) -> Iterator[None]:
    """Raise KeyInDoubtError about *key* where the patience with another's transaction is over."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise KeyInDoubtError(key) from error


def raise_cancellation(error: BaseException) -> None:
    """Raise the cancellation of this task whose place *error* took, if there is one.

    asyncpg tidies up while a cancellation passes, and may fail at it when the connection is
    gone: swallowing that error would swallow the cancellation.
    """
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return
    cause = error.__context__
    while cause is not None:
        if isinstance(cause, asyncio.CancelledError):
            raise asyncio.CancelledError from error
        cause = cause.__context__
