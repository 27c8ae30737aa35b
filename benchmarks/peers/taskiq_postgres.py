"""taskiq with the asyncpg broker of taskiq-postgres: pools of 20, 1 000 at once, no results.

taskiq's own default is 100, which is slower. The worker learns of a job by its notification only:
what is enqueued while nobody listens never runs. So its drain is measured while 50 callers
enqueue, and there can be no backlog. It has no bulk insert and no priorities. Source: the README
of taskiq-postgres, taskiq.receiver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer

if TYPE_CHECKING:
    from collections.abc import Mapping

PEER = Peer(
    name="taskiq_postgres",
    title="taskiq, taskiq-postgres",
    package="taskiq-postgres",
    requirements=(
        "taskiq-postgres[asyncpg]==0.9.1",
        "taskiq==0.13.0",
        "asyncpg==0.32.0",
        "uvloop==0.23.0",
    ),
    jobs=2_000,
    unfinished="select count(*) from taskiq_messages",
    fills=False,
    needs_listener=True,
)


class Adapter:
    def __init__(self, url: str) -> None:
        from taskiq_pg.asyncpg import AsyncpgBroker

        self.broker = AsyncpgBroker(url, write_kwargs={"min_size": 4, "max_size": 20})

        @self.broker.task(task_name="noop")
        async def noop(sent: int) -> None:
            RECORD.started(sent)

        self.noop = noop

    async def install(self) -> None:
        await self.broker.startup()

    async def open(self) -> None:
        await self.broker.startup()

    async def later(self, sent: int, level: Level) -> None:
        await self.noop.kiq(sent)

    async def work(self, options: Mapping[str, Any]) -> None:
        from taskiq.api import run_receiver_task

        await run_receiver_task(self.broker, max_async_tasks=1_000, run_startup=True)
