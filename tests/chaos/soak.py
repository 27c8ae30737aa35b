"""Mixed work at half of peak for a long time, with a kill every 20 seconds: ``make chaos``.

Calls of several kinds are stored all the time: at once, delayed, failing and retried, failing
for good, cancelled while they wait and while they run; for several queues and processes. Every
20 s a worker process is killed with all it holds. What the jobs append to their record is
checked as it is written:

- exclusion: no attempt of a job begins before the last one ended, or its process was killed;
- completeness: every call that was acknowledged ends, with as many attempts as its failures
  and the kills explain, neither more nor fewer;
- at the end nothing is left in the table, which is no larger than it was at the beginning,
  and neither are the workers that were never killed.

Prints a table for docs/reliability.md, and ends with 1 if anything of this does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import chaos_app
import psutil
from crew import Crew, Database

from asyncjobs import JobManager, PostgresAdapter
from asyncjobs.storage.embedded import EmbeddedPostgres
from asyncjobs.storage.postgres.migrate import migrate_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.job import JobCall
    from asyncjobs.scheduler import Scheduler

KILL_EVERY = 20.0
TICK = 0.05
LEASE = 6.0
COMMON = {"lease": LEASE, "heartbeat_interval": 1, "delete_failed_jobs": True}
GROUPS = [
    {**COMMON, "queue": ["default", "urgent"], "concurrency": 50},
    {**COMMON, "queue": "slow", "concurrency": 40},
]
VICTIMS = [0, 0, 1]
"""The groups of the workers that are killed. One more of each group is not."""
WARM_UP = 0.2
"""The share of the time after which memory and table have their lasting size."""
UNDONE_WITHIN = 60.0
"""Seconds after its last line within which a job may turn out not to have ended."""
SETTLE = 120.0
"""Seconds for what is left at the end."""


Place = tuple[int, int]
"""An attempt: its number, and the process that had it."""


@dataclass
class Life:
    """What is known of a job that has not ended for certain."""

    stored_at: int
    fails_for_good: bool = False
    may_be_cancelled: bool = False
    begin: int | None = None
    pid: int = 0
    failed: set[Place] = field(default_factory=set)
    lost: set[Place] = field(default_factory=set)
    """An attempt may be in both: its process was killed before the failure was stored."""
    ended: set[Place] = field(default_factory=set)
    """Successes, which a kill may have undone likewise."""

    @property
    def expected_attempt(self) -> int:
        """Which attempt the next one is."""
        return 1 + len(self.failed - self.lost) + len(self.lost) - (len(self.lost) >= 2)

    @property
    def is_over(self) -> bool:
        """Whether the job has come to its end, as far as is known."""
        is_hopeless = self.expected_attempt > chaos_app.HOPELESS_ATTEMPTS
        return bool(self.ended - self.lost) or (self.fails_for_good and is_hopeless)


@dataclass
class Books:
    """The checks, line by line of the record."""

    deaths: dict[int, int]
    lives: dict[int, Life] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    failed_attempts: int = 0
    over: deque[tuple[float, int]] = field(default_factory=deque)
    """Jobs that have ended, and when; forgotten when no kill can undo that any more."""
    early: dict[int, list[tuple[str, int, int, int]]] = field(default_factory=dict)
    """Lines about jobs whose call has not returned yet."""
    early_losses: dict[int, set[Place]] = field(default_factory=dict)

    def stored(self, job: int, life: Life) -> None:
        """Note a call that was acknowledged."""
        self.lives[job] = life
        life.lost = self.early_losses.pop(job, set())
        for line in self.early.pop(job, ()):
            self._take(job, *line)

    def lose(self, job: int, attempt: int, pid: int) -> None:
        """Note that *pid* was killed while it held *job*."""
        life = self.lives.get(job)
        lost = self.early_losses.setdefault(job, set()) if life is None else life.lost
        lost.add((attempt, pid))

    def take(self, line: str) -> None:
        """Check a line of the record."""
        kind, *numbers = line.split()
        job, attempt, pid, at = map(int, numbers)
        if job in self.lives:
            self._take(job, kind, attempt, pid, at)
        else:
            self.early.setdefault(job, []).append((kind, attempt, pid, at))

    def forget(self) -> None:
        """Let go of what ended some time ago, and has not begun again."""
        while self.over and self.over[0][0] < time.monotonic() - UNDONE_WITHIN:
            _, job = self.over.popleft()
            if job in self.lives and self.lives[job].is_over:
                del self.lives[job]

    def unfinished(self) -> list[int]:
        """Return the jobs that should have ended and have not."""
        return [
            job
            for job, life in self.lives.items()
            if not life.is_over and not life.may_be_cancelled
        ]

    def _take(self, job: int, kind: str, attempt: int, pid: int, at: int) -> None:
        life = self.lives[job]
        if kind == "begin":
            self._begin(job, life, attempt, pid, at)
            return
        life.begin = None
        if kind == "failed":
            life.failed.add((attempt, pid))
            self.failed_attempts += 1
        elif kind == "succeeded" or life.may_be_cancelled:
            life.ended.add((attempt, pid))
        if life.is_over:
            self.over.append((time.monotonic(), job))

    def _begin(self, job: int, life: Life, attempt: int, pid: int, at: int) -> None:
        if life.begin is not None and self.deaths.get(life.pid, at + 1) > at:
            self.wrong.append(f"job {job} runs in {pid} while it runs in {life.pid}")
        if life.is_over or attempt != life.expected_attempt:
            self.wrong.append(f"job {job}: attempt {attempt} in {pid} after {life}")
        if not life.failed and not life.lost and not life.may_be_cancelled:
            self.latencies.append((at - life.stored_at) / 1e9)
        life.begin, life.pid = at, pid


class Soak:
    """The database, the workers, the calls, the kills and the books."""

    def __init__(self, crew: Crew, database: Database, minutes: float) -> None:
        self.crew, self.database, self.minutes = crew, database, minutes
        self.books = Books(crew.deaths)
        self.manager = JobManager(
            adapters={"main": PostgresAdapter(crew.dsn)}, queues=chaos_app.QUEUES
        )
        for job in chaos_app.jobs.registry:
            self.manager.registry.add(job)
        self.later: Scheduler = self.manager.create_scheduler(adapter="main")
        self.ending = asyncio.Event()
        self.veterans: list[psutil.Process] = []
        self.victims: list[Any] = []
        self.kills = self.acknowledged = self.cancelled = self.rate = self.lost = 0
        self.peak = 0.0
        self.rescues: list[float] = []
        self.memory: list[list[int]] = []
        self.table: list[int] = []
        self.tail = 0
        self.rest = b""

    async def run(self) -> bool:
        """Do everything, print the figures, and return whether all was well."""
        async with self.manager:
            self.veterans = [
                psutil.Process(self.crew.start_worker(group=group, CHAOS_ALONE="v").process.pid)
                for group in range(len(GROUPS))
            ]
            self.victims = [self._start_victim(group) for group in VICTIMS]
            await self.database.until("count(*) = $1 from asyncjobs.workers", self._workers())
            await self._measure_peak()
            async with anyio.create_task_group() as tasks:
                for part in (
                    self._schedule,
                    self._interfere,
                    self._kill,
                    self._check,
                    self._sample,
                ):
                    tasks.start_soon(part)
                await asyncio.sleep(self.minutes * 60)
                self.ending.set()
            await self._settle()
        return self._report()

    def _workers(self) -> int:
        return len(self.veterans) + len(self.victims)

    def _start_victim(self, group: int) -> tuple[int, int]:
        number = len(self.crew.commands)
        return self.crew.start_worker(group=group, CHAOS_ALONE=f"n{number}").process.pid, group

    async def _measure_peak(self) -> None:
        began, jobs = time.monotonic(), 30_000
        for _ in range(jobs // 1_000):
            await self._store([chaos_app.quick(1) for _ in range(1_000)], may_be_cancelled=True)
        while not all(life.is_over for life in self.books.lives.values()):
            self._read()
            await asyncio.sleep(TICK)
        self.peak = jobs / (time.monotonic() - began)
        self.rate = int(self.peak / 2)

    async def _schedule(self) -> None:
        due = time.monotonic()
        while not self.ending.is_set():
            due += TICK
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._store_mixture(max(1, int(self.rate * TICK)))

    async def _store_mixture(self, calls: int) -> None:
        app = chaos_app
        kinds: dict[Callable[[], JobCall[Any]], float] = {
            lambda: app.quick(1): 0.82,
            lambda: app.fragile(random.randint(1, 3)): 0.06,
            app.hopeless: 0.01,
            lambda: app.nap(random.uniform(0, 0.5)): 0.03,
            lambda: app.threaded(0.002): 0.02,
        }
        chosen = random.choices([*kinds], weights=[*kinds.values()], k=calls)
        await self._store([make() for make in chosen])
        delayed = [app.quick(2) for _ in range(round(calls * 0.06))]
        await self._store(delayed, may_be_cancelled=True, wait=random.uniform(0.1, 5))

    async def _store(
        self, calls: list[JobCall[Any]], *, may_be_cancelled: bool = False, **options: Any
    ) -> list[int]:
        if not calls:
            return []
        called_at = time.monotonic_ns()
        stored = await self.later.many(calls, **options)
        for job in stored:
            hopeless = job.name == chaos_app.hopeless.name
            self.books.stored(job.id, Life(called_at, hopeless, may_be_cancelled))
        self.acknowledged += len(stored)
        return [job.id for job in stored]

    async def _interfere(self) -> None:
        """Cancel calls that wait and jobs that run."""
        while not self.ending.is_set():
            app = chaos_app
            waiting = await self._store([app.quick(3)], may_be_cancelled=True, wait=2)
            running = await self._store([app.nap(2)], may_be_cancelled=True)
            await asyncio.sleep(random.uniform(0, 0.3))
            await self._cancel([*waiting, *running])

    async def _cancel(self, jobs: list[int]) -> None:
        for job in jobs:
            if await self.later.cancel(job):
                self.cancelled += 1

    async def _kill(self) -> None:
        while not self.ending.is_set():
            with anyio.move_on_after(KILL_EVERY):
                await self.ending.wait()
                return
            place = random.randrange(len(self.victims))
            pid, group = self.victims[place]
            self.crew.kill(pid)
            killed_at = time.monotonic()
            self.kills += 1
            await asyncio.sleep(0.5)  # statements under way may still commit
            held = await self.database.fetch(
                "select jobs.id, attempt from asyncjobs.jobs join asyncjobs.workers "
                "on workers.id = locked_by where pid = $1",
                pid,
            )
            for row in held:
                self.books.lose(row["id"], row["attempt"], pid)
            self.lost += len(held)
            self.victims[place] = self._start_victim(group)
            await self.database.until(
                "not exists (select from asyncjobs.workers where pid = $1)", pid
            )
            self.rescues.append(time.monotonic() - killed_at)

    async def _check(self) -> None:
        while not self.ending.is_set():
            self._read()
            await asyncio.sleep(TICK)

    def _read(self) -> None:
        if not self.crew.record_path.exists():
            return
        with self.crew.record_path.open("rb") as file:
            file.seek(self.tail)
            *lines, self.rest = (self.rest + file.read()).split(b"\n")
            self.tail = file.tell()
        for line in lines:
            self.books.take(line.decode())
        self.books.forget()

    async def _sample(self) -> None:
        while not self.ending.is_set():
            await self.database.fetch("delete from asyncjobs.jobs where state = 'cancelled'")
            self.memory.append([process.memory_info().rss for process in self.veterans])
            self.table.append(
                await self.database.value("select pg_total_relation_size('asyncjobs.jobs')")
            )
            with anyio.move_on_after(5):
                await self.ending.wait()

    async def _settle(self) -> None:
        with anyio.move_on_after(SETTLE):
            while await self.database.value(
                "select exists (select from asyncjobs.jobs where state <> 'cancelled')"
            ):
                await asyncio.sleep(0.1)
        self._read()
        for row in await self.database.fetch("delete from asyncjobs.jobs returning id, state"):
            life = self.books.lives.get(row["id"])
            if row["state"] != "cancelled" or (life and not life.may_be_cancelled):
                self.books.wrong.append(f"job {row['id']} is {row['state']} at the end: {life}")
        if left := self.books.unfinished():
            self.books.wrong.append(f"{len(left)} calls never ended: {left[:10]}")
        if self.books.early:
            self.books.wrong.append(f"jobs that nobody stored ran: {[*self.books.early][:10]}")

    def _report(self) -> bool:
        wrong = self.books.wrong
        warm = int(len(self.table) * WARM_UP)
        table = max(self.table[: warm + 1]) / 2**20, self.table[-1] / 2**20
        memory = self._megabytes(warm), self._megabytes(-1)
        if table[1] > 1.5 * table[0] + 16:
            wrong.append(f"the table grew from {table[0]:.0f} to {table[1]:.0f} MB")
        if memory[1] > 1.2 * memory[0] + 8:
            wrong.append(f"the workers grew from {memory[0]:.0f} to {memory[1]:.0f} MB")
        figures = {
            **self._figures(),
            "memory of a worker, after a fifth of the time / at the end": megabytes(memory),
            "table with its indexes, likewise": megabytes(table),
            "violations": f"{len(wrong)}",
        }
        for name, figure in figures.items():
            print(f"| {name} | {figure} |")
        for violation in wrong[:50]:
            print("WRONG:", violation)
        return not wrong

    def _megabytes(self, sample: int) -> float:
        return sum(self.memory[sample]) / len(self.veterans) / 2**20

    def _figures(self) -> dict[str, str]:
        latencies = sorted(self.books.latencies)
        p50, p99 = (1000 * latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
        rescues = self.rescues or [0.0]
        return {
            "duration": f"{self.minutes:g} min",
            "peak, quick jobs only": f"{self.peak:,.0f} jobs/s",
            "load": f"{self.acknowledged / self.minutes / 60:,.0f} calls/s, "
            f"{len(chaos_app.QUEUES)} queues, {self._workers()} worker processes",
            "calls acknowledged": f"{self.acknowledged:,}",
            "attempts that failed": f"{self.books.failed_attempts:,}",
            "cancelled, waiting or running": f"{self.cancelled:,}",
            "kills": f"{self.kills}",
            "attempts lost by them": f"{self.lost:,}",
            f"from kill to rescue, with a lease of {LEASE:g} s": (
                f"{statistics.median(rescues):.1f} s, at most {max(rescues):.1f} s"
            ),
            "from call to start, p50 / p99": f"{p50:.0f} ms / {p99:,.0f} ms",
        }


def megabytes(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.0f} MB / {pair[1]:.0f} MB"


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
