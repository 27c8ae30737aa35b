"""What a user's own server gives: the measurements of `asyncjobs bench`.

They use a schema of their own, which is dropped at the end, and jobs that do nothing: what is
measured is the way of a job through the database, at the default settings of a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import structlog

from asyncjobs.config import WorkerGroup, check_between
from asyncjobs.manager import JobManager
from asyncjobs.storage.postgres import PostgresAdapter
from asyncjobs.storage.postgres.source import find_dsn
from asyncjobs.storage.postgres.statements import for_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CALLERS = 50
BATCH = 1_000
LEAST_SECONDS, MOST_SECONDS = 1.0, 3_600.0
MOST_JOBS = 200_000
"""Jobs that one step stores at most: draining them must not take much longer than storing."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the table."""

    what: str
    value: float
    unit: str


class Benchmark:
    """Measures for about *seconds* in all. Raises ConfigError, StorageError."""

    def __init__(self, dsn: str | None, seconds: float) -> None:
        check_between("seconds", seconds, LEAST_SECONDS, MOST_SECONDS, " s")
        self._dsn = find_dsn(dsn)
        self._schema = f"asyncjobs_bench_{uuid4().hex[:12]}"
        self._share = seconds / len(self.steps)
        self._jobs = JobManager(
            adapters={"bench": PostgresAdapter(self._dsn, schema=self._schema)},
            workers=[WorkerGroup(adapter="bench")],
            logger=structlog.wrap_logger(
                None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
            ),
        )
        self._later = self._jobs.create_scheduler(adapter="bench")
        self._started: asyncio.Queue[float] = asyncio.Queue()

        @self._jobs.job
        async def nothing(number: int) -> None: ...

        @self._jobs.job
        async def tell() -> None:
            self._started.put_nowait(time.perf_counter())

        self._nothing, self._tell = nothing, tell

    @property
    def steps(self) -> list[tuple[str, Callable[[], Awaitable[list[Measurement]]]]]:
        """What is measured, and how, in order."""
        return [
            ("later(), one after the other", self._one_by_one),
            (f"later(), {CALLERS} callers at once", self._callers),
            (f"later.many() of {BATCH}", self._many),
            ("running them, one worker", self._drain),
            ("from later() to the job's first line", self._latency),
        ]

    @contextlib.asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Create the schema, and drop it at the end, whatever happens."""
        await self._jobs.migrate()
        try:
            async with self._jobs:
                yield
        finally:
            await asyncio.shield(self._drop())

    async def _one_by_one(self) -> list[Measurement]:
        end, count = time.perf_counter() + self._share, 0
        began = time.perf_counter()
        while time.perf_counter() < end:
            await self._later(self._nothing(count))
            count += 1
        return [_rate("later(), one after the other", count, began)]

    async def _callers(self) -> list[Measurement]:
        began = time.perf_counter()
        counts = [0] * CALLERS

        async def caller(number: int) -> None:
            while time.perf_counter() < began + self._share and counts[number] < 4_000:
                await self._later(self._nothing(number))
                counts[number] += 1

        await asyncio.gather(*[caller(number) for number in range(CALLERS)])
        return [_rate(f"later(), {CALLERS} callers at once", sum(counts), began)]

    async def _many(self) -> list[Measurement]:
        began, count = time.perf_counter(), 0
        while time.perf_counter() < began + self._share and count < MOST_JOBS:
            await self._later.many([self._nothing(number) for number in range(BATCH)])
            count += BATCH
        return [_rate(f"later.many() of {BATCH}", count, began)]

    async def _drain(self) -> list[Measurement]:
        began = time.perf_counter()
        count = await self._jobs.workoff()
        return [_rate("running them until stored, one worker", count, began)]

    async def _latency(self) -> list[Measurement]:
        stop = asyncio.Event()
        delays: list[float] = []
        worker = asyncio.create_task(self._jobs.work(stop))
        end = time.perf_counter() + self._share
        while time.perf_counter() < end or len(delays) < 10:
            before = time.perf_counter()
            await self._later(self._tell())
            delays.append(await self._started.get() - before)
            await asyncio.sleep(0.01)
        stop.set()
        await worker
        percent = quantiles(delays, n=100)
        what = "from later() to the job's first line"
        return [
            Measurement(f"{what}, median", percent[49] * 1_000, "ms"),
            Measurement(f"{what}, 99 of 100", percent[98] * 1_000, "ms"),
        ]

    async def _drop(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute(
                for_schema('drop schema if exists :"schema" cascade', self._schema)
            )
        finally:
            await connection.close()


def _rate(what: str, count: int, began: float) -> Measurement:
    return Measurement(what, count / (time.perf_counter() - began), "jobs/s")
