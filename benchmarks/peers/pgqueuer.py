"""pgqueuer: asyncpg, ``batch_size=1000``, its own autovacuum settings; a pool of 20 to enqueue.

Its guide to performance says to raise batch_size for throughput, to run ``pgq autovac``, and that
asyncpg is the fastest driver; batches of 500 and of 3 000 are no faster. Bulk is ``enqueue`` with
lists. Source: docs/guides/performance-tuning, docs/comparisons/benchmarks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer, argument

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITY = {Level.URGENT: 10, Level.NORMAL: 0, Level.LOW: -10}

PEER = Peer(
    name="pgqueuer",
    title="pgqueuer",
    package="pgqueuer",
    requirements=("pgqueuer==1.6.0", "asyncpg==0.32.0", "uvloop==0.23.0"),
    jobs=30_000,
    unfinished="select count(*) from pgqueuer where priority >= 0",
    backlog={
        # Without the row in its log that it writes for each job, to its advantage.
        "waiting": """
            insert into pgqueuer (priority, status, entrypoint, payload)
            select -10, 'queued', 'noop', '-1' from generate_series(1, $1::bigint)
        """,
    },
)


class Adapter:
    def __init__(self, url: str) -> None:
        self.url = url

    async def _queries(self, connections: int) -> Any:
        import asyncpg
        from pgqueuer.db import AsyncpgPoolDriver
        from pgqueuer.queries import Queries

        pool = await asyncpg.create_pool(self.url, min_size=connections, max_size=connections)
        return Queries(AsyncpgPoolDriver(pool))

    async def install(self) -> None:
        queries = await self._queries(1)
        await queries.install()
        await queries.optimize_autovacuum()

    async def open(self) -> None:
        self.queries = await self._queries(20)

    async def later(self, sent: int, level: Level) -> None:
        await self.queries.enqueue("noop", str(sent).encode(), PRIORITY[level])

    async def many(self, count: int, level: Level) -> None:
        payload = str(argument(level)).encode()
        await self.queries.enqueue(["noop"] * count, [payload] * count, [PRIORITY[level]] * count)

    async def work(self, options: Mapping[str, Any]) -> None:
        import asyncpg
        from pgqueuer import PgQueuer
        from pgqueuer.db import AsyncpgDriver

        app = PgQueuer(AsyncpgDriver(await asyncpg.connect(self.url)))

        @app.entrypoint("noop")
        async def noop(job: Any) -> None:
            RECORD.started(int(job.payload))

        await app.run(batch_size=1_000)
