"""PostgresAdapter keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncjobs.storage.postgres import PostgresAdapter
from asyncjobs.testing import StorageContract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.storage.protocol import Storage


class TestPostgresAdapter(StorageContract):
    @pytest.fixture
    async def storage(self, dsn: str) -> AsyncIterator[Storage]:
        adapter = PostgresAdapter(dsn)
        await adapter.open()
        yield adapter
        await adapter.close()
