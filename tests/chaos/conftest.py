"""A crew of workers, and a PostgreSQL that really writes to the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from crew import Crew, Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
async def database(durable_dsn: str) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(durable_dsn)
    yield Database(connection)
    await connection.close()


@pytest.fixture
async def make_crew(tmp_path: Path, durable_dsn: str) -> AsyncIterator[Callable[..., Crew]]:
    """A function that makes a crew whose worker groups have the given options.

    Whatever the test was about, at its end no job has run twice at once, and none that was
    stored is gone. So successful jobs must be kept.
    """
    crews: list[Crew] = []

    def make(*groups: dict[str, Any]) -> Crew:
        crews.append(Crew(tmp_path, durable_dsn, list(groups) or [{}]))
        return crews[-1]

    yield make
    for crew in crews:
        crew.end()
    connection = await asyncpg.connect(durable_dsn)
    rows = await Database(connection).rows()
    await connection.close()
    for crew in crews:
        crew.judge(rows)
