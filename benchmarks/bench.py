"""`Bench`: one peer in one empty database, and what a scenario does with it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.peer import Level
from benchmarks.processes import Agent, PeerError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from benchmarks.environments import Environment
    from benchmarks.peer import Peer
    from benchmarks.servers import Database, Redis
    from benchmarks.sizes import Sizes

POLL = 0.005
"""Seconds between two looks at what a worker has told, or at what is stored."""


@dataclass(frozen=True)
class Drained:
    """How long it took to run jobs and to store that they ran."""

    jobs: int
    seconds: float
    """From the first line of the first job until nothing is unfinished."""
    wal: float
    """Bytes of WAL per job."""

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


@dataclass(frozen=True)
class Bench:
    """What a scenario needs."""

    peer: Peer
    environment: Environment
    database: Database
    redis: Redis | None
    sizes: Sizes
    log: Path

    @property
    def url(self) -> str:
        """Where the peer keeps its jobs."""
        if self.peer.store == "postgres":
            return self.database.url
        assert self.redis is not None
        return self.redis.url

    @property
    def jobs(self) -> int:
        """How many jobs to drain."""
        return self.sizes.jobs(self.peer.jobs)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Agent]:
        """Run a client process."""
        agent = await self._start("client", {})
        try:
            yield agent
        finally:
            await agent.stop()

    @contextlib.asynccontextmanager
    async def workers(self, count: int = 1, **options: Any) -> AsyncIterator[list[Agent]]:
        """Run worker processes; *options* are for ours, everyone else has his best."""
        async with contextlib.AsyncExitStack() as stack:
            agents = []
            for _ in range(count):
                agents.append(await self._start("worker", options))
                stack.push_async_callback(agents[-1].stop)
            yield agents

    async def fill(self, client: Agent, count: int, level: Level = Level.NORMAL) -> None:
        """Have the client store jobs, and settle the database.

        Without a checkpoint: it would add whole pages to the WAL of what is measured next.
        """
        await client.ask("fill", count=count, level=int(level))
        await self.database.settle(checkpoint=False)

    async def backlog(self, client: Agent, kind: str, count: int) -> None:
        """Store *count* other jobs that the measured ones are to be run before."""
        if statement := self.peer.backlog.get(kind):
            await self.database.connection.execute(statement.replace("$1", str(count)))
        elif kind == "waiting" and self.peer.fills:
            await client.ask("fill", count=count, level=int(Level.LOW))
        else:
            raise UnsupportedError("none: it has no priorities")
        await self.database.settle()

    async def drain(self, client: Agent, workers: Sequence[Agent], jobs: int) -> Drained:
        """Wait until the workers ran *jobs* and stored that they did.

        A look that finds nothing unfinished counts from when it began, so that what it costs
        itself is left out.
        """
        before = await self.database.wal()
        await self.ran(workers, jobs)
        while True:
            looked = time.monotonic_ns()
            if not await self.unfinished(client):
                break
            await asyncio.sleep(POLL)
        wal = await self.database.wal() - before
        first = min(worker.first for worker in workers if worker.count)
        return Drained(jobs, (looked - first) / 1e9, wal / jobs)

    async def ran(self, workers: Sequence[Agent], jobs: int) -> None:
        """Wait until the workers have started so many jobs."""
        while sum(worker.count for worker in workers) < jobs:
            for worker in workers:
                worker.check()
            await asyncio.sleep(POLL)

    async def warm(self, client: Agent, worker: Agent) -> None:
        """Have the worker run a few jobs, and forget them: it listens, and code is warm."""
        await asyncio.sleep(0.5)  # for those that run only what comes while they listen
        await client.ask("stamp", samples=self.sizes.warming, pause=0.01)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self.ran([worker], self.sizes.warming)
        if not worker.count:
            raise PeerError("its worker ran nothing in 10 s")
        await worker.ask("forget")
        worker.forget()

    async def unfinished(self, client: Agent) -> int:
        """Return how many jobs are not stored as finished, without the LOW ones."""
        if self.peer.unfinished:
            return int(await self.database.connection.fetchval(self.peer.unfinished))
        return int((await client.ask("unfinished"))["count"])

    async def _start(self, role: str, options: dict[str, Any]) -> Agent:
        return await Agent.start(
            self.environment, role, self.peer.name, self.url, options=options, log=self.log
        )
