"""PostgresAdapter keeps the contract, also without what a server may lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncjobs import Capabilities, PostgresAdapter
from asyncjobs.testing import QuietStorageContract, StorageContract, TransactionContract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.storage.protocol import Storage

NOTHING = Capabilities(
    skip_locked=False,
    notify=False,
    advisory_locks=False,
    prepared_statements=False,
    read_committed=False,
)


class OnPostgres:
    """Tests with what the server has, or with these *capabilities* only."""

    capabilities: Capabilities | None = None

    @pytest.fixture
    async def storage(self, dsn: str) -> AsyncIterator[Storage]:
        adapter = PostgresAdapter(dsn, capabilities=self.capabilities)
        await adapter.open()
        yield adapter
        await adapter.close()


class TestPostgresAdapter(OnPostgres, StorageContract, TransactionContract):
    pass


class TestWithoutSkipLocked(OnPostgres, StorageContract):
    capabilities = Capabilities(skip_locked=False)


class TestWithoutPreparedStatements(OnPostgres, StorageContract):
    capabilities = Capabilities(prepared_statements=False)


class TestWithoutReadCommitted(OnPostgres, StorageContract):
    capabilities = Capabilities(read_committed=False)


class TestWithoutNotify(OnPostgres, QuietStorageContract):
    """There is nothing to hear then."""

    capabilities = Capabilities(notify=False)


class TestWithoutAnything(OnPostgres, QuietStorageContract):
    capabilities = NOTHING
