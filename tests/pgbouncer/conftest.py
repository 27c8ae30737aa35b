"""PgBouncer in transaction mode before the suite's server. `make test-pgbouncer` installs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from asyncjobs.storage.embedded.account import process_options, service_account

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.append(str(Path(__file__).parents[1] / "storage"))  # for load.py

SERVER_CONNECTIONS = 3
"""Fewer than our lanes: each statement may meet another server connection than the last."""
PATIENCE = 20.0
CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 500
server_round_robin = 1
"""


class Pooler:
    """A running PgBouncer."""

    def __init__(self, command: list[str], options: dict[str, Any], port: int) -> None:
        self._command, self._options, self._port = command, options, port

    def through(self, dsn: str) -> str:
        """Return the address of the database *dsn* through here."""
        url = urlsplit(dsn)
        user = url.netloc.rpartition("@")[0]
        return url._replace(netloc=f"{user}@127.0.0.1:{self._port}").geturl()

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(self._command, **self._options)
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, with all its connections."""
        self._process.terminate()
        self._process.wait(PATIENCE)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@pytest.fixture(scope="session")
def pooler(server_dsn: str) -> Iterator[Pooler]:
    with running(server_dsn, SERVER_CONNECTIONS) as found:
        yield found


@pytest.fixture(scope="session")
def narrow_pooler(server_dsn: str) -> Iterator[Pooler]:
    """One with a single connection to the server: all that is sent meets on it."""
    with running(server_dsn, 1) as found:
        yield found


@contextmanager
def running(server_dsn: str, connections: int) -> Iterator[Pooler]:
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed; `make test-pgbouncer` does that")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="asyncjobs-pgbouncer-"))
    folder.chmod(0o755)  # it runs as another user when root runs tests
    url = urlsplit(server_dsn)
    facts = {"host": url.hostname, "port": url.port, "user": url.username}
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(**facts, own_port=port, pool=connections))
    pooler = Pooler([program, "-q", str(file)], process_options(service_account(folder)), port)
    pooler.start()
    yield pooler
    pooler.stop()
    shutil.rmtree(folder)
