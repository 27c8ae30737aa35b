"""What PostgreSQL's and asyncpg's exceptions mean here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from asyncjobs.errors import (
    NotMigratedError,
    NotPermittedError,
    RowRefusedError,
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
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
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


@contextmanager
def translated(schema: str) -> Iterator[None]:
    """Raise this package's errors in place of asyncpg's. What is a bug of ours stays as it is."""
    try:
        yield
    except NOT_MIGRATED as error:
        raise NotMigratedError(schema) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise NotPermittedError(str(error)) from error
    except REFUSED as error:
        raise RowRefusedError(str(error)) from error
    except UNAVAILABLE as error:
        if isinstance(error, ValueError):  # asyncpg's own DataError: an argument it cannot send
            raise RowRefusedError(str(error)) from error
        raise StorageUnavailableError(f"{type(error).__name__}: {error}") from error
    except asyncpg.PostgresError as error:  # a lock timeout, or whatever else may pass
        raise StorageUnavailableError(f"{type(error).__name__}: {error}") from error
