"""saq on Postgres: 100 jobs at once, a pool of 20 without a check at each loan, ``ttl=-1``.

Its documentation has no settings for throughput; more than 100 at once are no faster. A pool of
one's own is documented and saves the check; ``ttl=-1`` stores no results. It has no bulk insert:
``Queue.map`` and ``Queue.batch`` enqueue one by one. Source: saq.queue.postgres, saq.job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITY = {Level.URGENT: 10, Level.NORMAL: 50, Level.LOW: 90}

PEER = Peer(
    name="saq",
    title="saq on Postgres",
    package="saq",
    requirements=(
        "saq[postgres,redis]==0.26.4",
        "psycopg[binary,pool]==3.3.9",
        "hiredis==3.5.0",
        "uvloop==0.23.0",
    ),
    jobs=2_000,
    unfinished="""
        select count(*) from saq_jobs
        where status in ('new', 'deferred', 'queued', 'active') and priority < 90
    """,
    backlog={
        "waiting": """
            insert into saq_jobs (key, job, queue, status, priority, scheduled)
            select 'other' || n, convert_to(json_build_object(
                'function', 'noop', 'kwargs', json_build_object('sent', -1), 'queue', 'default',
                'key', 'saq:job:default:other' || n, 'status', 'queued', 'ttl', -1
            )::text, 'UTF8'), 'default', 'queued', 90, extract(epoch from now())
            from generate_series(1, $1::bigint) as n
        """,
    },
)


async def noop(ctx: Any, *, sent: int) -> None:
    RECORD.started(sent)


class Adapter:
    def __init__(self, url: str) -> None:
        self.url = url

    def _queue(self) -> Any:
        from psycopg_pool import AsyncConnectionPool
        from saq.queue.postgres import PostgresQueue

        pool = AsyncConnectionPool(self.url, min_size=4, max_size=20, open=False)
        return PostgresQueue(pool, manage_pool_lifecycle=True)

    async def install(self) -> None:
        await self._queue().connect()

    async def open(self) -> None:
        self.queue = self._queue()
        await self.queue.connect()

    async def later(self, sent: int, level: Level) -> None:
        await self.queue.enqueue("noop", sent=sent, ttl=-1, priority=PRIORITY[level])

    async def work(self, options: Mapping[str, Any]) -> None:
        from saq import Worker

        queue = self._queue()
        await queue.connect()
        await Worker(queue, [("noop", noop)], concurrency=100).start()
