"""Runs the checks on one storage, in their order."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from asyncjobs.doctor.checks.connecting import (
    capabilities,
    clock,
    connections,
    listening,
    notifications,
    pooler,
    version,
)
from asyncjobs.doctor.checks.durability import durability
from asyncjobs.doctor.checks.indexes import indexes
from asyncjobs.doctor.checks.keeping import failures, maintenance, unpruned
from asyncjobs.doctor.checks.schedules import schedules, time_zones
from asyncjobs.doctor.checks.schema import migrations, privileges
from asyncjobs.doctor.checks.vacuum import autovacuum, dead_rows, holders
from asyncjobs.doctor.checks.work import leases, pauses, queues, unregistered
from asyncjobs.doctor.examination import Examination
from asyncjobs.doctor.finding import Finding, bad, good, note
from asyncjobs.doctor.hosts import hosts
from asyncjobs.errors import AsyncJobsError, ConfigError, DatabaseNotConfiguredError
from asyncjobs.glance.words import printable
from asyncjobs.settings import CODE, mask_dsn
from asyncjobs.storage.postgres import PostgresAdapter
from asyncjobs.storage.postgres.capabilities import probe
from asyncjobs.storage.postgres.failures import NOT_MIGRATED, UNAVAILABLE, translate
from asyncjobs.storage.postgres.statements import Statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from asyncjobs.manager import JobManager
    from asyncjobs.storage.protocol import Storage

Check: TypeAlias = "Callable[[Examination], AsyncIterator[Finding]]"

OF_SERVERS: tuple[Check, ...] = (
    version,
    capabilities,
    pooler,
    listening,
    notifications,
    clock,
    durability,
    connections,
    holders,
)
"""What can be said of any server."""
OF_TABLES: tuple[Check, ...] = (
    privileges,
    autovacuum,
    dead_rows,
    indexes,
    leases,
    queues,
    pauses,
    unregistered,
    schedules,
    time_zones,
    failures,
    unpruned,
    maintenance,
)
"""What needs our tables."""


async def diagnose(storage: Storage, name: str, jobs: JobManager | None = None) -> list[Finding]:
    """Return all that there is to say of *storage*, which need not be open.

    *name* is what *jobs*, the application, calls it. No error of the database is raised: it is
    a finding.
    """
    if not isinstance(storage, PostgresAdapter):
        kind = type(storage).__name__
        return [note(f"This is no PostgresAdapter but a {kind}: there is nothing to look at.")]
    access = storage.access
    found = [finding._replace(check="hosts") async for finding in hosts(access)]
    try:
        connection = await access.source.take("doctor")
    except (*UNAVAILABLE, asyncpg.PostgresError, AsyncJobsError) as error:
        return [*found, _of_connection(error, storage.schema)]
    try:
        found.append(good(_reached(storage))._replace(check="connection"))
        found += await _examined(storage, name, jobs, connection)
    finally:
        with contextlib.suppress(*UNAVAILABLE):
            await access.source.give_back(connection)
    return found


async def _examined(
    storage: PostgresAdapter, name: str, jobs: JobManager | None, connection: asyncpg.Connection
) -> list[Finding]:
    statements = Statements.load(storage.schema)
    access = storage.access
    capable = await probe(connection, access.wanted, statements)
    exam = Examination(name, storage.schema, access, connection, statements, capable, jobs)
    found = [finding for check in OF_SERVERS for finding in await findings_of(check, exam)]
    of_schema = await findings_of(migrations, exam)
    found += of_schema
    rows = await _version(exam)
    if rows is not None:
        exam.statements = Statements.load(storage.schema, rows)
        found += [finding for check in OF_TABLES for finding in await findings_of(check, exam)]
    return found


async def _version(exam: Examination) -> int | None:
    try:
        rows = await exam.rows(exam.statements.current_migration)
    except asyncpg.PostgresError:
        return None
    return rows[0]["version"] if rows else None


async def findings_of(check: Check, exam: Examination) -> list[Finding]:
    """Return what *check* finds; that it cannot look is a finding too."""
    name = check.__name__
    try:
        return [finding._replace(check=name) async for finding in check(exam)]
    except (*UNAVAILABLE, asyncpg.PostgresError, AsyncJobsError) as error:
        problem = printable(translate(error, exam.schema) or error)
        kind, advice = bad, "Try again."
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            kind, advice = note, "Run the doctor as the owner of the tables."
        elif isinstance(error, NOT_MIGRATED):
            kind, advice = note, "asyncjobs migrate"
        return [kind(f"This could not be looked at: {problem}.", "", advice)._replace(check=name)]


def _reached(storage: PostgresAdapter) -> str:
    address = storage.access.address
    if address is None:
        return "The database answers, by the application's own pool."
    whose = "" if address.origin == CODE else f" (from {address.origin})"
    return f"The database answers: {mask_dsn(address.value)}{whose}."


def _of_connection(error: BaseException, schema: str) -> Finding:
    known = error if isinstance(error, AsyncJobsError) else translate(error, schema)
    what = printable(mask_dsn(str(known or error)))
    advice = "Start the server, or correct the address: `asyncjobs config` shows who said it."
    if isinstance(error, DatabaseNotConfiguredError | ConfigError):
        advice = "ASYNCJOBS_DATABASE_URL=postgresql://user@host/database"
    elif isinstance(error, asyncpg.TooManyConnectionsError):
        advice = "Raise max_connections, or use a pooler; see who has them in pg_stat_activity."
    elif isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        advice = "Correct the user or the password of the address, or pg_hba.conf of the server."
    elif isinstance(error, asyncpg.InvalidCatalogNameError):
        advice = "createdb, or correct the name of the database in the address."
    return bad(f"{what}.", "Nothing can be stored and nothing runs.", advice)._replace(
        check="connection"
    )
