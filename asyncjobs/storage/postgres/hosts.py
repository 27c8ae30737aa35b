"""Several hosts of one cluster: finding the primary among them.

asyncpg takes the hosts of a DSN in their order, with one time-out for all: after a silent one
it never comes to the next. Here they are asked side by side, the one that was right last time
a little before the others, and the first primary wins.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from asyncjobs.errors import ConfigError, StorageUnavailableError
from asyncjobs.storage.postgres.transactions import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST_TIMEOUT = 5.0
"""Seconds that each host has to show that it is the primary."""
HEAD_START = 0.3
"""Seconds that the primary of last time has before the others are asked too."""
AGAIN = 0.5
"""Seconds until a host is asked again while another one is silent: it may be promoted."""
WRITERS = {"any", "primary", "read-write"}
DEFAULT_PORT = "5432"
AUTHORITY = re.compile(r"(?<=://)[^/?#]*")
ROLE = """
select
    pg_is_in_recovery() as standby,
    case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_lsn()) end as wal
"""
ROLE_ALONE = "select pg_is_in_recovery() as standby, null as wal"


class Host(NamedTuple):
    """One place where the server may be."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


Connect: TypeAlias = Callable[[Host], Awaitable[asyncpg.Connection]]
Asked: TypeAlias = dict[asyncio.Task[asyncpg.Connection], Host]


class WrongHostError(Exception):
    """A host that answers, but is not the primary."""


def several_hosts(dsn: str, options: Mapping[str, Any]) -> list[Host]:
    """Return the hosts that *dsn*, *options* or PGHOST name; nothing if that is only one.

    Raises ConfigError if standbys are asked for, ValueError for ports that make no sense.
    """
    specs, query = _named(dsn, options)
    if len(specs) < 2:
        return []
    wanted = options.get("target_session_attrs") or query.get("target_session_attrs") or "any"
    if wanted not in WRITERS:
        raise ConfigError(f"target_session_attrs must be one of {sorted(WRITERS)}, got {wanted!r}")
    return _with_ports(specs, query, options)


def hosts_of(dsn: str, options: Mapping[str, Any]) -> list[Host]:
    """Return the hosts as `several_hosts` does, also if it is only one.

    That has no name if nobody says any. Raises ValueError.
    """
    return _with_ports(*_named(dsn, options), options)


