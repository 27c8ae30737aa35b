"""A database to be made ill, and a doctor to look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from patient import Patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def patient(dsn: str) -> AsyncIterator[Patient]:
    """A healthy database, as far as the server of the tests is."""
    connection = await asyncpg.connect(dsn)
    yield Patient(dsn, connection)
    await connection.close()
