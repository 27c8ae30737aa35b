"""procrastinate: ``delete_jobs="always"``, 30 jobs at once, listening; a pool of 20.

Its documentation has no settings for throughput. Deleting is the fastest of its three ways to
finish; more than 30 at once are no faster, because one job is fetched at a time. Bulk is
``batch_defer_async``. Source: howto/production/concurrency,
howto/production/delete_finished_jobs, howto/basics/batch_defer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer, argument

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITY = {Level.URGENT: 10, Level.NORMAL: 0, Level.LOW: -10}

PEER = Peer(
    name="procrastinate",
    title="procrastinate",
    package="procrastinate",
    requirements=("procrastinate==3.10.0", "psycopg[binary,pool]==3.3.9", "uvloop==0.23.0"),
    jobs=2_000,
    unfinished="""
        select count(*) from procrastinate_jobs
        where status in ('todo', 'doing') and priority >= 0
    """,
    backlog={
        # Without the rows that triggers keep of each job's history, to its advantage.
        "waiting": """
            set session_replication_role = replica;
            insert into procrastinate_jobs (queue_name, task_name, priority, args)
            select 'default', 'noop', -10, '{"sent": -1}' from generate_series(1, $1::bigint);
            reset session_replication_role
        """,
    },
)


class Adapter:
    def __init__(self, url: str) -> None:
        from procrastinate import App, PsycopgConnector

        connector = PsycopgConnector(conninfo=url, min_size=4, max_size=20)
        self.app = App(connector=connector)

        @self.app.task(name="noop", queue="default")
        async def noop(sent: int) -> None:
            RECORD.started(sent)

        self.noop = noop

    async def install(self) -> None:
        async with self.app.open_async():
            await self.app.schema_manager.apply_schema_async()

    async def open(self) -> None:
        await self.app.open_async()

    async def later(self, sent: int, level: Level) -> None:
        task = self.noop if level is Level.NORMAL else self._at(level)
        await task.defer_async(sent=sent)

    async def many(self, count: int, level: Level) -> None:
        sent = argument(level)
        await self._at(level).batch_defer_async(*({"sent": sent} for _ in range(count)))

    def _at(self, level: Level) -> Any:
        return self.noop.configure(priority=PRIORITY[level])

    async def work(self, options: Mapping[str, Any]) -> None:
        async with self.app.open_async():
            await self.app.run_worker_async(
                queues=["default"],
                concurrency=30,
                delete_jobs="always",
                install_signal_handlers=False,
            )
