"""Migrations: numbered, forward only, each applied once by whoever comes first."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from asyncjobs.errors import MigrationChangedError, NotMigratedError, SchemaTooNewError
from asyncjobs.storage.postgres.failures import translated
from asyncjobs.storage.postgres.source import ConnectionSource, DsnSource
from asyncjobs.storage.postgres.statements import (
    Statements,
    check_schema,
    for_schema,
    sql_folder,
)

if TYPE_CHECKING:
    import asyncpg

    from asyncjobs.storage.postgres.lanes import Lane

REQUIRED_VERSION = 1
"""The oldest schema this program works with: during a rolling deploy, the one before."""
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


async def migrate(source: ConnectionSource, schema: str) -> list[str]:
    """Do what `migrate_database` does, by a connection of *source*."""
    with translated(schema):
        connection = await source.take("migrate")
        try:
            async with connection.transaction():
                return await _apply_missing(connection, schema)
        finally:
            await source.give_back(connection)


async def _apply_missing(connection: asyncpg.Connection, schema: str) -> list[str]:
    statements = Statements.load(schema)
    await connection.execute("select pg_advisory_xact_lock($1)", _lock_key(schema))
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


def migration_script(schema: str = "asyncjobs") -> str:
    """Return all migrations as one script for psql, for people who apply SQL by hand."""
    check_schema(schema)
    record = 'insert into :"schema".migrations (version, name, checksum, needs)\nvalues'
    parts = ["begin;", f"select pg_advisory_xact_lock({_lock_key(schema)});"]
    for step in all_migrations():
        values = f"({step.version}, '{step.name}', '{step.checksum}', {step.needs});"
        parts += [for_schema(step.text.rstrip(), schema), for_schema(f"{record} {values}", schema)]
    return "\n\n".join([*parts, "commit;\n"])


def _lock_key(schema: str) -> int:
    digest = hashlib.sha256(f"asyncjobs migrate {schema}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
