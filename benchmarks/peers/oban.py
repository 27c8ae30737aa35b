"""oban (Python): ``queues={"default": 1000}``, a pool of 20 to enqueue.

Its documentation has no settings for throughput; a limit of 1 000 drains twice as fast as one of
10, and a higher one no faster. Finished jobs are kept for a day, and there is no setting that
deletes them at once. Bulk is ``enqueue_many``. It needs Python 3.12, which is faster than 3.11.
Source: oban.Oban.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer, argument

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITY = {Level.URGENT: 0, Level.NORMAL: 4, Level.LOW: 9}

PEER = Peer(
    name="oban",
    title="oban (Python)",
    package="oban",
    requirements=("oban==0.7.0", "psycopg[binary,pool]==3.3.9", "uvloop==0.23.0"),
    python=(3, 12),
    jobs=6_000,
    unfinished="""
        select count(*) from oban_jobs
        where state in ('available', 'executing', 'retryable', 'scheduled') and priority < 9
    """,
    backlog={
        "waiting": """
            insert into oban_jobs (worker, priority, args)
            select 'benchmarks.peers.oban.Noop', 9, '{"sent": -1}'
            from generate_series(1, $1::bigint)
        """,
    },
)


class Adapter:
    def __init__(self, url: str) -> None:
        self.url = url

    async def _start(self, connections: int, **options: Any) -> Any:
        from oban import Oban

        pool = await Oban.create_pool(self.url, min_size=4, max_size=connections)
        self.noop = _noop()
        return await Oban(pool=pool, **options).start()

    async def install(self) -> None:
        from oban import Oban
        from oban.schema import install

        await install(await Oban.create_pool(self.url))

    async def open(self) -> None:
        self.oban = await self._start(20)

    async def later(self, sent: int, level: Level) -> None:
        await self.oban.enqueue(self.noop.new({"sent": sent}, priority=PRIORITY[level]))

    async def many(self, count: int, level: Level) -> None:
        args, priority = {"sent": argument(level)}, PRIORITY[level]
        await self.oban.enqueue_many(self.noop.new(args, priority=priority) for _ in range(count))

    async def work(self, options: Mapping[str, Any]) -> None:
        await self._start(20, queues={"default": 1_000})
        await asyncio.Event().wait()


def _noop() -> Any:
    from oban import worker

    class Noop:
        async def process(self, job: Any) -> None:
            RECORD.started(job.args["sent"])

    Noop.__qualname__ = "Noop"
    return worker(queue="default")(Noop)