def _named(dsn: str, options: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    rest, named = _split(dsn)
    query = {name: values[-1] for name, values in parse_qs(urlsplit(rest).query).items()}
    spec = options.get("host") or named or query.get("host") or os.environ.get("PGHOST", "")
    return spec.split(",") if isinstance(spec, str) else list(spec), query


def _with_ports(
    specs: Sequence[str], query: Mapping[str, str], options: Mapping[str, Any]
) -> list[Host]:
    port = options.get("port") or query.get("port") or os.environ.get("PGPORT") or DEFAULT_PORT
    ports = [str(each) for each in (port if isinstance(port, list | tuple) else [port])]
    ports = ",".join(ports).split(",")
    if len(ports) not in {1, len(specs)}:
        raise ConfigError(f"the database's address has {len(ports)} ports for {len(specs)} hosts")
    return [_host(each, ports[place % len(ports)]) for place, each in enumerate(specs)]


def alone(host: Host, dsn: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return address and options to connect to *host* of those of *dsn*, whatever role it has."""
    rest, _ = _split(dsn)
    only = {"host": host.name, "port": host.port, "target_session_attrs": "any"}
    return rest, {**options, "timeout": HOST_TIMEOUT, **only}


def _split(dsn: str) -> tuple[str, str]:
    """Return *dsn* without its hosts, and these.

    From 3.14 on Python's own functions, and so asyncpg, refuse an IPv6 address among several.
    """
    if (found := AUTHORITY.search(dsn)) is None:
        return dsn, ""
    user, at, hosts = found[0].rpartition("@")
    return f"{dsn[: found.start()]}{user}{at}{dsn[found.end() :]}", unquote(hosts)


def _host(spec: str, port: str) -> Host:
    if spec.startswith("/"):
        return Host(spec, int(port))
    if spec.startswith("["):
        name, _, rest = spec[1:].partition("]")
        return Host(name, int(rest.removeprefix(":") or port))
    name, _, own = spec.partition(":")
    return Host(name, int(own or port))


class Primary:
    """What is known of one cluster's primary, for all connections of a process."""

    def __init__(self) -> None:
        self._last: Host | None = None
        self._timeline = 0
        self._leaving: set[asyncio.Task[asyncpg.Connection]] = set()

    async def find(self, hosts: Sequence[Host], connect: Connect) -> asyncpg.Connection:
        """Return a connection to the primary among *hosts*, made by *connect*.

        Raises StorageUnavailableError that says what each host said, once each has answered
        or had its time. ConfigError and ValueError of *connect* pass.
        """
        asked: Asked = {}
        hosts = list(dict.fromkeys(hosts))  # what is said is known by host: each is asked once

        def begin(host: Host, after: float = 0.0) -> None:
            asked[asyncio.create_task(self._try(host, connect, after))] = host

        try:
            first, *others = sorted(hosts, key=lambda host: host != self._last)
            begin(first)
            if first != self._last or not await _succeeds(asked, HEAD_START):
                for host in others:
                    begin(host)
            return await self._first_primary(asked, len(hosts), begin)
        finally:
            for task in asked:
                self._leave(task)

    async def _first_primary(
        self, asked: Asked, hosts: int, begin: Callable[[Host, float], None]
    ) -> asyncpg.Connection:
        said: dict[Host, BaseException] = {}
        while True:
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                host = asked.pop(task)
                error = task.exception()
                if error is None:
                    self._last = host
                    return task.result()
                _check(error)
                said[host] = error
                if len(said) == hosts:
                    raise _nobody(said)
                begin(host, AGAIN)

    async def _try(self, host: Host, connect: Connect, after: float) -> asyncpg.Connection:
        await asyncio.sleep(after)
        connection = await connect(host)
        try:
            async with asyncio.timeout(HOST_TIMEOUT):
                await self._examine(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _examine(self, connection: asyncpg.Connection) -> None:
        settings = connection.get_settings()
        if getattr(settings, "default_transaction_read_only", "off") == "on":
            raise WrongHostError("is read-only")
        try:
            role = await ask(connection, ROLE)
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError:  # not every user may ask for the timeline
            role = await ask(connection, ROLE_ALONE)
        if role["standby"]:
            raise WrongHostError("is a standby")
        timeline = int(role["wal"][:8], 16) if role["wal"] else self._timeline
        if timeline < self._timeline:
            raise WrongHostError(
                f"is a primary of timeline {timeline}, but timeline {self._timeline} was seen: "
                "an old primary that came back"
            )
        self._timeline = timeline

    def _leave(self, task: asyncio.Task[asyncpg.Connection]) -> None:
        # In the background: a silent host must not hold up what another one said.
        self._leaving.add(task)
        task.add_done_callback(self._left)
        task.cancel()

    def _left(self, task: asyncio.Task[asyncpg.Connection]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and task.exception() is None:
            task.result().terminate()


async def _succeeds(tasks: Asked, timeout: float) -> bool:
    done, _ = await asyncio.wait(tasks, timeout=timeout)
    return any(task.exception() is None for task in done)


def _check(error: BaseException) -> None:
    is_config = isinstance(error, ValueError | ConfigError)
    if is_config or not isinstance(error, Exception):
        raise error


def _nobody(said: Mapping[Host, BaseException]) -> StorageUnavailableError:
    parts = [
        f"{host} {error}" if isinstance(error, WrongHostError) else f"{host}: {_short(error)}"
        for host, error in said.items()
    ]
    return StorageUnavailableError(f"none of the hosts is a primary ({'; '.join(parts)})")


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
