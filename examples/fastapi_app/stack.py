"""What the demo consists of: PostgreSQL, mail server, web app, worker."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from typing import IO, TYPE_CHECKING

import anyio
import httpx
from children import HERE, Launcher

from asyncjobs.storage.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

READY_TIMEOUT = 60.0
"""Seconds until the app answers."""
PORT_TRIES = 20
ASYNCJOBS = ("-m", "asyncjobs", "--app", "app.traffic:jobs")

started = time.monotonic()


class DemoError(Exception):
    """The demo cannot run."""


def say(text: str) -> None:
    """Print a line, and how long after the start it was."""
    print(f"{time.monotonic() - started:7.2f} s  {text}", flush=True)


@asynccontextmanager
async def run_stack(
    host: str, port: int, folder: Path, output: IO[bytes] | None
) -> AsyncIterator[str]:
    """Run everything beside the body, which gets the address of the app. Raises DemoError."""
    with listen(host, port) as web, listen("127.0.0.1", 0) as smtp, database(folder) as found:
        address = f"http://{host}:{web.getsockname()[1]}"
        launcher = Launcher(
            {
                **found,
                "DEMO_FOLDER": str(make_private(folder / "app")),
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(smtp.getsockname()[1]),
            },
            output,
        )
        await migrate(launcher.environment)
        async with (
            launcher.child("mail server", "-m", "app.mailserver", "--fd", listener=smtp),
            launcher.child("web app", "serve.py", listener=web),
            launcher.child("worker", *ASYNCJOBS, "work"),
        ):
            await wait_until_ready(address)
            yield address


async def migrate(environment: Mapping[str, str]) -> None:
    """Make the tables of asyncjobs. Raises DemoError."""
    done = await anyio.run_process(
        [sys.executable, *ASYNCJOBS, "migrate"],
        cwd=HERE,
        env={**os.environ, **environment},
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is the demo's
        check=False,
    )
    if done.returncode != 0:
        raise DemoError(f"asyncjobs migrate failed:\n{done.stdout.decode(errors='replace')}")
    say("the database is migrated")


async def wait_until_ready(address: str) -> None:
    """Return when the app answers; it listens already, so one request waits for it."""
    async with httpx.AsyncClient(timeout=READY_TIMEOUT) as client:
        answer = await client.get(address)
        answer.raise_for_status()


@contextmanager
def database(folder: Path) -> Iterator[dict[str, str]]:
    """Give the body the environment that names the database."""
    for name in ("ASYNCJOBS_DATABASE_URL", "DATABASE_URL"):
        if url := os.environ.get(name):
            say(f"using the database that {name} names")
            yield {"DATABASE_URL": url}
            return
    with EmbeddedPostgres.start(folder / "postgres") as postgres:
        say(f"PostgreSQL runs on port {postgres.port}")
        yield {"DATABASE_URL": postgres.dsn}


def make_private(folder: Path) -> Path:
    """Make a folder that no other user can read."""
    folder.mkdir(mode=0o700)
    return folder


def listen(host: str, first: int) -> socket.socket:
    """Listen on the port *first*, or the next free one; 0 is any. Raises DemoError."""
    for port in range(first, first + PORT_TRIES):
        try:
            return socket.create_server((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise DemoError(f"cannot listen on {host}:{port}: {error}") from error
    raise DemoError(f"the ports {first} to {first + PORT_TRIES - 1} are all taken")
