"""A dashboard of a real database, asked in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncjobs import PostgresAdapter
from tests.dashboard.sites import Site, make_manager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    jobs, later = make_manager(PostgresAdapter(dsn))
    async with jobs:
        yield Site(jobs, later)
