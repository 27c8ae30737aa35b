"""saq on Redis: as on Postgres, with hiredis, and Redis in memory only.

Redis keeps nothing on disk here: as fast as it goes, and all jobs are lost with the process.
Redis has no priorities, so there is nothing to wait behind.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.peers import saq

if TYPE_CHECKING:
    from benchmarks.peer import Level

PEER = replace(
    saq.PEER,
    name="saq_redis",
    title="saq on Redis (in memory)",
    store="redis",
    jobs=5_000,
    unfinished="",
    backlog={},
    fills=False,
)


class Adapter(saq.Adapter):
    def _queue(self) -> Any:
        from saq import Queue

        return Queue.from_url(self.url)

    async def install(self) -> None:
        pass

    async def later(self, sent: int, level: Level) -> None:
        await self.queue.enqueue("noop", sent=sent, ttl=-1)

    async def unfinished(self) -> dict[str, int]:
        return {"count": await self.queue.count("incomplete")}
