"""Whether this machine's workers live, and whether the database can be worked with.

For probes: two short statements on one connection, and a yes or no. Workers are told from those
of other machines and containers by what they say of themselves when they register: see
`asyncjobs.worker.identity`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.errors import AsyncJobsError, ConfigError, NotMigratedError
from asyncjobs.glance.words import duration, plural
from asyncjobs.settings import mask_dsn
from asyncjobs.storage.postgres import PostgresAdapter
from asyncjobs.storage.postgres.failures import UNAVAILABLE, translate, translated
from asyncjobs.storage.postgres.migrate import REQUIRED_VERSION, check_version
from asyncjobs.storage.postgres.statements import Statements
from asyncjobs.storage.postgres.transactions import transaction
from asyncjobs.types import LocalWorker
from asyncjobs.worker.identity import gone, host_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from asyncjobs.storage.protocol import Storage


class Verdict(NamedTuple):
    """What a probe says."""

    ok: bool
    what: str


class Whose(NamedTuple):
    """Which workers of this machine are meant, and how many of them there must be."""

    group: str | None = None
    pid: int | None = None
    least: int = 1


async def is_ready(storage: Storage, timeout: float) -> Verdict:
    """Say whether the database answers within *timeout* seconds, with a schema that fits.

    Raises ConfigError if there is no address of a database, or one that makes no sense.
    """
    adapter = _postgres(storage)
    try:
        await _asked(adapter, timeout, None)
    except ConfigError:
        raise
    except AsyncJobsError as error:
        return Verdict(False, f"not ready: {mask_dsn(str(error))}")
    return Verdict(True, "ready: the database answers, and its schema fits")


async def is_alive(storage: Storage, timeout: float, whose: Whose) -> Verdict:
    """Say whether the workers of this machine or container sent signs of life lately.

    Whose process has ended does not count. While the database does not answer nobody can tell,
    and the answer is yes: to start workers anew would not help.

    Raises ConfigError if there is no address of a database, or one that makes no sense.
    """
    adapter = _postgres(storage)
    try:
        rows = await _asked(adapter, timeout, host_id())
    except ConfigError:
        raise
    except AsyncJobsError as error:
        return Verdict(True, f"alive, as far as one can tell: {mask_dsn(str(error))}")
    return judged(rows, whose)


def judged(rows: Sequence[dict[str, Any]], whose: Whose) -> Verdict:
    """Say whether the workers of *rows*, all of this machine, are those that there must be."""
    ended = gone(LocalWorker(row["id"], row["pid"], row["process_started"]) for row in rows)
    present = [
        row
        for row in rows
        if row["id"] not in ended
        and whose.group in {None, row["group"]}
        and whose.pid in {None, row["pid"]}
    ]
    for row in present:
        if row["silent"] > row["lease"]:
            return Verdict(
                False,
                f"the worker {row['name']} (pid {row['pid']}) has been silent for "
                f"{duration(row['silent'])}, longer than its lease of {duration(row['lease'])}",
            )
    if len(present) < whose.least:
        return Verdict(
            False,
            f"{plural(len(present), 'worker')} of this machine or container where there must be "
            f"{whose.least}",
        )
    return Verdict(True, f"alive: {plural(len(present), 'worker')} of this machine or container")


async def _asked(
    adapter: PostgresAdapter, timeout: float, host: str | None
) -> list[dict[str, Any]]:
    # Raises the errors of this package.
    try:
        async with asyncio.timeout(timeout):
            with translated(adapter.schema):
                return await _ask(adapter, host)
    except TimeoutError as error:
        known = translate(error, adapter.schema)
        raise known or error from None


async def _ask(adapter: PostgresAdapter, host: str | None) -> list[dict[str, Any]]:
    statements = Statements.load(adapter.schema)
    source = adapter.access.source
    connection = await source.take("health")
    try:
        async with transaction(connection):
            newest = await connection.fetch(statements.current_migration)
            if not newest or newest[0]["version"] < REQUIRED_VERSION:
                raise NotMigratedError(adapter.schema)
            check_version(adapter.schema, newest[0]["version"], newest[0]["needs"])
            rows = [] if host is None else await _local(connection, statements, host)
    except BaseException:
        source.throw_away(connection)
        raise
    with contextlib.suppress(*UNAVAILABLE):  # what was asked is answered
        await source.give_back(connection)
    return [dict(row) for row in rows]


async def _local(
    connection: asyncpg.Connection, statements: Statements, host: str
) -> Sequence[asyncpg.Record]:
    rows: Sequence[asyncpg.Record] = await connection.fetch(statements.examine_local_workers, host)
    return rows


def _postgres(storage: Storage) -> PostgresAdapter:
    if not isinstance(storage, PostgresAdapter):
        kind = type(storage).__name__
        raise ConfigError(f"health asks a PostgresAdapter; a {kind} tells other processes nothing")
    return storage
