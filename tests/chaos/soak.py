"""Mixed work at half of peak for a long time, with a kill every 20 seconds: ``make chaos``.

Calls of several kinds are stored all the time: at once, delayed, failing and retried, failing
for good, limited, cancelled while they wait and while they run; for several queues and
processes; and schedules tick. Every 20 s a worker process is killed with all it holds. What
the jobs append to their record is judged by the `books` as it is written. At the end nothing
may be left in the table, which is no larger than it was at the beginning, and neither are the
workers that were never killed.

Prints a table for docs/reliability.md, and ends with 1 if anything of this does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import chaos_app
import psutil
from books import Books, in_milliseconds
from callers import LIMITS, Callers
from crew import Crew, Database
from figures import Figures
from record import Line

from asyncjobs import JobManager, PostgresAdapter
from asyncjobs.storage.embedded import EmbeddedPostgres
from asyncjobs.storage.postgres.migrate import migrate_database

if TYPE_CHECKING:
    from asyncjobs.schedule_types import Schedule
    from asyncjobs.scheduler import Scheduler

KILL_EVERY = 20.0
LOOK_EVERY = 0.05
LEASE = 6.0
COMMON = {"lease": LEASE, "heartbeat_interval": 1, "delete_failed_jobs": True}
GROUPS = [
    {**COMMON, "queue": ["default", "urgent"], "concurrency": 50, "threads": chaos_app.THREADS},
    {**COMMON, "queue": ["slow", "narrow"], "concurrency": 40},
]
VICTIMS = [0, 0, 1]
"""The groups of the workers that are killed. One more of each group is not."""
SCHEDULES: dict[str, tuple[dict[str, Any], int]] = {
    "every": ({"every": 1}, 1_000),
    "cron": ({"cron": "*/5 * * * * *", "timezone": "Europe/Zurich"}, 5_000),
}
"""What they ask for, and the milliseconds from tick to tick."""
LAST_TICK_WITHIN = 10_000
"""Milliseconds that a tick may be late at the end."""
SETTLE = 120.0
"""Seconds for what is left at the end."""


class Soak:
    """The database, the workers, the calls, the kills and the books."""

    def __init__(self, crew: Crew, database: Database, minutes: float) -> None:
        self.crew, self.database, self.minutes = crew, database, minutes
        self.books = Books(crew.deaths, LIMITS)
        self.figures = Figures(minutes=minutes, lease=LEASE)
        self.manager = JobManager(
            adapters={"main": PostgresAdapter(crew.dsn)}, queues=chaos_app.QUEUES
        )
        for job in chaos_app.jobs.registry:
            self.manager.registry.add(job)
        self.later: Scheduler = self.manager.create_scheduler(adapter="main")
        self.ending = asyncio.Event()
        self.callers = Callers(self.later, self.books, self.figures, self.ending)
        self.veterans: list[psutil.Process] = []
        self.victims: list[tuple[int, int]] = []
        self.rate = self.tail = 0
        self.rest = b""
        self.ended_at = datetime.now(UTC)

    async def run(self) -> bool:
        """Do everything, print the figures, and return whether all was well."""
        async with self.manager:
            self.veterans = [
                psutil.Process(self.crew.start_worker(group=group, CHAOS_ALONE="v").process.pid)
                for group in range(len(GROUPS))
            ]
            self.victims = [self._start_victim(group) for group in VICTIMS]
            self.figures.workers = len(self.veterans) + len(self.victims)
            await self.database.until("count(*) = $1 from asyncjobs.workers", self.figures.workers)
            await self._measure_peak()
            await self._recur()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.callers.store_mixtures, self.rate)
                tasks.start_soon(self.callers.store_crowds, self.rate)
                tasks.start_soon(self.callers.store_turns)
                tasks.start_soon(self.callers.cancel)
                for part in (self._kill, self._check, self._sample):
                    tasks.start_soon(part)
                await asyncio.sleep(self.minutes * 60)
                self.ending.set()
            await self._end_schedules()
            await self._settle()
        self.figures.judge_growth(self.books.wrong)
        return self.figures.report(self.books)

    def _start_victim(self, group: int) -> tuple[int, int]:
        number = len(self.crew.commands)
        return self.crew.start_worker(group=group, CHAOS_ALONE=f"n{number}").process.pid, group

    async def _measure_peak(self) -> None:
        began, jobs = time.monotonic(), 30_000
        for _ in range(jobs // 1_000):
            await self.callers.store([chaos_app.quick(1) for _ in range(1_000)])
        while not all(life.is_over for life in self.books.lives.values()):
            self._read()
            await asyncio.sleep(LOOK_EVERY)
        self.figures.peak = jobs / (time.monotonic() - began)
        self.rate = int(self.figures.peak / 2)
        del self.books.latencies[:]  # of thirty thousand at once

    async def _recur(self) -> None:
        for name, (recurrence, _) in SCHEDULES.items():
            call = chaos_app.ticking(name)
            await self.later(call, name=name, catch_up="all", overlap="allow", **recurrence)

    async def _end_schedules(self) -> None:
        self.ended_at = datetime.now(UTC)
        for name in SCHEDULES:
            await self.later.schedules.disable(name)

    async def _kill(self) -> None:
        while not self.ending.is_set():
            with anyio.move_on_after(KILL_EVERY):
                await self.ending.wait()
                return
            place = random.randrange(len(self.victims))
            pid, group = self.victims[place]
            self.crew.kill(pid)
            killed_at = time.monotonic()
            self.figures.kills += 1
            await asyncio.sleep(0.5)  # statements under way may still commit
            held = await self.database.fetch(
                "select jobs.id, attempt from asyncjobs.jobs join asyncjobs.workers "
                "on workers.id = locked_by where pid = $1",
                pid,
            )
            self._read()
            for row in held:
                self.books.lose(row["id"], row["attempt"], pid)
            self.figures.lost += len(held)
            self.victims[place] = self._start_victim(group)
            await self.database.until(
                "not exists (select from asyncjobs.workers where pid = $1)", pid
            )
            self.figures.rescues.append(time.monotonic() - killed_at)

    async def _check(self) -> None:
        while not self.ending.is_set():
            self._read()
            await asyncio.sleep(LOOK_EVERY)

    def _read(self) -> None:
        if not self.crew.record_path.exists():
            return
        with self.crew.record_path.open("rb") as file:
            file.seek(self.tail)
            *lines, self.rest = (self.rest + file.read()).split(b"\n")
            self.tail = file.tell()
        for line in lines:
            self.books.take(Line.parse(line.decode()))
        self.books.forget()

    async def _sample(self) -> None:
        while not self.ending.is_set():
            await self.database.fetch("delete from asyncjobs.jobs where state = 'cancelled'")
            memory = [process.memory_info().rss for process in self.veterans]
            size = await self.database.value("select pg_total_relation_size('asyncjobs.jobs')")
            self.figures.sample(memory, size)
            with anyio.move_on_after(5):
                await self.ending.wait()

    async def _settle(self) -> None:
        wrong = self.books.wrong
        with anyio.move_on_after(SETTLE):
            while await self.database.value(
                "select exists (select from asyncjobs.jobs where state <> 'cancelled')"
            ):
                await asyncio.sleep(0.1)
        self._read()
        for row in await self.database.fetch("delete from asyncjobs.jobs returning id, state"):
            life = self.books.lives.get(row["id"])
            if row["state"] != "cancelled" or (life and not life.may_be_cancelled):
                wrong.append(f"job {row['id']} is {row['state']} at the end: {life}")
        for schedule in await self.later.schedules.list():
            self._judge_ticks(schedule)
        self.books.close()

    def _judge_ticks(self, schedule: Schedule) -> None:
        _, period = SCHEDULES[schedule.name]
        created = in_milliseconds(schedule.created_at)
        last = in_milliseconds(schedule.last_at or schedule.created_at)
        offset = in_milliseconds(schedule.starting_at) if schedule.starting_at else 0
        first = created + period - (created - offset) % period
        self.books.expect_ticks(schedule.name, first, last, period)
        if in_milliseconds(self.ended_at) - last > period + LAST_TICK_WITHIN:
            self.books.wrong.append(f"{schedule.name} ticked last at {schedule.last_at}")


async def soak(minutes: float, folder: Path, dsn: str) -> bool:
    """Run the soak on the server at *dsn*."""
    await migrate_database(dsn)
    crew = Crew(folder, dsn, GROUPS)
    connection = await asyncpg.connect(dsn)
    try:
        return await Soak(crew, Database(connection), minutes).run()
    finally:
        await connection.close()
        crew.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="asyncjobs-chaos-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres.start(folder / "postgres") as postgres:
            return 0 if asyncio.run(soak(minutes, folder, postgres.dsn)) else 1


if __name__ == "__main__":
    sys.exit(main())
