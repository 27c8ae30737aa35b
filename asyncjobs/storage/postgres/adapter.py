"""`PostgresAdapter`: the storage that this package is about."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Self

import anyio

from asyncjobs.config import check_flag, explains_options
from asyncjobs.errors import ConfigError
from asyncjobs.settings import Configured, configured, find
from asyncjobs.storage.postgres.access import Access
from asyncjobs.storage.postgres.capabilities import Capabilities, as_capabilities
from asyncjobs.storage.postgres.hearing import Hearing
from asyncjobs.storage.postgres.hosts import Primary
from asyncjobs.storage.postgres.lanes import Lanes
from asyncjobs.storage.postgres.migrate import migrate
from asyncjobs.storage.postgres.opening import get_to_know
from asyncjobs.storage.postgres.own_transactions import OwnTransactions
from asyncjobs.storage.postgres.parts import Parts
from asyncjobs.storage.postgres.source import (
    ConnectionSource,
    DsnSource,
    PoolSource,
    check_reach,
)
from asyncjobs.storage.postgres.statements import channel_name, check_schema
from asyncjobs.storage.postgres.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from asyncjobs.storage.protocol import OnSignal
    from asyncjobs.types import (
        ClaimedJob,
        Completion,
        Heartbeat,
        JobRecord,
        LocalWorker,
        Names,
        NewJob,
        Outcome,
        Promotion,
        Rescued,
        StoredJob,
        WorkerInfo,
    )


@explains_options
@configured("adapter", unless={"connect": "pool"})
class PostgresAdapter(Parts, Configured):
    """Keeps jobs in one schema of a PostgreSQL database.

    *dsn* is the database's address; without it ``ASYNCJOBS_DATABASE_URL`` counts, then
    ``DATABASE_URL``, then pyproject.toml, read when the adapter opens. What else is left out
    here may be said there too: see `asyncjobs.settings`. *connect* holds further options of
    `asyncpg.connect`, such as ``ssl``. Connections are made when they are first needed:
    scheduling takes one, asking about jobs another, waiting for them two, and working four
    more, and one for the heartbeat of each worker.

    With *pool* the connections are borrowed from there and kept; heartbeats then share the
    event loop with the jobs, so that a job that blocks the loop for a whole lease loses it.

    A *dsn* of several hosts means those of one cluster: the one that is the primary is used.

    With *listen* false nothing is listened for, and workers poll every `sleep_delay`. Behind a
    pooler in transaction mode they do so in any case, unless *listen_dsn* leads around it.

    What a server lacks is found out when the adapter opens; *capabilities* forbids what it has.

    *transactions* is how many jobs may be inside their own transaction at once; others wait.

    Raises ConfigError.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        pool: asyncpg.Pool | None = None,
        schema: str = "asyncjobs",
        listen: bool = True,
        listen_dsn: str | None = None,
        connect: Mapping[str, Any] | None = None,
        capabilities: Capabilities | Mapping[str, bool] | None = None,
        transactions: int = 10,
    ) -> None:
        super().__init__()
        if pool is not None and (dsn is not None or connect is not None):
            raise ConfigError("give dsn (and connect) or pool, not both")
        check_flag("listen", listen)
        check_reach(dsn=dsn, listen_dsn=listen_dsn, connect=connect, pool=pool)
        self.schema = check_schema(schema)
        self._dsn, self._pool = dsn, pool
        self._listen, self._connect = listen, dict(connect or {})
        self._wanted = as_capabilities(capabilities)
        self._found: Capabilities | None = None
        self._primary = Primary()
        self._own_transactions = OwnTransactions(schema, transactions, pool)
        self._channel = channel_name(schema)
        self._direct = DsnSource(listen_dsn, self._connect) if listen_dsn else None
        self._hearing = Hearing(self._channel, listens=listen, direct=self._direct)
        self._opened = 0
        self._opening = anyio.Lock(fast_acquire=True)  # in one event loop after the other
        self._beats_only = False

    def __repr__(self) -> str:
        return f"PostgresAdapter(schema={self.schema!r})"

    @property
    def access(self) -> Access:
        """How the database is reached; for tools that look at it without opening this."""
        source = self._source()
        return Access(
            source,
            listening=source if self._direct is None else self._direct,
            address=None if self._pool is not None else find("database_url", self._dsn or None),
            connect=self._connect,
            listens=self._listen,
            wanted=self._wanted,
            transactions=self._own_transactions.most,
            has_pool=self._pool is not None,
        )

    async def open(self) -> None:
        """Connect, and check that the schema is one to work with."""
        async with self._opening:
            if self._opened == 0:
                lanes = Lanes(self._source(), self.schema, self._hearing.tell_of_return)
                try:
                    first = lanes.fleet if self._beats_only else lanes.enqueue
                    statements, version, found = await get_to_know(
                        lanes, first, self.schema, self._wanted, self._found
                    )
                except BaseException:
                    await lanes.close()
                    raise
                self._found = found
                self._home.settle(asyncio.get_running_loop())
                self._own_transactions.open(lanes.source)
                self._opened_tables = Tables.make(
                    lanes,
                    statements,
                    found,
                    schema=self.schema,
                    version=version,
                    channel=self._channel,
                    listens=self._listen,
                    own=self._own_transactions,
                    tell=self._hearing.tell,
                )
            self._opened += 1

    async def close(self) -> None:
        """Close all connections at the last close."""
        async with self._opening:
            self._opened -= 1
            if self._opened == 0 and self._opened_tables is not None:
                tables, self._opened_tables, self._found = self._opened_tables, None, None
                tables.claims.close()
                await self._own_transactions.close()
                await tables.lanes.close()

    async def migrate(self) -> list[str]:
        """Bring the schema to this version and return the names of the steps taken."""
        return await migrate(self._source(), self.schema, self._wanted)

    async def enqueue(
        self, jobs: Sequence[NewJob], *, connection: object | None = None
    ) -> list[StoredJob]:
        """Store jobs; see `Storage.enqueue`."""
        return await self._tables.jobs.enqueue(jobs, connection)

    async def cancel(self, ids: Sequence[int], *, interrupt: bool) -> list[int]:
        """Cancel jobs; see `Storage.cancel`."""
        return await self._tables.jobs.cancel(ids, interrupt=interrupt)

    async def clear(self) -> int:
        """Remove all jobs and return how many."""
        return await self._tables.jobs.clear()

    async def get(self, ids: Sequence[int]) -> list[JobRecord]:
        """Return the jobs of *ids* that exist, by id."""
        return await self._tables.jobs.get(ids)

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by queue and state."""
        return await self._tables.jobs.counts()

    async def register(self, worker: WorkerInfo) -> int:
        """Add a worker; see `Storage.register`."""
        return await self._tables.fleet.register(worker)

    async def heartbeat(self, worker: int) -> Heartbeat:
        """Renew a lease; see `Storage.heartbeat`."""
        return await self._tables.fleet.heartbeat(worker)

    async def deregister(self, worker: int) -> None:
        """Remove a worker; see `Storage.deregister`."""
        await self._tables.fleet.deregister(worker)

    async def leave(self, worker: int) -> None:
        """Note that a worker ends; see `Storage.leave`."""
        await self._tables.fleet.leave(worker)

    async def held(self, worker: int) -> list[tuple[int, int]]:
        """Return what a worker holds; see `Storage.held`."""
        return await self._tables.fleet.held(worker)

    async def local_workers(self, host_id: str) -> list[LocalWorker]:
        """Return the workers of one machine."""
        return await self._tables.fleet.local_workers(host_id)

    async def claim(
        self, worker: int, queues: Sequence[str], limit: int, names: Names | None = None
    ) -> list[ClaimedJob]:
        """Give jobs to a worker; see `Storage.claim`."""
        return await self._tables.claims.claim(worker, queues, limit, names)

    async def finish(self, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        """Record outcomes; see `Storage.finish`."""
        return await self._tables.outcomes.finish(worker, outcomes)

    def transaction(self, connection: object | None = None) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction, or join the user's; see `Storage.transaction`."""
        return self._own_transactions.begin(connection)

    async def finish_within(self, connection: object, worker: int, outcome: Outcome) -> Completion:
        """Write a success into a transaction; see `Storage.finish_within`."""
        return await self._tables.outcomes.finish_within(connection, worker, outcome)

    async def completion(self, worker: int, outcome: Outcome) -> Completion:
        """Return what became of such a success; see `Storage.completion`."""
        return await self._tables.outcomes.completion(worker, outcome)

    async def promote(self, limit: int) -> Promotion:
        """Make due jobs available; see `Storage.promote`."""
        return await self._tables.jobs.promote(limit)

    async def offer(self, names: Sequence[str]) -> int:
        """Make postponed jobs available; see `Storage.offer`."""
        return await self._tables.jobs.offer(names)

    async def rescue(self, dead: Sequence[int], *, watched: float = math.inf) -> list[Rescued]:
        """Free the jobs of dead workers; see `Storage.rescue`."""
        return await self._tables.fleet.rescue(dead, watched)

    async def listen(self, on_signal: OnSignal) -> None:
        """Report what happens until cancelled; see `Storage.listen`."""
        await self._hearing.listen(self._tables, on_signal)

    def for_thread(self) -> Self | None:
        """Return another adapter of the same database; None if there is only a pool."""
        if self._pool is not None:
            return None
        twin = type(self)(
            self._dsn,
            schema=self.schema,
            listen=False,
            connect=self._connect,
            capabilities=self._wanted,
        )
        twin._beats_only, twin._found, twin._primary = True, self._found, self._primary
        return twin

    def _source(self) -> ConnectionSource:
        if self._pool is not None:
            return PoolSource(self._pool)
        return DsnSource(self._dsn, self._connect, self._primary)
