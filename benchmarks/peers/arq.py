"""arq: ``max_jobs=100``, ``poll_delay=0.01``, ``keep_result=0``, hiredis; Redis in memory only.

``poll_delay`` is 0.5 s by default, which would be its latency; more jobs at once or a shorter
delay are no faster. ``keep_result=0`` stores no results. Its log line for each job is off, to its
advantage. It has no bulk insert and no priorities. Source: arq.worker.Worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer

if TYPE_CHECKING:
    from collections.abc import Mapping

PEER = Peer(
    name="arq",
    title="arq, Redis (in memory)",
    package="arq",
    requirements=("arq==0.28.0", "hiredis==3.5.0", "uvloop==0.23.0"),
    store="redis",
    jobs=4_000,
    fills=False,
)


async def noop(ctx: Any, sent: int) -> None:
    RECORD.started(sent)


class Adapter:
    def __init__(self, url: str) -> None:
        self.url = url

    async def install(self) -> None:
        pass

    async def open(self) -> None:
        from arq import create_pool
        from arq.connections import RedisSettings

        self.redis = await create_pool(RedisSettings.from_dsn(self.url))

    async def later(self, sent: int, level: Level) -> None:
        await self.redis.enqueue_job("noop", sent)

    async def unfinished(self) -> dict[str, int]:
        return {"count": await self.redis.zcard("arq:queue")}

    async def work(self, options: Mapping[str, Any]) -> None:
        from arq.connections import RedisSettings
        from arq.worker import Worker

        worker = Worker(
            [noop],
            redis_settings=RedisSettings.from_dsn(self.url),
            max_jobs=100,
            poll_delay=0.01,
            keep_result=0,
            handle_signals=False,
            log_results=False,
        )
        await worker.async_run()
