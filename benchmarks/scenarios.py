"""What is measured. Each scenario gets an empty database and returns figures by name.

Every peer takes part in EVERYONE, ours in OURS as well. Jobs do nothing and take one small
argument. Clients and workers are processes of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from benchmarks.peer import Level
from benchmarks.processes import PeerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from benchmarks.bench import Bench
    from benchmarks.processes import Agent

Figures: TypeAlias = dict[str, float]
Scenario: TypeAlias = "Callable[[Bench], Awaitable[Figures]]"

URGENT_JOBS = 5
BATCH = 1_000
CALLERS = 50


async def one_by_one(bench: Bench) -> Figures:
    """`later()` again and again, from one caller: jobs/s, WAL bytes and commits per job."""
    return await _enqueue(bench, "one_by_one", "later", callers=1)


async def concurrent(bench: Bench) -> Figures:
    """`later()` from 50 callers of one process at once: jobs/s, WAL and commits per job."""
    return await _enqueue(bench, "concurrent", "later", callers=CALLERS)


async def bulk(bench: Bench) -> Figures:
    """Batches of 1 000, one after the other: jobs/s, WAL and commits per job."""
    return await _enqueue(bench, "bulk", "many", size=BATCH)


async def drain(bench: Bench) -> Figures:
    """One worker process empties a queue: jobs/s from its first job until all are stored."""
    return await _drain(bench, "drain", workers=1)


async def drain_by_two(bench: Bench) -> Figures:
    """Two worker processes empty a queue: jobs/s from the first job until all are stored."""
    return await _drain(bench, "drain_by_two", workers=2)


async def latency(bench: Bench) -> Figures:
    """From just before `later()` to the first line of the job, on an idle worker: p50, p99 in ms.

    Both processes read the machine's monotonic clock. About 20 ms lie between two jobs.
    """
    async with bench.client() as client, bench.workers() as [worker]:
        await bench.warm(client, worker)
        delays = await _delays(client, worker, bench.sizes.samples, pause=0.02)
    return {"latency_p50": _percentile(delays, 50), "latency_p99": _percentile(delays, 99)}


async def drain_beside_others(bench: Bench) -> Figures:
    """One worker drains while 500 000 jobs of lower priority wait in the same queue: jobs/s."""
    return await _drain_beside(bench, "drain_beside_others", "waiting", bench.sizes.others)


async def drain_beside_waiting(bench: Bench) -> Figures:
    """The same with 1 000 000 jobs of lower priority: jobs/s."""
    return await _drain_beside(bench, "drain_beside_waiting", "waiting", bench.sizes.many_others)


async def drain_beside_scheduled(bench: Bench) -> Figures:
    """The same with 1 000 000 jobs scheduled for later: jobs/s."""
    return await _drain_beside(
        bench, "drain_beside_scheduled", "scheduled", bench.sizes.many_others
    )


async def drain_beside_finished(bench: Bench) -> Figures:
    """The same with 1 000 000 jobs that have finished and are kept: jobs/s."""
    return await _drain_beside(bench, "drain_beside_finished", "finished", bench.sizes.many_others)


async def latency_at_half_peak(bench: Bench) -> Figures:
    """The same latency while the worker drains at half its peak: p50, p99 in ms.

    The peak is measured first, as in `drain`. Then one client enqueues at half that rate in
    batches of 100, and another calls `later()` some 100 times a second.
    """
    peak = (await _drain(bench, "peak", workers=1))["peak"]
    seconds = bench.sizes.load_seconds
    async with bench.client() as loader, bench.client() as client, bench.workers() as [worker]:
        await bench.warm(client, worker)
        load = asyncio.create_task(loader.ask("load", rate=peak / 2, seconds=seconds))
        await asyncio.sleep(seconds / 10)
        samples = int(seconds * 0.7 * 100)
        delays = await _delays(client, worker, samples, pause=0.008)
        stored = await load
        await bench.ran([worker], int(stored["count"]) + samples)
    return {
        "busy_p50": _percentile(delays, 50),
        "busy_p99": _percentile(delays, 99),
        "busy_load": stored["count"] / stored["seconds"] / peak,
    }


async def held_snapshot(bench: Bench) -> Figures:
    """One worker drains 1 000 000 jobs while another transaction holds an old snapshot.

    The rate of the last tenth over that of the first, and the longest time from `later()` to
    the first line of an urgent job, of five in the middle, in ms. Rates are of starts.
    """
    jobs = bench.sizes.held
    async with bench.client() as client:
        await bench.fill(client, jobs)
        async with _snapshot(bench), bench.workers() as [worker]:
            await bench.ran([worker], jobs // 2)
            urgent = await _delays(
                client, worker, URGENT_JOBS, pause=0.1 if jobs > 10**5 else 0.01, level=Level.URGENT
            )
            await bench.ran([worker], jobs + URGENT_JOBS)
            first = _rate_between(worker, 0, jobs // 10)
            last = _rate_between(worker, jobs * 9 // 10, jobs)
    return {
        "held_first_tenth": first,
        "held_last_tenth": last,
        "held_ratio": last / first,
        "held_urgent": _percentile(urgent, 100),
    }


async def memory(bench: Bench) -> Figures:
    """Resident memory of a worker with an empty queue, and with 100 000 jobs waiting, in MB.

    The waiting ones take a minute each, so that they go on waiting.
    """
    async with bench.client() as client, bench.workers() as [worker]:
        await bench.warm(client, worker)
        empty = worker.memory()
        await client.ask("naps", count=bench.sizes.memory, seconds=60)
        await asyncio.sleep(bench.sizes.memory_seconds)
        waiting = worker.memory()
    return {"memory_empty": empty / 1e6, "memory_waiting": waiting / 1e6}


async def scheduled(bench: Bench) -> Figures:
    """How late jobs start that are scheduled for a time, beside 1 000 000 future ones: ms.

    300 jobs, due one by one over three seconds. A negative figure would be a job too early.
    """
    samples = bench.sizes.samples
    async with bench.client() as client:
        await bench.backlog(client, "scheduled", bench.sizes.many_others)
        async with bench.workers() as [worker]:
            await bench.warm(client, worker)
            spread = samples / 100
            await client.ask("schedule", count=samples, first=2.0, spread=spread)
            await bench.ran([worker], samples)
            delays = (await worker.ask("delays"))["delays"]
    return {
        "scheduled_least": _percentile(delays, 0),
        "scheduled_p50": _percentile(delays, 50),
        "scheduled_p99": _percentile(delays, 99),
    }


async def naps(bench: Bench) -> Figures:
    """1 000 jobs of 100 ms at concurrency 100, first start until all are stored: s, ideal 1."""
    count = bench.sizes.naps
    async with bench.client() as client:
        await client.ask("naps", count=count, seconds=0.1)
        async with bench.workers(concurrency=100) as workers:
            drained = await bench.drain(client, workers, count)
    return {"naps": drained.seconds * 1_000 / count}


async def unique(bench: Bench) -> Figures:
    """Unique jobs, stored in batches of 1 000, and drained by one worker: jobs/s each."""
    return await _featured(bench, "unique")


async def keyed(bench: Bench) -> Figures:
    """The same for jobs of 1 000 keys, of each of which at most ten run at once."""
    return await _featured(bench, "keyed")


async def rated(bench: Bench) -> Figures:
    """The same for jobs of 1 000 keys, of each of which at most 1 000 start in a second."""
    return await _featured(bench, "rated")


async def drain_beside_lane(bench: Bench) -> Figures:
    """One worker drains jobs without limits while 100 000 wait in a lane that is full: jobs/s.

    The one that they wait for runs in this worker, which has a slot less.
    """
    async with bench.client() as client:
        await client.ask("full_lane", count=bench.sizes.lane)
        await bench.fill(client, bench.jobs)
        async with bench.workers() as workers:
            drained = await bench.drain(client, workers, bench.jobs)
    return {"drain_beside_lane": drained.rate}


EVERYONE: tuple[Scenario, ...] = (
    one_by_one,
    concurrent,
    bulk,
    drain,
    latency,
    drain_beside_others,
)
OURS: tuple[Scenario, ...] = (
    drain_by_two,
    drain_beside_waiting,
    drain_beside_scheduled,
    drain_beside_finished,
    latency_at_half_peak,
    held_snapshot,
    memory,
    scheduled,
    naps,
    unique,
    keyed,
    rated,
    drain_beside_lane,
)


async def _enqueue(bench: Bench, name: str, verb: str, **given: int) -> Figures:
    database = bench.database
    await database.settle()
    commits = await database.commits()
    async with bench.client() as client:
        wal = await database.wal()
        answer = await client.ask(verb, seconds=bench.sizes.seconds, **given)
        wal = await database.wal() - wal
    count = answer["count"]
    figures = {name: count / answer["seconds"]}
    if bench.peer.store == "postgres":
        figures[f"{name}_wal"] = wal / count
        figures[f"{name}_commits"] = (await database.commits() - commits) / count
    return figures


async def _drain(bench: Bench, name: str, *, workers: int) -> Figures:
    if bench.peer.needs_listener:
        return await _drain_while_enqueued(bench, name, workers)
    jobs = bench.jobs
    async with bench.client() as client:
        await bench.fill(client, jobs)
    commits = await bench.database.commits()
    async with bench.client() as client, bench.workers(workers) as agents:
        drained = await bench.drain(client, agents, jobs)
    figures = {name: drained.rate}
    if bench.peer.store == "postgres":
        figures[f"{name}_wal"] = drained.wal
        figures[f"{name}_commits"] = (await bench.database.commits() - commits) / jobs
    return figures


async def _drain_while_enqueued(bench: Bench, name: str, workers: int) -> Figures:
    async with bench.client() as client, bench.workers(workers) as agents:
        for agent in agents:
            await bench.warm(client, agent)
        filling = asyncio.create_task(bench.fill(client, bench.jobs))
        await bench.ran(agents, bench.jobs)
        await filling
        drained = await bench.drain(client, agents, bench.jobs)
    return {name: drained.rate}


async def _drain_beside(bench: Bench, name: str, kind: str, others: int) -> Figures:
    async with bench.client() as client:
        await bench.backlog(client, kind, others)
        await bench.fill(client, bench.jobs)
        async with bench.workers() as workers:
            drained = await bench.drain(client, workers, bench.jobs)
    return {name: drained.rate}


async def _featured(bench: Bench, kind: str) -> Figures:
    count = bench.sizes.featured
    async with bench.client() as client:
        before = time.monotonic()
        await client.ask("featured", kind=kind, count=count)
        stored = count / (time.monotonic() - before)
        await bench.database.settle(checkpoint=False)
        async with bench.workers() as workers:
            drained = await bench.drain(client, workers, count)
    return {f"{kind}_bulk": stored, f"{kind}_drain": drained.rate}


async def _delays(
    client: Agent, worker: Agent, samples: int, *, pause: float, level: Level = Level.NORMAL
) -> list[float]:
    await client.ask("stamp", samples=samples, pause=pause, level=int(level))
    delays: list[float] = []
    while len(delays) < samples:
        worker.check()
        delays += (await worker.ask("delays"))["delays"]
        await asyncio.sleep(0.02)
    return delays


@contextlib.asynccontextmanager
async def _snapshot(bench: Bench) -> AsyncIterator[None]:
    connection = await asyncpg.connect(bench.url)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("select count(*) from pg_class")
            yield
    finally:
        await connection.close()


def _rate_between(worker: Agent, least: int, most: int) -> float:
    return (most - least) / (_moment(worker, most) - _moment(worker, least)) * 1e9


def _moment(worker: Agent, count: int) -> float:
    """Return when *worker* had started so many jobs, between what it told."""
    points = [(worker.first, 0), *worker.history]
    for (since, before), (until, after) in itertools.pairwise(points):
        if before <= count <= after and before < after:
            return since + (until - since) * (count - before) / (after - before)
    raise PeerError(f"it has not started {count} jobs")


def _percentile(delays: list[float], percent: float) -> float:
    """Return it in ms; delays are in ns."""
    ordered = sorted(delays)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] / 1e6
