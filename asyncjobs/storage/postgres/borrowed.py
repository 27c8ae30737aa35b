"""Connections that may be a pool's, which takes them back when it is closed or terminated.

asyncpg refuses every word to such a connection, also the question whether it is closed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from asyncpg import Connection


def is_closed(connection: Connection) -> bool:
    """Return whether *connection* is of no use any more: closed, or its pool's again."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


def abort(connection: Connection) -> None:
    """Abort *connection*, unless it is its pool's again."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()
