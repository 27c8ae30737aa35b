"""Of several hosts, the primary is found, whatever the others do."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest
from proxy import Proxy

from asyncjobs import ConfigError, PostgresAdapter, StorageUnavailableError
from asyncjobs.storage.postgres import hosts
from asyncjobs.storage.postgres.hosts import HOST_TIMEOUT, Host, several_hosts
from asyncjobs.storage.postgres.source import DsnSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEAD = "127.0.0.1:1"
PATIENCE = 30


def with_hosts(dsn: str, *hosts: str) -> str:
    url = urlsplit(dsn)
    user = url.netloc.rpartition("@")[0]
    return url._replace(netloc=f"{user}@{','.join(hosts)}").geturl()


def place(dsn: str) -> str:
    return urlsplit(dsn).netloc.rpartition("@")[2]


@asynccontextmanager
async def silent_host() -> AsyncIterator[str]:
    """A place that accepts connections and says nothing."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for writer in writers:
        writer.transport.abort()
    server.close()


@pytest.mark.parametrize(
    ("dsn", "found"),
    [
        ("postgresql://one/x", []),
        ("postgresql://u:p@one:7/x", []),
        ("postgresql://one:1,two:2/x", [Host("one", 1), Host("two", 2)]),
        ("postgresql://u:p@one,[::1]:2/x", [Host("one", 5432), Host("::1", 2)]),
        ("postgresql:///x?host=one,two&port=1,2", [Host("one", 1), Host("two", 2)]),
        ("postgresql:///x?host=/run/a,two&port=9", [Host("/run/a", 9), Host("two", 9)]),
        (
            "postgresql://one,two/x?target_session_attrs=primary",
            [Host("one", 5432), Host("two", 5432)],
        ),
    ],
)
def test_hosts_are_read_as_libpq_reads_them(dsn: str, found: list[Host]) -> None:
    assert several_hosts(dsn, {}) == found


async def test_an_address_of_ipv6_may_be_among_them(dsn: str) -> None:
    taken = DsnSource(with_hosts(dsn, "[::1]:1", place(dsn)), {})
    connection = await taken.take("test")
    assert await connection.fetchval("select current_database()") == urlsplit(dsn).path[1:]
    await taken.give_back(connection)


def test_a_password_with_a_bracket_is_a_configuration_error_still() -> None:
    for address in ("postgresql://u:a[b@one,two/x", "postgresql://u:a[b@one/x"):
        with pytest.raises(ValueError, match="IPv6"):
            several_hosts(address, {})


def test_hosts_may_come_from_the_options_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [Host("one", 1), Host("two", 2)]
    assert several_hosts("postgresql:///x", {"host": ["one", "two"], "port": [1, 2]}) == both
    monkeypatch.setenv("PGHOST", "one,two")
    monkeypatch.setenv("PGPORT", "1,2")
    assert several_hosts("postgresql:///x", {}) == both
    assert several_hosts("postgresql://three/x", {}) == []


@pytest.mark.parametrize(
    "wrong", ["postgresql://a,b/x?target_session_attrs=standby", "postgresql://a,b:no/x",
              "postgresql:///x?host=a,b&port=1,2,3"]
)  # fmt: skip
async def test_hosts_that_make_no_sense_are_a_configuration_error(wrong: str) -> None:
    with pytest.raises(ConfigError):
        await PostgresAdapter(wrong).open()


async def test_a_host_that_is_named_twice_answers_once() -> None:
    with anyio.fail_after(PATIENCE), pytest.raises(StorageUnavailableError, match="none of the"):
        await PostgresAdapter(f"postgresql://x@{DEAD},{DEAD}/x").open()


async def test_a_silent_first_host_costs_nothing(dsn: str) -> None:
    async with silent_host() as silent:
        adapter = PostgresAdapter(with_hosts(dsn, silent, DEAD, place(dsn)))
        began = time.monotonic()
        await adapter.open()
        assert time.monotonic() - began < HOST_TIMEOUT
        await adapter.counts()
        await adapter.close()


async def test_the_host_that_was_right_is_asked_alone(dsn: str) -> None:
    async with Proxy.to(dsn) as other, Proxy.to(dsn) as right:
        adapter = PostgresAdapter(with_hosts(dsn, DEAD, place(right.dsn)))
        await adapter.open()
        adapter._dsn = with_hosts(dsn, place(other.dsn), place(right.dsn))
        adapter._tables.lanes.source._dsn = adapter._dsn  # type: ignore[attr-defined]
        await adapter.counts()
        await adapter.close()
        assert right.accepted > 1
        assert other.accepted == 0


async def test_without_a_primary_the_error_says_what_each_host_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "HOST_TIMEOUT", 1.0)
    async with silent_host() as silent:
        adapter = PostgresAdapter(f"postgresql://u@{DEAD},{silent}/x")
        with anyio.fail_after(PATIENCE), pytest.raises(StorageUnavailableError) as caught:
            await adapter.open()
    message = str(caught.value)
    assert "none of the hosts is a primary" in message
    assert "127.0.0.1:1: ConnectionRefusedError" in message
    assert f"{silent}: TimeoutError" in message


async def test_a_user_who_may_not_ask_for_the_timeline_does_without(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    for function in ("pg_walfile_name(pg_lsn)", "pg_current_wal_lsn()"):
        await connection.execute(f"revoke execute on function {function} from public")
    await connection.execute("drop role if exists humble")
    await connection.execute("create role humble login")
    try:
        humble = urlsplit(dsn)._replace(netloc=f"humble@{place(dsn)}").geturl()
        hosts: Any = DsnSource(with_hosts(humble, DEAD, place(dsn)), {})
        taken = await hosts.take("test")
        assert await taken.fetchval("select current_user") == "humble"
        await taken.close()
    finally:
        for function in ("pg_walfile_name(pg_lsn)", "pg_current_wal_lsn()"):
            await connection.execute(f"grant execute on function {function} to public")
        await connection.execute("drop role humble")
        await connection.close()
