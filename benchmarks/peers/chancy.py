"""chancy: the async executor, 1 000 jobs at once, ``eager_polling``; a pool of 20.

The documentation names the async executor for many small jobs and ``eager_polling`` for latency
between jobs, without which it drains 300 jobs/s; more slots than 1 000 are no faster. Its log
line for each job is off, to its advantage. Bulk is ``push_many``. Source:
chancy.executors.asyncex, chancy.queue, chancy.worker.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer, argument

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITY = {Level.URGENT: 10, Level.NORMAL: 0, Level.LOW: -10}

PEER = Peer(
    name="chancy",
    title="chancy",
    package="chancy",
    requirements=("chancy==0.26.0", "psycopg[binary,pool]==3.3.9", "uvloop==0.23.0"),
    jobs=10_000,
    unfinished="""
        select count(*) from chancy_jobs
        where state in ('pending', 'running', 'retrying') and priority >= 0
    """,
    backlog={
        # Keys that ascend in time, as its own do.
        "waiting": """
            insert into chancy_jobs (id, queue, func, kwargs, priority)
            select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                   'default', 'benchmarks.peers.chancy.noop', '{"sent": -1}', -10
            from generate_series(1, $1::bigint) as n
        """,
    },
)


async def noop(*, sent: int) -> None:
    RECORD.started(sent)


class Adapter:
    def __init__(self, url: str) -> None:
        from chancy import Chancy

        log = logging.getLogger("chancy")
        log.setLevel(logging.WARNING)
        self.app = Chancy(url, min_connection_pool_size=4, max_connection_pool_size=20, log=log)

    async def install(self) -> None:
        from chancy import Chancy, Queue

        async with self.app as app:
            await app.migrate()
            await app.declare(
                Queue(
                    "default",
                    concurrency=1_000,
                    executor=Chancy.Executor.Async,
                    eager_polling=True,
                )
            )

    async def open(self) -> None:
        await self.app.__aenter__()

    async def later(self, sent: int, level: Level) -> None:
        await self.app.push(self._job(sent, level))

    async def many(self, count: int, level: Level) -> None:
        sent = argument(level)
        async for _ in self.app.push_many([self._job(sent, level) for _ in range(count)]):
            pass

    def _job(self, sent: int, level: Level) -> Any:
        from chancy import Job

        return Job.from_func(noop, kwargs={"sent": sent}, priority=PRIORITY[level])

    async def work(self, options: Mapping[str, Any]) -> None:
        from chancy import Worker

        async with self.app, Worker(self.app, register_signal_handlers=False):
            await asyncio.Event().wait()
