"""Migrations: numbered, forward only, each applied once by whoever comes first."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import asyncpg

from asyncjobs.config import check_whole
from asyncjobs.errors import MigrationChangedError, NotMigratedError, SchemaTooNewError
from asyncjobs.storage.postgres.borrowed import is_closed
from asyncjobs.storage.postgres.capabilities import EVERYTHING, Capabilities, probe
from asyncjobs.storage.postgres.failures import UNAVAILABLE, translated
from asyncjobs.storage.postgres.source import ConnectionSource, DsnSource
from asyncjobs.storage.postgres.statements import (
    Statements,
    check_schema,
    for_schema,
    sql_folder,
)

if TYPE_CHECKING:
    from asyncjobs.storage.postgres.lanes import Lane

REQUIRED_VERSION = 1
"""The oldest schema this program works with: during a rolling deploy, the one before."""
TRIES, LONGEST_PAUSE = 20, 0.2
"""How often a migration that collided with another one begins again, and after how many
seconds at most."""
COLLISIONS = (
    asyncpg.UniqueViolationError,
    asyncpg.DuplicateSchemaError,
    asyncpg.DuplicateObjectError,
    asyncpg.DuplicateTableError,
    asyncpg.TransactionRollbackError,
    asyncpg.InternalServerError,  # "tuple concurrently updated"
)
CHECK = 2_000
"""Milliseconds between two looks of the server whether the one who migrates is still there."""
OUTER, INNER = "$asyncjobs_migrate$", "$asyncjobs_steps$"
"""Quotes that no migration has inside of it."""
NEEDS = re.compile(r"^-- needs: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of ``sql/migrations``."""

    version: int
    name: str
    text: str
    needs: int
    """The lowest version that a program must know to work with the schema from here on."""

    @property
    def checksum(self) -> str:
        """Tells whether what was applied is what is here."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache
def all_migrations() -> tuple[Migration, ...]:
    """Return the migrations of this package, the oldest first."""
    found = []
    for path in sorted((sql_folder() / "migrations").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        needs = NEEDS.search(text)
        if needs is None:
            raise LookupError(f"{path.name} has no line `-- needs: N`")
        found.append(Migration(int(path.stem[:4]), path.stem, text, int(needs.group(1))))
    return tuple(found)


async def migrate_database(dsn: str, schema: str = "asyncjobs") -> list[str]:
    """Bring *schema* in the database at *dsn* to this version; return the steps taken.

    Safe to run from many processes at once. Raises SchemaTooNewError, MigrationChangedError,
    StorageUnavailableError.
    """
    return await migrate(DsnSource(dsn, {}), check_schema(schema))


async def migrate(
    source: ConnectionSource, schema: str, wanted: Capabilities = EVERYTHING
) -> list[str]:
    """Do what `migrate_database` does, by a connection of *source*."""
    with translated(schema):
        connection = await source.take("migrate")
        try:
            wanted = replace(wanted, prepared_statements=False)  # each is used once
            found = await probe(connection, wanted, Statements.load(schema))
            if found.advisory_locks:
                return await _apply_in_turn(connection, schema)
            return await _apply_against_others(connection, schema)
        finally:
            await _leave(source, connection)


async def _leave(source: ConnectionSource, connection: asyncpg.Connection) -> None:
    if is_closed(connection) or connection.is_in_transaction():
        source.throw_away(connection)
        return
    with contextlib.suppress(*UNAVAILABLE):  # what was done is done
        await source.give_back(connection)


async def _apply_in_turn(connection: asyncpg.Connection, schema: str) -> list[str]:
    # Read committed: whoever waited for the lock must see what was done meanwhile.
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("select pg_advisory_xact_lock($1)", _lock_key(schema))
        return await _apply_missing(connection, schema)


async def _apply_against_others(connection: asyncpg.Connection, schema: str) -> list[str]:
    # Two that make the same table collide, and one of them begins again after the other.
    for _ in range(TRIES):
        try:
            async with connection.transaction(isolation="read_committed"):
                return await _apply_missing(connection, schema)
        except COLLISIONS:
            await asyncio.sleep(random.uniform(0.0, LONGEST_PAUSE))  # noqa: S311 - no secret
    async with connection.transaction(isolation="read_committed"):
        return await _apply_missing(connection, schema)


async def _apply_missing(connection: asyncpg.Connection, schema: str) -> list[str]:
    await _end_with_us(connection)
    statements = Statements.load(schema)
    table = for_schema(':"schema".migrations', schema)
    exists = await connection.fetchval("select to_regclass($1) is not null", table)
    applied = await connection.fetch(statements.applied_migrations) if exists else []
    _check_applied(applied, schema)
    taken = []
    for step in all_migrations()[len(applied) :]:
        await connection.execute(for_schema(step.text, schema))
        await connection.execute(
            statements.record_migration, step.version, step.name, step.checksum, step.needs
        )
        taken.append(step.name)
    return taken


async def _end_with_us(connection: asyncpg.Connection) -> None:
    # A long statement of a client that was killed goes on, and others wait for its lock: let
    # the server look now and then whether we are still there, where its system can tell.
    try:
        async with connection.transaction():
            await connection.execute(f"set local client_connection_check_interval = {CHECK}")
    except asyncpg.PostgresError:
        return


def _check_applied(applied: list[asyncpg.Record], schema: str) -> None:
    known = {step.version: step for step in all_migrations()}
    for row in applied:
        step = known.get(row["version"])
        if step is not None and step.checksum != row["checksum"]:
            raise MigrationChangedError(step.name)
    if applied:
        check_version(schema, applied[-1]["version"], applied[-1]["needs"])


async def check_migrated(lane: Lane, schema: str) -> int:
    """Return the version of the schema.

    Raises NotMigratedError or SchemaTooNewError unless this program can work there.
    """
    rows = await lane.fetch(Statements.load(schema).current_migration)
    if not rows or rows[0]["version"] < REQUIRED_VERSION:
        raise NotMigratedError(schema)
    check_version(schema, rows[0]["version"], rows[0]["needs"])
    version: int = rows[0]["version"]
    return version


def check_version(schema: str, found: int, needs: int) -> None:
    """Raise SchemaTooNewError if a schema at *found* needs a later program."""
    known = all_migrations()[-1].version
    if needs > known:
        raise SchemaTooNewError(schema, found, needs, known)


def migration_script(
    schema: str = "asyncjobs", *, after: int = 0, one_statement: bool = False
) -> str:
    """Return all migrations later than the version *after* as one script for psql.

    With *one_statement* it is a single statement without a transaction of its own, which every
    driver sends as it is: for Alembic and other tools that begin and commit by themselves. The
    first line says which version to tell as *after* when there are later ones.

    Raises ConfigError if there is no version *after*.
    """
    check_schema(schema)
    newest = all_migrations()[-1].version
    check_whole("after", after, 0, newest)
    lock = f"pg_advisory_xact_lock({_lock_key(schema)});"
    steps = "\n\n".join(_with_its_record(step) for step in all_migrations() if step.version > after)
    begin, end = "begin isolation level read committed;\n\nselect", "commit;"
    if one_statement:
        begin, end = f"do {OUTER} begin\nperform", f"end {OUTER};"
        steps = f"execute {INNER}\n{steps}\n{INNER};"
    told = f"-- asyncjobs: all migrations up to {newest}; later ones are those --after {newest}\n"
    return for_schema(f"{told}{begin} {lock}\n\n{steps}\n\n{end}\n", schema)


def _with_its_record(step: Migration) -> str:
    return (
        f"{step.text.rstrip()}\n\n"
        'insert into :"schema".migrations (version, name, checksum, needs)\n'
        f"values ({step.version}, '{step.name}', '{step.checksum}', {step.needs});"
    )


def _lock_key(schema: str) -> int:
    digest = hashlib.sha256(f"asyncjobs migrate {schema}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
