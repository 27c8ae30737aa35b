"""What is said of an address that does not lead to a database, and what is never said."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from asyncjobs import ConfigError, PostgresAdapter, StorageUnavailableError
from asyncjobs.doctor import diagnose
from asyncjobs.storage.postgres.address import place_of
from asyncjobs.storage.postgres.source import DsnSource

if TYPE_CHECKING:
    from collections.abc import Iterator

ESCAPES = "write @ / # ? [ ] in a user or a password as %40"
PORT = "a port must be a whole number from 1 to 65535"


@pytest.fixture(autouse=True)
def nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "ASYNCJOBS_DATABASE_URL DATABASE_URL PGHOST PGPORT PGDATABASE PGSERVICE PGSSLMODE"
    for name in names.split():
        monkeypatch.delenv(name, raising=False)


async def refusal(dsn: str | None, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        await DsnSource(dsn, options).take("test")
    return str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("mysql://x/y", "it must begin with postgresql://, not with 'mysql://'"),
        ("bogus", "it must begin with postgresql://"),
        ("localhost:5432", "it must begin with postgresql://"),
        ("postgresql://h:abc/x", f"{PORT}; the form is postgresql://user:password@host"),
        ("postgresql://me@h:abc/x", f"{PORT}, got 'abc'"),
        ("postgresql://one:1,two:2x/x?target_session_attrs=any", PORT),
        ("postgresql:///x?host=h&port=abc", f"{PORT}, got 'abc'"),
        ("postgresql://me@localhost:70000/x", f"{PORT}, got '70000'"),
        ("postgresql://me@localhost:0/x", f"{PORT}, got '0'"),
        ("postgresql://me@one:1,two:70000/x", f"{PORT}, got '70000'"),
        ("postgresql:///x?host=localhost&port=70000", f"{PORT}, got '70000'"),
        ("postgresql://h/x?sslmode=foo", "sslmode must be one of disable, allow, prefer, require, "
         "verify-ca, verify-full, got 'foo'"),
        ("postgresql://h/x?target_session_attrs=q", "target_session_attrs must be one of any"),
        ("postgresql://h/x?sslmode", "what follows its ? must be name=value"),
        ("postgresql://[::1/x", "an IPv6 address must stand in [ and ]"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_an_address_is_said(dsn: str, reason: str) -> None:
    told = await refusal(dsn)
    assert told.startswith(f"the database's address cannot be used: {reason}")
    assert ESCAPES not in told


@pytest.mark.parametrize("port", [70000, "70000", [1, 70000]])
async def test_a_port_that_cannot_be_one_is_refused_wherever_it_is_said(
    port: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = port[-1] if isinstance(port, list) else port
    told = await refusal("postgresql://me@localhost:1/x", host=["localhost"] * 2, port=port)
    assert told == f"the database's address cannot be used: {PORT}, got {wrong}"
    monkeypatch.setenv("PGPORT", str(wrong))
    assert f"{PORT}, got '{wrong}'" in await refusal("postgresql://me@localhost/x")
    assert f"{PORT}, got '{wrong}'" in await refusal("postgresql://me@one:1,localhost/x")


async def test_a_port_that_another_one_takes_the_place_of_is_not_looked_at(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "70000")
    host, port = urlsplit(dsn).hostname, urlsplit(dsn).port
    elsewhere = dsn.replace(f"{host}:{port}", "localhost:70000")
    source = DsnSource(elsewhere, {"host": host, "port": port})
    await source.give_back(await source.take("test"))
    source = DsnSource(dsn, {})
    await source.give_back(await source.take("test"))


async def test_who_said_the_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://x/y")
    assert "the database's address (from DATABASE_URL) cannot be used" in await refusal(None)


async def test_an_option_of_the_drivers_that_makes_no_sense_is_not_taken_for_the_address() -> None:
    told = await refusal("postgresql://127.0.0.1:1/x", command_timeout=-1)
    assert "each option of connect (command_timeout) one of asyncpg.connect" in told


@pytest.mark.parametrize(
    ("dsn", "place"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/shop", "127.0.0.1:1/shop"),
        ("postgresql://127.0.0.1:1", "127.0.0.1:1"),
        ("postgresql://me:hunter2@nowhere.invalid/shop", "nowhere.invalid:5432/shop"),
        ("postgresql:///shop?host=/nowhere&password=hunter2", "/nowhere:5432/shop"),
        ("postgresql://me:hunter2@/?host=127.0.0.1&port=1&dbname=shop", "127.0.0.1:1/shop"),
    ],
)
async def test_where_nobody_answers_is_said(dsn: str, place: str) -> None:
    with pytest.raises(StorageUnavailableError) as caught:
        await PostgresAdapter(dsn).open()
    assert str(caught.value).startswith(f"the database is not available: {place}: ")
    assert "rror: [Errno " in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_where_a_server_is_silent_is_said() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        closed.set()

    closed = asyncio.Event()
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        dsn = f"postgresql://me:hunter2@127.0.0.1:{port}/shop?sslmode=disable"
        with pytest.raises(TimeoutError, match=f"^127.0.0.1:{port}/shop: no answer$"):
            await DsnSource(dsn, {"timeout": 0.1}).take("test")
        server.close()
        await closed.wait()


def test_a_place_that_is_elsewhere_said_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of("postgresql://", {"host": "h", "port": 7, "database": "x"}) == "h:7/x"
    assert place_of("postgresql:///x", {}) == "localhost:5432/x"
    monkeypatch.setenv("PGHOST", "one,two")
    assert place_of("postgresql:///x", {}) == "one:5432,two:5432/x"
    assert place_of("postgresql:///x?service=shop", {}) is None


TORN = [
    f"postgresql://me:{password}@127.0.0.1{hosts}:1/shop"
    for password in (
        "hun/ter2", "hun#ter2", "hun?ter2", "hun[ter2", "hun]ter2", "hun@ter2", "12/ter2",
        "12?ter2", "12#ter2", "1,hun/ter2", "hun@ter/2ter2", "ter2://hun/x", "hun:ter2/x",
        "hun,ter2/x",
    )
    for hosts in ("", ":1,127.0.0.1")
]  # fmt: skip


@pytest.fixture
def told() -> Iterator[list[Any]]:
    """All that is logged."""
    found: list[Any] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    with capture_logs() as events:
        yield found
        found += events
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "dsn",
    [
        *TORN,
        "me:hunter2@h/x",
        "hunter2",
        "mysql://me:hunter2@h/x",
        "postgresql://me:hunter2/x",  # the host was left out
        "postgresql://me:hunter2@127.0.0.1:99999/x",
        "postgresql://me:hunter2@127.0.0.1:1,127.0.0.1:2/x",
        "postgresql://me@127.0.0.1:1/x?password=hunter2&sslmode=require",
    ],
)
async def test_no_part_of_a_password_is_told(dsn: str, told: list[Any]) -> None:
    with pytest.raises((ConfigError, StorageUnavailableError)) as caught:
        await PostgresAdapter(dsn).open()
    shown = "".join(traceback.format_exception(caught.value))
    findings = await diagnose(PostgresAdapter(dsn), "main")
    for text in (shown, str(findings), str(told)):
        assert "ter2" not in text
        assert "hun" not in text
    assert (ESCAPES in str(caught.value)) == (dsn in TORN)
