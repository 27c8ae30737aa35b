"""A real PostgreSQL for the whole suite, and a fresh database for each test that asks for one.

``ASYNCJOBS_TEST_DSN`` names a server to use, with a user who may create databases. Without
it an embedded one is started once: by the process that hands tests out to pytest-xdist's
workers, or without xdist by the first test that needs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from asyncjobs.storage.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

SERVER_VARIABLE = "ASYNCJOBS_TEST_SERVER"  # how the workers learn of the shared server
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}


class SharedServer:
    """The embedded server of this test run; the process that starts it also stops it."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.postgres: EmbeddedPostgres | None = None

    def start(self) -> str:
        """Return the address of the run's server, which is started if there is none yet."""
        if SERVER_VARIABLE not in os.environ:
            self.folder = make_reachable_folder()
            self.postgres = EmbeddedPostgres.start(self.folder / "postgres", settings=SETTINGS)
            os.environ[SERVER_VARIABLE] = self.postgres.dsn
        return os.environ[SERVER_VARIABLE]

    def stop(self) -> None:
        """Stop the server and remove its data, if it was started here."""
        if self.postgres is not None:
            self.postgres.stop()
            del os.environ[SERVER_VARIABLE]
        if self.folder is not None:
            shutil.rmtree(self.folder)


shared_server = SharedServer()


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    hands_out = not is_worker and config.getoption("numprocesses", None)
    if hands_out and "ASYNCJOBS_TEST_DSN" not in os.environ:
        shared_server.start()


def pytest_unconfigure() -> None:
    shared_server.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> None:
    # Before anyio's own hook, which gives the tests with its mark their event loop.
    if collector.istestfunction(obj, name):
        inner = obj.hypothesis.inner_test if hasattr(obj, "hypothesis") else obj
        if inspect.iscoroutinefunction(inner):
            pytest.mark.anyio(obj)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_dsn() -> str:
    """The address of the server's maintenance database, for a user who creates databases."""
    return os.environ.get("ASYNCJOBS_TEST_DSN") or shared_server.start()


@pytest.fixture
def empty_dsn(server_dsn: str) -> Iterator[str]:
    """A fresh database without anything in it; dropped after the test, whoever is connected."""
    yield from fresh_database(server_dsn)


@pytest.fixture
def dsn(server_dsn: str, template: str) -> Iterator[str]:
    """A fresh database with our schema, named ``asyncjobs``; dropped after the test."""
    yield from fresh_database(server_dsn, template=template)


@pytest.fixture(scope="session")
def migrated_database(server_dsn: str, template: str) -> Callable[[], Any]:
    """A function that returns a context with what the fixture dsn has, for as long as wanted."""
    make = contextlib.contextmanager(fresh_database)
    return lambda: make(server_dsn, template=template)


@pytest.fixture(scope="session")
def template(server_dsn: str) -> Iterator[str]:
    """The name of a migrated database of this process. Nobody may connect to it."""
    from asyncjobs.storage.postgres.migrate import migrate_database

    for migrated in fresh_database(server_dsn):
        wait_for(migrate_database(migrated, schema="asyncjobs"))
        yield urlsplit(migrated).path.removeprefix("/")


@pytest.fixture(scope="session")
def durable_server() -> Iterator[str]:
    """The address of a server of its own, with the settings of production."""
    folder = make_reachable_folder()
    with EmbeddedPostgres.start(folder / "postgres") as postgres:
        yield postgres.dsn
    shutil.rmtree(folder)


@pytest.fixture
def durable_dsn(durable_server: str) -> Iterator[str]:
    """A fresh database with our schema on that server."""
    from asyncjobs.storage.postgres.migrate import migrate_database

    for dsn in fresh_database(durable_server):
        wait_for(migrate_database(dsn))
        yield dsn


@pytest.fixture
def reachable_path() -> Iterator[Path]:
    """A fresh folder like tmp_path that PostgreSQL's user can enter too when root runs tests."""
    folder = make_reachable_folder()
    yield folder
    shutil.rmtree(folder)


def make_reachable_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="asyncjobs-tests-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder.resolve()


def fresh_database(server_dsn: str, template: str = "template1") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    wait_for(execute(server_dsn, f'create database "{name}" template "{template}"'))
    yield urlsplit(server_dsn)._replace(path=f"/{name}").geturl()
    wait_for(execute(server_dsn, f'drop database if exists "{name}" with (force)'))


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    # In a thread of its own: an async test may be running its loop in this one, and ask for
    # the fixture only then.
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
