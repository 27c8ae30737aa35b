"""asyncjobs itself, in default settings: ``WorkerGroup(adapter="postgres")``, 10 at once.

Every feature is on: arguments are validated, jobs leased, finishes fenced, the log is at info and
formatted as the command formats it. Clients use one JobManager, as a web process does.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, Peer, argument

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITY = {Level.URGENT: 10, Level.NORMAL: 50, Level.LOW: 90}

STORE = """
insert into asyncjobs.jobs (id, position, name, queue, priority, args, run_at, state, finished_at)
select id, id, 'noop', 'default', 90, '{{"sent": -1}}', {run_at}, '{state}', {finished_at}
from (
    select nextval('asyncjobs.jobs_id_seq') as id, n from generate_series(1, $1::bigint) as n
) as new
"""

PEER = Peer(
    name="ours",
    title="asyncjobs",
    jobs=100_000,
    unfinished="""
        select (select count(*) from asyncjobs.jobs where state = 'available' and priority < 90)
             + (select count(*) from asyncjobs.jobs where state = 'running' and priority < 90)
             + (select count(*) from asyncjobs.jobs where waits_in is not null and priority < 90)
    """,
    backlog={
        "waiting": STORE.format(run_at="now()", state="available", finished_at="null"),
        "scheduled": STORE.format(
            run_at="now() + interval '1 day' + n * interval '1 second'",
            state="scheduled",
            finished_at="null",
        ),
        "finished": STORE.format(run_at="now()", state="succeeded", finished_at="now()"),
    },
)


async def noop(sent: int) -> None:
    RECORD.started(sent)


async def keyed(key: int) -> None:
    RECORD.started(0)


async def rated(key: int) -> None:
    RECORD.started(0)


async def once(number: int) -> None:
    RECORD.started(0)


async def nap(seconds: float) -> None:
    RECORD.started(0)
    await asyncio.sleep(seconds)


async def lane(seconds: float) -> None:
    await asyncio.sleep(seconds)


class Adapter:
    def __init__(self, url: str) -> None:
        self.url = url
        self.jobs = self._manager({})
        self.later_ = self.jobs.create_scheduler(adapter="postgres")

    def _manager(self, options: Mapping[str, Any]) -> Any:
        from asyncjobs import JobManager, PostgresAdapter, RateLimit, WorkerGroup

        jobs = JobManager(
            adapters={"postgres": PostgresAdapter(self.url)},
            workers=[WorkerGroup(adapter="postgres", **options)],
        )
        self.noop, self.nap = jobs.job(noop), jobs.job(nap)
        self.keyed = jobs.job(concurrency_key="tenant:{key}", concurrency=10)(keyed)
        rate = RateLimit(1_000, per=1)
        self.rated = jobs.job(concurrency_key="account:{key}", rate_limit=rate)(rated)
        self.once = jobs.job(unique=True)(once)
        self.lane = jobs.job(concurrency_key="full", concurrency=1, priority=90)(lane)
        return jobs

    async def install(self) -> None:
        await self.jobs.migrate()

    async def open(self) -> None:
        await self.jobs.__aenter__()

    async def later(self, sent: int, level: Level) -> None:
        await self.later_(self.noop(sent), priority=PRIORITY[level])

    async def many(self, count: int, level: Level) -> None:
        sent = argument(level)
        await self.later_.many([self.noop(sent) for _ in range(count)], priority=PRIORITY[level])

    async def naps(self, count: int, seconds: float) -> None:
        """Store jobs that take *seconds*."""
        await self.later_.many([self.nap(seconds) for _ in range(count)])

    async def featured(self, kind: str, count: int) -> None:
        """Store jobs that are unique, or limited by 1 000 keys, in batches of 1 000."""
        for start in range(0, count, 1_000):
            numbers = range(start, min(start + 1_000, count))
            if kind == "unique":
                await self.later_.many([self.once(number) for number in numbers])
            else:
                limited = self.keyed if kind == "keyed" else self.rated
                await self.later_.many([limited(number % 1_000) for number in numbers])

    async def full_lane(self, count: int) -> None:
        """Store *count* jobs that wait for one that takes an hour."""
        await self.later_(self.lane(3_600))
        for _ in range(0, count, 1_000):
            await self.later_.many([self.lane(0) for _ in range(1_000)])

    async def schedule(self, count: int, first: float, spread: float) -> None:
        """Store *count* jobs, due from *first* seconds on within *spread*, stamped with it."""
        moment, clock = datetime.now(UTC), time.monotonic_ns()
        for index in range(count):
            due = first + spread * index / count
            call = self.noop(clock + int(due * 1e9))
            await self.later_(call, wait_until=moment + timedelta(seconds=due))

    async def work(self, options: Mapping[str, Any]) -> None:
        from asyncjobs.cli.logs import configure_logging
        from asyncjobs.cli.settings import LogFormat

        configure_logging(verbose=False, log_format=LogFormat.AUTO)
        await self._manager(options).work()
