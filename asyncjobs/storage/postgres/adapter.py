"""`PostgresAdapter`: the storage that this package is about."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Self

from asyncjobs.ending import end_task
from asyncjobs.errors import ConfigError, NotOpenError
from asyncjobs.logs import get_logger
from asyncjobs.storage.postgres.admin import Admin
from asyncjobs.storage.postgres.capabilities import EVERYTHING, Capabilities
from asyncjobs.storage.postgres.claims import Claims
from asyncjobs.storage.postgres.fleet import Fleet
from asyncjobs.storage.postgres.hosts import Primary
from asyncjobs.storage.postgres.jobs import JobsTable
from asyncjobs.storage.postgres.lanes import Lanes
from asyncjobs.storage.postgres.limits import LimitTables
from asyncjobs.storage.postgres.listener import Listener
from asyncjobs.storage.postgres.migrate import migrate
from asyncjobs.storage.postgres.opening import get_to_know
from asyncjobs.storage.postgres.overview import PostgresOverview
from asyncjobs.storage.postgres.own_transactions import OwnTransactions
from asyncjobs.storage.postgres.results import Results
from asyncjobs.storage.postgres.schedules import SchedulesTable
from asyncjobs.storage.postgres.source import ConnectionSource, DsnSource, PoolSource
from asyncjobs.storage.postgres.statements import channel_name, check_schema
from asyncjobs.storage.postgres.statistics import PostgresStatistics
from asyncjobs.types import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.storage.protocol import OnSignal
    from asyncjobs.types import (
        ClaimedJob,
        Completion,
        Heartbeat,
        JobRecord,
        LocalWorker,
        NewJob,
        Outcome,
        Promotion,
        Rescued,
        StoredJob,
        WorkerInfo,
    )


class PostgresAdapter:
    """Keeps jobs in one schema of a PostgreSQL database.

    *dsn* is the database's address; without it ``ASYNCJOBS_DATABASE_URL`` counts, then
    ``DATABASE_URL``, read when the adapter opens. *connect* holds further options of
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
        capabilities: Capabilities | None = None,
        transactions: int = 10,
    ) -> None:
        if pool is not None and (dsn is not None or connect is not None):
            raise ConfigError("give dsn (and connect) or pool, not both")
        self.schema = check_schema(schema)
        self._dsn, self._pool = dsn, pool
        self._listen, self._connect = listen, dict(connect or {})
        self._direct = DsnSource(listen_dsn, self._connect) if listen_dsn else None
        self._wanted = EVERYTHING if capabilities is None else capabilities
        self._found: Capabilities | None = None
        self._statements: Statements | None = None
        self._primary = Primary()
        self._own_transactions = OwnTransactions(schema, transactions, pool)
        self._channel = channel_name(schema)
        self._opened = 0
        self._opening = asyncio.Lock()
        self._lanes: Lanes | None = None
        self._jobs_table: JobsTable | None = None
        self._fleet_table: Fleet | None = None
        self._claims_made: Claims | None = None
        self._statistics: PostgresStatistics | None = None
        self._results_table: Results | None = None
        self._limit_tables: LimitTables | None = None
        self._admin_made: Admin | None = None
        self._schedules_table: SchedulesTable | None = None
        self._overview: PostgresOverview | None = None
        self._listeners: list[OnSignal] = []
        self._listening: asyncio.Task[None] | None = None
        self._hears = False
        self._beats_only = False

    def __repr__(self) -> str:
        return f"PostgresAdapter(schema={self.schema!r})"

    async def open(self) -> None:
        """Connect, and check that the schema is one to work with."""
        async with self._opening:
            if self._opened == 0:
                lanes = Lanes(self._source(), self.schema, self._on_return)
                try:
                    first = lanes.fleet if self._beats_only else lanes.enqueue
                    statements, version, found = await get_to_know(
                        lanes, first, self.schema, self._wanted, self._found
                    )
                except BaseException:
                    await lanes.close()
                    raise
                self._lanes, self._statements, self._found = lanes, statements, found
                self._own_transactions.open(lanes.source)
                self._jobs_table = JobsTable(lanes, statements, self.schema, self._channel)
                self._fleet_table = Fleet(lanes, statements, self._channel)
                self._statistics = PostgresStatistics(lanes, statements)
                self._results_table = Results(lanes, statements, self._channel)
                self._admin_made = Admin(lanes, statements, self._channel)
                self._overview = PostgresOverview(
                    lanes, statements, self.schema, notifies=self._listen and found.notify
                )
                self._claims_made = Claims(
                    lanes.claim, statements, self._tell, take_turns=not found.skip_locked
                )
                self._limit_tables = LimitTables(
                    lanes, statements, self.schema, version, self._channel
                )
                self._schedules_table = SchedulesTable(
                    lanes, statements, self.schema, self._jobs_table
                )
            self._opened += 1

    async def close(self) -> None:
        """Close all connections at the last close."""
        async with self._opening:
            self._opened -= 1
            if self._opened == 0 and self._lanes is not None:
                lanes, self._lanes = self._lanes, None
                self._claims.close()
                await self._own_transactions.close()
                self._jobs_table = self._fleet_table = self._claims_made = self._found = None
                self._results_table = None
                self._limit_tables = None
                self._admin_made = None
                self._schedules_table = None
                self._overview = None
                await lanes.close()

    async def migrate(self) -> list[str]:
        """Bring the schema to this version and return the names of the steps taken."""
        return await migrate(self._source(), self.schema, self._wanted)

    async def enqueue(
        self, jobs: Sequence[NewJob], *, connection: object | None = None
    ) -> list[StoredJob]:
        """Store jobs; see `Storage.enqueue`."""
        return await self._jobs.enqueue(jobs, connection)

    async def cancel(self, ids: Sequence[int], *, interrupt: bool) -> list[int]:
        """Cancel jobs; see `Storage.cancel`."""
        return await self._jobs.cancel(ids, interrupt=interrupt)

    async def clear(self) -> int:
        """Remove all jobs and return how many."""
        return await self._jobs.clear()

    async def get(self, ids: Sequence[int]) -> list[JobRecord]:
        """Return the jobs of *ids* that exist, by id."""
        return await self._jobs.get(ids)

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by queue and state."""
        return await self._jobs.counts()

    async def register(self, worker: WorkerInfo) -> int:
        """Add a worker; see `Storage.register`."""
        return await self._fleet.register(worker)

    async def heartbeat(self, worker: int) -> Heartbeat:
        """Renew a lease; see `Storage.heartbeat`."""
        return await self._fleet.heartbeat(worker)

    async def deregister(self, worker: int) -> None:
        """Remove a worker; see `Storage.deregister`."""
        await self._fleet.deregister(worker)

    async def leave(self, worker: int) -> None:
        """Note that a worker ends; see `Storage.leave`."""
        await self._fleet.leave(worker)

    async def held(self, worker: int) -> list[tuple[int, int]]:
        """Return what a worker holds; see `Storage.held`."""
        return await self._fleet.held(worker)

    async def local_workers(self, host_id: str) -> list[LocalWorker]:
        """Return the workers of one machine."""
        return await self._fleet.local_workers(host_id)

    async def claim(self, worker: int, queues: Sequence[str], limit: int) -> list[ClaimedJob]:
        """Give jobs to a worker; see `Storage.claim`."""
        return await self._claims.claim(worker, queues, limit)

    async def finish(self, worker: int, outcomes: Sequence[Outcome]) -> list[int]:
        """Record outcomes; see `Storage.finish`."""
        return await self._jobs.finish(worker, outcomes)

    def transaction(self, connection: object | None = None) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction, or join the user's; see `Storage.transaction`."""
        return self._own_transactions.begin(connection)

    async def finish_within(self, connection: object, worker: int, outcome: Outcome) -> Completion:
        """Write a success into a transaction; see `Storage.finish_within`."""
        return await self._jobs.finish_within(connection, worker, outcome)

    async def completion(self, worker: int, outcome: Outcome) -> Completion:
        """Return what became of such a success; see `Storage.completion`."""
        return await self._jobs.completion(worker, outcome)

    async def promote(self, limit: int) -> Promotion:
        """Make due jobs available; see `Storage.promote`."""
        return await self._jobs.promote(limit)

    async def offer(self, names: Sequence[str]) -> int:
        """Make postponed jobs available; see `Storage.offer`."""
        return await self._jobs.offer(names)

    async def rescue(self, dead: Sequence[int], *, watched: float = math.inf) -> list[Rescued]:
        """Free the jobs of dead workers; see `Storage.rescue`."""
        return await self._fleet.rescue(dead, watched)

    @property
    def statistics(self) -> PostgresStatistics:
        """Counts of what ended; see `StatisticsStorage`."""
        if self._statistics is None:
            raise NotOpenError
        return self._statistics

    @property
    def overview(self) -> PostgresOverview:
        """How it stands with queues and workers; see `OverviewStorage`."""
        if self._overview is None:
            raise NotOpenError
        return self._overview

    async def listen(self, on_signal: OnSignal) -> None:
        """Report what happens until cancelled; see `Storage.listen`."""
        if self._lanes is None or self._found is None or self._statements is None:
            raise NotOpenError
        self._listeners.append(on_signal)
        polls = not self._listen or not self._found.notify
        try:
            if polls or self._listening is not None:
                on_signal(Signal(missed=True, proven=self._hears))
            if polls:
                await asyncio.Event().wait()
            if self._listening is None:  # one connection listens for all workers
                listener = Listener(
                    self._direct or self._lanes.source,
                    self._statements,
                    self._channel,
                    self._hear,
                    on_silence=self._lanes.suspect,
                )
                self._listening = asyncio.create_task(listener.run())
            await asyncio.shield(self._listening)
        finally:
            self._listeners.remove(on_signal)
            await self._stop_listening()

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

    async def _stop_listening(self) -> None:
        if not self._listeners and self._listening is not None:
            listening, self._listening = self._listening, None
            self._hears = False
            if not await end_task(listening):
                get_logger().error("listener.stuck")

    def _hear(self, signal: Signal) -> None:
        self._hears = signal.proven or (self._hears and not signal.missed)
        if signal.ready and self._claims_made is not None:
            self._claims_made.marks.expect(signal.ready, signal.priority)
        self._tell(signal)

    def _on_return(self) -> None:
        self._tell(Signal(missed=True))

    def _tell(self, signal: Signal) -> None:
        for on_signal in self._listeners:
            on_signal(signal)

    def _source(self) -> ConnectionSource:
        if self._pool is not None:
            return PoolSource(self._pool)
        return DsnSource(self._dsn, self._connect, self._primary)

    @property
    def results(self) -> Results:
        """What is kept, and who waits for it; see `ResultStorage`."""
        if self._results_table is None:
            raise NotOpenError
        return self._results_table

    @property
    def limits(self) -> LimitTables:
        """Lanes, their limits and what is paused; see `LimitStorage`."""
        if self._limit_tables is None:
            raise NotOpenError
        return self._limit_tables

    @property
    def admin(self) -> Admin:
        """What people ask of the jobs; see `AdminStorage`."""
        if self._admin_made is None:
            raise NotOpenError
        return self._admin_made

    @property
    def schedules(self) -> SchedulesTable:
        """The schedules; see `asyncjobs.storage.schedules`."""
        if self._schedules_table is None:
            raise NotOpenError
        return self._schedules_table

    @property
    def _jobs(self) -> JobsTable:
        if self._jobs_table is None:
            raise NotOpenError
        return self._jobs_table

    @property
    def _claims(self) -> Claims:
        if self._claims_made is None:
            raise NotOpenError
        return self._claims_made

    @property
    def _fleet(self) -> Fleet:
        if self._fleet_table is None:
            raise NotOpenError
        return self._fleet_table
