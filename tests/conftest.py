"""A real PostgreSQL for the whole suite, and a database for each test that asks for one.

``ASYNCJOBS_TEST_DSN`` names a server to use, with a user who may create databases. Without
it an embedded one is started once: by the process that hands tests out to pytest-xdist's
workers, or without xdist by the first test that needs it.
"""

from __future__ import annotations

import inspect
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from asyncjobs.storage.embedded import EmbeddedPostgres
from tests.databases import Servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER_VARIABLE = "ASYNCJOBS_TEST_SERVER"  # how the workers learn of the shared server
TOGETHER = (
    "tests/chaos/",
    "tests/storage/test_postgres_plans.py",
    "tests/storage/test_postgres_admin_plans.py",
    "tests/storage/test_postgres_overview.py",
    "tests/typing/",
    "tests/test_build.py",
    "examples/fastapi_app/tests/test_fastapi_demo",
)
"""What one process does from beginning to end, by how the tests' ids begin.

These share something that takes long to make, as a table with a million rows, or need the
machine for themselves.
"""
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
servers = Servers()


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    hands_out = not is_worker and config.getoption("numprocesses", None)
    if hands_out and "ASYNCJOBS_TEST_DSN" not in os.environ:
        shared_server.start()


def pytest_unconfigure() -> None:
    servers.close()
    shared_server.stop()


class Scheduling(LoadScopeScheduling):
    """Hands out one test after the other, but those together that belong together.

    pytest-xdist has a mark for that, which does nothing with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((start for start in TOGETHER if nodeid.startswith(start)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


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
    dsn = servers[server_dsn].create()
    yield dsn
    servers[server_dsn].drop(dsn)


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """A database with our schema, named ``asyncjobs``, and nothing in it."""
    with servers[server_dsn].lent() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def migrated_database(server_dsn: str) -> Callable[[], Any]:
    """A function that returns a context with what the fixture dsn has, for as long as wanted."""
    return servers[server_dsn].lent


@pytest.fixture(scope="session")
def durable_server() -> Iterator[str]:
    """The address of a server of its own, with the settings of production."""
    folder = make_reachable_folder()
    with EmbeddedPostgres.start(folder / "postgres") as postgres:
        yield postgres.dsn
        servers.forget(postgres.dsn)
    shutil.rmtree(folder)


@pytest.fixture
def durable_dsn(durable_server: str) -> Iterator[str]:
    """What the fixture dsn has, on that server."""
    with servers[durable_server].lent() as dsn:
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
