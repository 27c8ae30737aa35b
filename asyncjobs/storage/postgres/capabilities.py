"""What a server can do: PostgreSQL all of it, a pooler or an engine like it perhaps less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg

from asyncjobs.errors import ConfigError, UnknownOptionError
from asyncjobs.logs import get_logger
from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT, ask, transaction

if TYPE_CHECKING:
    from asyncjobs.storage.postgres.statements import Statements

TRIES = {
    "skip_locked": "select 1 from (select 1) as one for update skip locked",
    "notify": "select pg_notify('asyncjobs', '')",
    "advisory_locks": "select pg_advisory_xact_lock(0)",
}
ISOLATION = "select current_setting('default_transaction_isolation')"


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What may be asked of a server.

    Each is probed when the adapter opens; what is False here is not even tried. Without one
    of them nothing is lost but what its line says.
    """

    skip_locked: bool = True
    """Claims pass over what others have locked. Without, they take turns, one at a time."""
    notify: bool = True
    """Workers are woken by NOTIFY. Without, they poll every `sleep_delay`."""
    advisory_locks: bool = True
    """Migrations wait for each other by a lock. Without, those that collide begin again."""
    prepared_statements: bool = True
    """Statements keep their plans. Without, each is parsed and planned every time."""
    read_committed: bool = True
    """Transactions are READ COMMITTED by default. Without, each statement is put into one
    that is, which takes two more round trips."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not isinstance(value := getattr(self, field.name), bool):
                raise ConfigError(
                    f"capabilities must be True or False each, got {field.name}={value!r}"
                )

    def __and__(self, other: Capabilities) -> Capabilities:
        """Return what both can do."""
        names = [field.name for field in fields(self)]
        both = {name: getattr(self, name) and getattr(other, name) for name in names}
        return Capabilities(**both)


EVERYTHING = Capabilities()


def as_capabilities(given: Capabilities | Mapping[str, bool] | None) -> Capabilities:
    """Return what may be asked: everything but what *given* forbids. Raises ConfigError."""
    if given is None or isinstance(given, Capabilities):
        return given or EVERYTHING
    if not isinstance(given, Mapping):
        raise ConfigError(f"capabilities must be Capabilities or a dict, got {given!r}")
    known = [field.name for field in fields(Capabilities)]
    for name in given:
        if name not in known:
            raise UnknownOptionError(name, known)
    return Capabilities(**given)


async def probe(
    connection: asyncpg.Connection, wanted: Capabilities, statements: Statements
) -> Capabilities:
    """Return which of *wanted* the server of *connection* can do."""
    try:
        row = await ask(connection, statements.probe_server)
    except LACKING:
        found = await _try_each(connection)
    else:
        found = Capabilities(
            notify=row["notify"],
            advisory_locks=row["advisory_locks"],
            read_committed=row["isolation"] == "read committed",
        )
        # A pooler gives out process numbers of its own.
        if wanted.prepared_statements and row["pid"] != connection.get_server_pid():
            kept = await _keeps_statements(connection)
            found = replace(found, prepared_statements=kept)
            get_logger().info("pooler.found", prepared_statements=kept)
    return wanted & found


async def _try_each(connection: asyncpg.Connection) -> Capabilities:
    found = {}
    for name, statement in TRIES.items():
        try:
            await ask(connection, statement)
            found[name] = True
        except LACKING:
            found[name] = False
    try:
        isolation = (await ask(connection, ISOLATION))[0]
    except LACKING:
        isolation = "unknown"
    return Capabilities(**found, read_committed=isolation == "read committed")


async def _keeps_statements(connection: asyncpg.Connection) -> bool:
    # A pooler that keeps statements for its clients renames them: the server knows ours by
    # another name. By our own, it is lost with the next transaction, on another server
    # connection; and another client's of that name may already be there.
    name = f"asyncjobs_{uuid4().hex}"
    query = f"select name from pg_prepared_statements where statement like '%{name}%'"  # noqa: S608
    try:
        async with transaction(connection):
            prepared = await connection.prepare(query, name=name, timeout=HOT_TIMEOUT)
            known = {row["name"] for row in await prepared.fetch(timeout=HOT_TIMEOUT)}
            if name in known:
                await connection.execute(f'deallocate "{name}"', timeout=HOT_TIMEOUT)
    except LACKING:
        return False
    return bool(known) and name not in known


LACKING = (
    asyncpg.SyntaxOrAccessError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.UndefinedObjectError,
)
"""How a server says that it knows no such thing."""
