"""The whole demo, running, for its tests: real processes, PostgreSQL, SMTP and HTTP.

With ``ASYNCJOBS_TEST_DSN``, the server that the suite is given, each demo gets a database of
its own there; otherwise it starts a PostgreSQL itself.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
from demo_process import run_demo
from visitor import PATIENCE, Visitor

import asyncjobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DATABASE_VARIABLES = ("ASYNCJOBS_DATABASE_URL", "DATABASE_URL")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def demo_environment() -> Iterator[dict[str, str]]:
    """The environment of the demo that runs for the whole session."""
    with make_environment() as environment:
        yield environment


@pytest.fixture
def own_environment() -> Iterator[dict[str, str]]:
    """The environment of one more demo: two in one database would take each other's jobs."""
    with make_environment() as environment:
        yield environment


@pytest.fixture(scope="session")
def demo_address(demo_environment: dict[str, str]) -> Iterator[str]:
    """The address of the demo that runs for the whole session."""
    with run_demo(demo_environment) as demo:
        yield demo.address


@pytest.fixture
async def visitor(demo_address: str) -> AsyncIterator[Visitor]:
    """Somebody who looks at the running demo."""
    async with httpx.AsyncClient(base_url=demo_address, timeout=PATIENCE) as client:
        yield Visitor(client)


@pytest.fixture
def email() -> str:
    """An address that nobody has signed up with."""
    return f"{uuid4().hex}@example.org"


@contextmanager
def make_environment() -> Iterator[dict[str, str]]:
    """Give the body an environment for a demo, with a database of its own."""
    environment = {
        name: text for name, text in os.environ.items() if name not in DATABASE_VARIABLES
    }
    environment |= {
        "PYTHONPATH": str(Path(asyncjobs.__file__).parents[1]),  # the one that is tested
        "TIPS_WAIT": "4",
        "CRM_BACKOFF": "0.2",
    }
    server = os.environ.get("ASYNCJOBS_TEST_DSN")
    if server is None:
        yield environment
        return
    name = f"demo_{uuid4().hex}"
    asyncio.run(execute(server, f'create database "{name}"'))
    yield environment | {"DATABASE_URL": urlsplit(server)._replace(path=f"/{name}").geturl()}
    asyncio.run(execute(server, f'drop database "{name}" with (force)'))


async def execute(dsn: str, statement: str) -> None:
    """Run *statement* in the database at *dsn*."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
