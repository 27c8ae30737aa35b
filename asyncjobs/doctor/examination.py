"""One storage as it is looked at: the connection, and what is known of the application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asyncjobs.storage.postgres.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from asyncjobs.config import WorkerGroup
    from asyncjobs.manager import JobManager
    from asyncjobs.storage.postgres.access import Access
    from asyncjobs.storage.postgres.capabilities import Capabilities
    from asyncjobs.storage.postgres.statements import Statements

TIMEOUT = "10s"
"""For one statement: the doctor must not become the trouble."""
SETTINGS = """
select
    set_config('random_page_cost', '1.1', true),
    set_config('jit', 'off', true),
    set_config('statement_timeout', $1, true),
    set_config('transaction_read_only', 'on', true)
"""


@dataclass
class Examination:
    """What the checks look at. Made anew for each adapter."""

    name: str
    """The adapter's, in the JobManager."""
    schema: str
    access: Access
    connection: asyncpg.Connection
    statements: Statements
    found: Capabilities
    """What the server can do."""
    jobs: JobManager | None = None
    """The application; None if none was named."""
    _server: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def groups(self) -> list[tuple[int, WorkerGroup]]:
        """The application's groups that work this adapter, with their indexes."""
        groups = enumerate(() if self.jobs is None else self.jobs.workers)
        return [(index, group) for index, group in groups if group.adapter == self.name]

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of *statement*, which may not write and not take long."""
        async with transaction(self.connection):
            await self.connection.fetch(SETTINGS, TIMEOUT)
            found = await self.connection.fetch(statement, *values)
        return [dict(row) for row in found]

    async def server(self) -> Mapping[str, Any]:
        """Return the row of examine_server, which several checks are about."""
        if self._server is None:
            self._server = (await self.rows(self.statements.examine_server))[0]
        return self._server
