"""PostgresAdapter keeps the contract, also without what a server may lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from load import emptied

from asyncjobs import Capabilities, PostgresAdapter
from asyncjobs.testing import QuietStorageContract, StorageContract, TransactionContract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from asyncjobs.storage.protocol import Storage

NOTHING = Capabilities(
    skip_locked=False,
    notify=False,
    advisory_locks=False,
    prepared_statements=False,
    read_committed=False,
)


class TestPostgresAdapter(StorageContract, TransactionContract):
    @pytest.fixture
    async def storage(self, dsn: str) -> AsyncIterator[Storage]:
        adapter = PostgresAdapter(dsn)
        await adapter.open()
        yield adapter
        await adapter.close()


@pytest.fixture(scope="module")
def shared_dsn(migrated_database: Callable[[], Any]) -> Iterator[str]:
    with migrated_database() as dsn:
        yield dsn


class Reduced:
    """Tests on one database, emptied before each, without some capabilities."""

    capabilities: Capabilities

    @pytest.fixture
    async def storage(self, shared_dsn: str) -> AsyncIterator[Storage]:
        adapter = PostgresAdapter(await emptied(shared_dsn), capabilities=self.capabilities)
        await adapter.open()
        yield adapter
        await adapter.close()


class TestWithoutSkipLocked(Reduced, StorageContract):
    capabilities = Capabilities(skip_locked=False)


class TestWithoutPreparedStatements(Reduced, StorageContract):
    capabilities = Capabilities(prepared_statements=False)


class TestWithoutReadCommitted(Reduced, StorageContract):
    capabilities = Capabilities(read_committed=False)


class TestWithoutNotify(Reduced, QuietStorageContract):
    """There is nothing to hear then."""

    capabilities = Capabilities(notify=False)


class TestWithoutAnything(Reduced, QuietStorageContract):
    capabilities = NOTHING
