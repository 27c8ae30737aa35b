"""Databases of a server for tests, as many as they want, and each used by many in turn."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from asyncjobs.storage.postgres.migrate import migrate_database

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

OURS = 16_384
"""The first oid that is not PostgreSQL's own."""
FINGERPRINT = f"""
    select md5(string_agg(fact, ' ' order by fact)) from (
        select concat_ws(' ', 'class', oid, relname, relnamespace, relowner, reloptions, relacl,
                         relrowsecurity, relhastriggers) as fact
          from pg_class where oid >= {OURS} and relkind <> 't'
        union all
        select concat_ws(' ', 'column', attrelid, attname, atttypid, attnotnull, attoptions)
          from pg_attribute where attrelid >= {OURS} and attnum > 0
        union all
        select concat_ws(' ', 'function', oid, xmin, proacl) from pg_proc where oid >= {OURS}
        union all
        select concat_ws(' ', 'schema', oid, nspname, nspacl) from pg_namespace
         where nspname not like 'pg\\_%temp\\_%'
        union all
        select concat_ws(' ', 'type', oid, xmin) from pg_type where oid >= {OURS}
        union all
        select concat_ws(' ', 'constraint', oid, xmin) from pg_constraint where oid >= {OURS}
        union all
        select concat_ws(' ', 'trigger', oid, xmin) from pg_trigger where oid >= {OURS}
        union all
        select concat_ws(' ', 'default', oid, xmin) from pg_attrdef where oid >= {OURS}
        union all
        select concat_ws(' ', 'index', indexrelid, indisvalid) from pg_index
         where indexrelid >= {OURS}
        union all
        select concat_ws(' ', 'settings', setrole, setconfig) from pg_db_role_setting
         where setdatabase = (select oid from pg_database where datname = current_database())
        union all
        select concat_ws(' ', 'migration', m) from asyncjobs.migrations m
        union all
        select concat_ws(' ', 'analyzed', starelid) from pg_statistic where starelid >= {OURS}
        union all
        select concat_ws(' ', 'extension', extname) from pg_extension
    ) facts
"""
"""What a test may have changed beside rows; other kinds of objects are not made by any."""
END_OTHERS = """
    select pg_terminate_backend(pid, 10000) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()
"""
EMPTY = """
    truncate asyncjobs.jobs, asyncjobs.workers, asyncjobs.statistics, asyncjobs.totals,
             asyncjobs.unique_keys, asyncjobs.limits, asyncjobs.lanes, asyncjobs.schedules,
             asyncjobs.declarations, asyncjobs.maintenance
    restart identity
"""


class Databases:
    """Creates, lends and drops databases of the server at *dsn*.

    It has a thread and a connection of its own, because an async test may be running its loop
    in ours, and ask for a database only then. Nobody waits for what is done at a test's end.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._runner = asyncio.Runner()
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._connection: asyncpg.Connection | None = None
        self._template: str | None = None
        self._fingerprint: str | None = None
        self._free: list[str] = []
        self._asked: list[Future[None]] = []

    def create(self, template: str = "template1") -> str:
        """Create a database and return its address."""
        name = f"test_{uuid4().hex}"
        self._run(self._execute(f'create database "{name}" template "{template}"')).result()
        return urlsplit(self._dsn)._replace(path=f"/{name}").geturl()

    def drop(self, dsn: str) -> None:
        """Drop a database soon, whoever is connected."""
        self._asked.append(self._run(self._drop(dsn)))

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Give the address of a database with our schema and nothing in it.

        Soon after, whoever is connected is cut off, and it is emptied for the next one, or
        dropped if more than rows was changed.
        """
        if self._template is None:
            self._template = self.create()
            self._fingerprint = self._run(migrated(self._template)).result()
        dsn = self._free.pop() if self._free else self.create(name_of(self._template))
        yield dsn
        self._asked.append(self._run(self._take_back(dsn)))

    def close(self) -> None:
        """Drop what is left, and wait for it. Raises what went wrong meanwhile."""
        self._run(self._close()).result()
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()
        for asked in self._asked:
            asked.result()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        return self._thread.submit(self._runner.run, coroutine)

    async def _execute(self, statement: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._dsn)
        await self._connection.execute(statement)

    async def _drop(self, dsn: str) -> None:
        await self._execute(f'drop database if exists "{name_of(dsn)}" with (force)')

    async def _take_back(self, dsn: str) -> None:
        if await emptied(dsn) == self._fingerprint:
            self._free.append(dsn)
        else:
            await self._drop(dsn)

    async def _close(self) -> None:
        for dsn in filter(None, [self._template, *self._free]):
            await self._drop(dsn)
        if self._connection is not None:
            await self._connection.close()


def name_of(dsn: str) -> str:
    """Return the name of the database that *dsn* leads to."""
    return urlsplit(dsn).path[1:]


async def migrated(dsn: str) -> str:
    """Give a database our schema, and return its fingerprint."""
    await migrate_database(dsn, schema="asyncjobs")
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval(FINGERPRINT))
    finally:
        await connection.close()


async def emptied(dsn: str) -> str | None:
    """Remove what a test left in a database, and return its fingerprint; None if it cannot be."""
    try:
        connection = await asyncpg.connect(dsn)
    except (OSError, asyncpg.PostgresError):
        return None
    try:
        await connection.execute(END_OTHERS)
        await connection.execute(EMPTY)
        return str(await connection.fetchval(FINGERPRINT))
    except asyncpg.PostgresError:
        return None
    finally:
        await connection.close()


class Servers(dict[str, Databases]):
    """The databases of each server, by its address, until the end of the tests."""

    def __missing__(self, dsn: str) -> Databases:
        self[dsn] = Databases(dsn)
        return self[dsn]

    def forget(self, dsn: str) -> None:
        """Drop what is left on the server at *dsn*, if there were any."""
        if dsn in self:
            self.pop(dsn).close()

    def close(self) -> None:
        """Drop all that is left."""
        for dsn in list(self):
            self.forget(dsn)
