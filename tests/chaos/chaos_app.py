"""The app whose workers the chaos tests kill, stop and starve. Its jobs record what happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

from recording import recorded, write

from asyncjobs import JobManager, PostgresAdapter, Queue, WorkerGroup, current_job
from asyncjobs.worker import deadlines, shutdown, watch

if "CHAOS_ALONE" in os.environ:  # as on a machine of its own: nobody sees that a process is gone
    os.environ["ASYNCJOBS_HOST_ID"] = f"{os.environ['CHAOS_ALONE']} {os.getpid()}"

if "CHAOS_GRACE" in os.environ:  # seconds: tests need not wait as long as people should
    deadlines.STUCK_GRACE = watch.STUCK_GRACE = float(os.environ["CHAOS_GRACE"])
    shutdown.CANCEL_GRACE = deadlines.STUCK_GRACE

HOPELESS_ATTEMPTS = 3
BACKOFF = 0.2
"""Seconds from a failure to the next attempt."""
IN_LANE, IN_QUEUE = 2, 12
"""How many limited jobs run at once: of each lane, and in all."""
THREADS = 2
"""How many plain functions a worker of `soak` runs at once."""
QUEUES: list[str | Queue] = ["default", "urgent", "slow", Queue("narrow", concurrency=IN_QUEUE)]

jobs = JobManager(
    adapters={"main": PostgresAdapter()},
    queues=QUEUES,
    workers=[
        WorkerGroup(adapter="main", **options)
        for options in json.loads(os.environ.get("CHAOS_GROUPS", "[{}]"))
    ],
)
later = jobs.create_scheduler(adapter="main")


@jobs.job
async def quick(number: int) -> None:
    with recorded():
        await asyncio.sleep(0)


@jobs.job(queue="slow")
async def nap(seconds: float) -> None:
    with recorded():
        await asyncio.sleep(seconds)


@jobs.job(queue="urgent", priority=1, backoff=lambda attempt, error: BACKOFF)
async def fragile(failures: int) -> None:
    with recorded():
        if current_job().attempt <= failures:
            raise ValueError("not yet")


@jobs.job(max_attempts=HOPELESS_ATTEMPTS, backoff=lambda attempt, error: BACKOFF)
async def hopeless() -> None:
    with recorded():
        raise ValueError("never")


@jobs.job(queue="narrow", concurrency_key="{lane}", concurrency=IN_LANE)
async def limited(lane: int, seconds: float) -> None:
    with recorded(lanes=f"key:{lane},queue:narrow"):
        await asyncio.sleep(seconds)


@jobs.job(concurrency_key="turn:{lane}", strict_order=True, backoff=lambda attempt, error: BACKOFF)
async def in_turn(lane: int, turn: int, failures: int) -> None:
    with recorded(lanes=f"key:turn:{lane}", turn=turn):
        await asyncio.sleep(0.005)
        if current_job().attempt <= failures:
            raise ValueError("not yet")


@jobs.job
async def ticking(schedule: str) -> None:
    tick = current_job().tick
    assert tick is not None
    moment = round(tick.timestamp() * 1_000)
    late = time.time_ns() - moment * 1_000_000
    with recorded(schedule=schedule, tick=moment, late=late):
        await asyncio.sleep(0)


@jobs.job
async def endless() -> None:
    with recorded():
        await asyncio.Event().wait()


@jobs.job(max_runtime=1)
async def stubborn() -> None:
    with recorded():
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                write("swallowed")


@jobs.job(max_runtime=1, retry_on_timeout=True)
async def stubborn_retried() -> None:
    await stubborn.perform()


@jobs.job(max_runtime=1)
async def blocking(seconds: float) -> None:
    with recorded():
        time.sleep(seconds)  # noqa: ASYNC251 - what it is for


@jobs.job
def threaded(seconds: float) -> None:
    with recorded(lanes=f"threads:{os.getpid()}"):
        time.sleep(seconds)


@jobs.job(max_runtime=1)
def stuck_thread(seconds: float) -> None:
    with recorded():
        time.sleep(seconds)


@jobs.job(max_attempts=2)
async def deadly() -> None:
    """Kill this process, when its neighbours have begun too."""
    with recorded():
        await asyncio.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)


if "CHAOS_NEWER" in os.environ:

    @jobs.job
    async def newer() -> None:
        with recorded():
            await asyncio.sleep(0)
