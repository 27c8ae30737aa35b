"""Random lives of jobs, checked after each step against what must always be true.

The model knows nothing of queues, times or places. It knows who holds which job, how often
each job was claimed, and what was said of it last.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncjobs.storage.memory import MemoryAdapter
from asyncjobs.testing.contract.steps import a_job, a_worker
from asyncjobs.types import JobRecord, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.storage.protocol import Storage

FINAL = {"succeeded", "failed", "cancelled"}
WORKERS = 3
MANY = 100
LEASE = 0.03
"""Seconds of a worker that falls silent: time enough for its claim."""
SOON = timedelta(seconds=10)


class Attempt(NamedTuple):
    """A claim that was made: who may finish what, if not overtaken."""

    worker: int
    job: int
    number: int


@dataclass
class Life:
    """What the model knows of one job."""

    holder: int | None = None
    claims: int = 0
    attempt: int = 0
    errors: int = 0
    losses: int = 0
    postponed: bool = False
    removed: bool = False
    cancel_requested: bool = False
    last: JobRecord | None = None


@dataclass
class World:
    """A storage, the model of it, and the steps that change both."""

    storage: Storage
    workers: list[int] = field(default_factory=list)
    leaving: set[int] = field(default_factory=set)
    lives: dict[int, Life] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)

    async def enter(self) -> None:
        """Start from nothing but some workers."""
        await self.storage.clear()
        for _ in range(WORKERS):
            self.workers.append(await self.storage.register(a_worker(lease=3600)))

    async def check(self) -> None:
        """Compare all jobs there ever were with the model."""
        records = {record.id: record for record in await self.storage.get(list(self.lives))}
        gone = {job for job, life in self.lives.items() if life.removed}
        assert set(records) == set(self.lives) - gone
        for job, record in records.items():
            check_life(self.lives[job], record)
        assert sum((await self.storage.counts()).values()) == len(records)

    def held_by(self, workers: Sequence[int]) -> set[int]:
        """Return the jobs that *workers* hold."""
        return {job for job, life in self.lives.items() if life.holder in workers}

    def to_be_rescued(self, worker: int) -> set[int]:
        """Return the jobs that run again when *worker* is found to be gone."""
        return {job for job in self.held_by([worker]) if not self.lives[job].cancel_requested}

    async def part_with(self, worker: int, *, died: bool) -> None:
        """Note that *worker* is gone with what it held, and see that it can do nothing more."""
        for job in self.held_by([worker]):
            life = self.lives[job]
            life.holder = None
            is_lost = died and worker not in self.leaving
            life.attempt -= not is_lost or life.losses == 1
            life.errors += is_lost
            life.losses += is_lost
        assert (await self.storage.heartbeat(worker))[:2] == (False, [])
        assert await self.storage.claim(worker, ["default", "email"], MANY) == []


def check_life(life: Life, record: JobRecord) -> None:
    """Check *record* against what is known, and take note of it."""
    assert (record.state == "running") == (life.holder is not None)
    assert (record.finished_at is not None) == (record.state in FINAL)
    assert 0 <= record.attempt == life.attempt <= life.claims
    assert len(json.loads(record.errors)) == life.errors
    if record.state == "running":
        assert record.attempted_at is not None
        assert record.run_at <= record.attempted_at
    if life.cancel_requested:
        assert record.state in FINAL | {"running"}
    if life.last is not None:
        errors = json.loads(life.last.errors)
        assert json.loads(record.errors)[: len(errors)] == errors
        assert record.created_at == life.last.created_at
        if life.last.state in FINAL:
            assert record == life.last
    life.last = record


class Enqueue(NamedTuple):
    priorities: list[int]
    queue: str
    wait: float | None

    async def run(self, world: World) -> None:
        jobs = [a_job(queue=self.queue, priority=p, wait=self.wait) for p in self.priorities]
        stored = await world.storage.enqueue(jobs)
        assert not {job.id for job in stored} & set(world.lives)
        assert {job.state for job in stored} <= {"scheduled" if self.wait else "available"}
        world.lives |= {job.id: Life() for job in stored}


class Claim(NamedTuple):
    worker: int
    queues: list[str]
    limit: int

    async def run(self, world: World) -> None:
        worker = world.workers[self.worker]
        claimed = await world.storage.claim(worker, self.queues, self.limit)
        assert len({job.id for job in claimed}) == len(claimed) <= self.limit
        assert {job.queue for job in claimed} <= set(self.queues)
        assert [job.priority for job in claimed] == sorted(job.priority for job in claimed)
        for job in claimed:
            life = world.lives[job.id]
            assert life.holder is None
            assert not life.removed
            life.holder = worker
            life.claims += 1
            life.attempt += 1
            assert (job.attempt, job.losses) == (life.attempt, life.losses)
            life.postponed = False
            world.attempts.append(Attempt(worker, job.id, job.attempt))


class Finish(NamedTuple):
    """Report on claims of now and of long ago, by their place in the list of all claims."""

    claims: list[int]
    outcome: Outcome

    async def run(self, world: World) -> None:
        chosen = {
            world.attempts[-1 - n % len(world.attempts)] for n in self.claims if world.attempts
        }
        for attempt in sorted(chosen):
            await self.report(world, attempt)

    async def report(self, world: World, attempt: Attempt) -> None:
        worker, job, number = attempt
        life = world.lives[job]
        [record] = await world.storage.get([job]) or [None]
        current = record is not None and (life.holder, record.attempt) == (worker, number)
        final = self.outcome.state in FINAL
        delete, refund = self.outcome.delete and final, self.outcome.refund and not final
        refund = refund or self.outcome.state == "postponed"
        outcome = replace(self.outcome, id=job, attempt=number, delete=delete, refund=refund)
        recorded = await world.storage.finish(worker, [outcome])
        assert recorded == ([job] if current else [])
        if current:
            life.holder = None
            life.removed = outcome.delete
            life.attempt -= outcome.refund
            life.errors += outcome.error is not None
            life.postponed = self.outcome.state == "postponed" and not life.cancel_requested


class Offer(NamedTuple):
    """A worker registers that knows what others have postponed."""

    async def run(self, world: World) -> None:
        await world.storage.promote(MANY)  # what is due is promoted, and not postponed any more
        postponed = {job for job, life in world.lives.items() if life.postponed}
        records = await world.storage.get(sorted(postponed))
        waiting = [record.id for record in records if record.state == "scheduled"]
        soon = {record.id for record in records if record.id in waiting and is_soon(record)}
        offered = await world.storage.offer(["greet", "unheard of"])
        assert len(soon) <= offered <= len(waiting)
        for job in postponed:
            world.lives[job].postponed = False
        for record in await world.storage.get(waiting):
            assert record.state == "available" or not is_soon(record)
            world.lives[record.id].postponed = record.state == "scheduled"


def is_soon(record: JobRecord) -> bool:
    """Whether *record* is due so soon that it must be offered."""
    return record.attempted_at is not None and record.run_at - record.attempted_at < SOON


class Leave(NamedTuple):
    """A worker says that its process ends before its jobs."""

    worker: int

    async def run(self, world: World) -> None:
        worker = world.workers[self.worker]
        await world.storage.leave(worker)
        world.leaving.add(worker)
        assert (await world.storage.heartbeat(worker)).alive


class Promote(NamedTuple):
    limit: int

    async def run(self, world: World) -> None:
        before = sum(life.last is None or life.last.state == "scheduled" for life in living(world))
        promoted = (await world.storage.promote(self.limit)).count
        assert promoted <= min(self.limit, before)


class Cancel(NamedTuple):
    jobs: list[int]
    interrupt: bool

    async def run(self, world: World) -> None:
        ids = sorted({list(world.lives)[n % len(world.lives)] for n in self.jobs if world.lives})
        unfinished = [r.id for r in await world.storage.get(ids) if r.state not in FINAL]
        assert sorted(await world.storage.cancel(ids, interrupt=self.interrupt)) == unfinished
        for job in unfinished:
            world.lives[job].cancel_requested = True
            world.lives[job].postponed = False


class Replace(NamedTuple):
    """A worker dies, or ends in order, and another one takes its place."""

    worker: int
    dies: bool

    async def run(self, world: World) -> None:
        gone = world.workers[self.worker]
        if self.dies:
            expected = world.to_be_rescued(gone)
            assert {job.id for job in await world.storage.rescue([gone])} == expected
        else:
            await world.storage.deregister(gone)
        await world.part_with(gone, died=self.dies)
        world.workers[self.worker] = await world.storage.register(a_worker(lease=3600))


class Expire(NamedTuple):
    """A worker comes, claims, and falls silent until its lease is over."""

    limit: int

    async def run(self, world: World) -> None:
        silent = await world.storage.register(a_worker(lease=LEASE, host_id="elsewhere"))
        world.workers.append(silent)
        await Claim(WORKERS, ["default", "email"], self.limit).run(world)
        expected = world.to_be_rescued(silent)
        rescued: set[int] = set()
        while await world.storage.local_workers("elsewhere"):
            rescued |= {job.id for job in await world.storage.rescue([])}
        assert rescued == expected
        await world.part_with(world.workers.pop(), died=True)


class Clear(NamedTuple):
    async def run(self, world: World) -> None:
        assert await world.storage.clear() == len(living(world))
        for life in world.lives.values():
            life.holder, life.removed = None, True


Step = Enqueue | Claim | Finish | Promote | Offer | Leave | Cancel | Replace | Expire | Clear


def living(world: World) -> list[Life]:
    return [life for life in world.lives.values() if not life.removed]


queues = st.sampled_from(["default", "email"])
workers = st.integers(0, WORKERS - 1)
limits = st.sampled_from([MANY, MANY, 0, 1, 2, 3])
places = st.lists(st.integers(0, 5), min_size=1, max_size=4)
outcomes = st.builds(
    Outcome,
    id=st.just(0),
    attempt=st.just(0),
    state=st.sampled_from([*sorted(FINAL), *["scheduled", "available"] * 3, "postponed"]),
    delete=st.booleans(),
    delay=st.sampled_from([0.0, 0.0, 0.001, 3600.0]),
    refund=st.booleans(),
    error=st.sampled_from([None, '{"error": "ValueError"}']),
)
enqueues = st.builds(
    Enqueue,
    priorities=st.lists(st.integers(0, 3), max_size=5),
    queue=queues,
    wait=st.sampled_from([None, None, 0.0, 0.001, 3600.0]),
)
claims = st.builds(
    Claim,
    worker=workers,
    queues=st.sampled_from([["default", "email"]] * 3 + [["default"], ["email"], []]),
    limit=limits,
)
finishes = st.builds(Finish, places, outcomes)
others = st.one_of(
    st.builds(Promote, limits),
    st.builds(Offer),
    st.builds(Leave, workers),
    st.builds(Cancel, places, st.booleans()),
    st.builds(Replace, workers, st.booleans()),
    st.builds(Expire, limits),
)
steps = st.one_of(enqueues, claims, claims, finishes, finishes, others)
lives = st.builds(
    lambda before, end, after: [*before, *end, *after],
    st.lists(steps, min_size=10, max_size=30),
    st.lists(st.builds(Clear), max_size=1),
    st.lists(steps, max_size=20),
)


async def live(storage: Storage, life: list[Step]) -> None:
    """Take the steps of *life* on *storage* and check the world after each."""
    world = World(storage)
    await storage.open()
    try:
        await world.enter()
        for step in life:
            await step.run(world)
            await world.check()
    finally:
        await storage.close()


def ticking_clock() -> Callable[[], datetime]:
    """Return a clock that moves by being looked at, so that a life can be repeated."""
    ticks = count()
    return lambda: datetime(2030, 1, 1, tzinfo=UTC) + timedelta(milliseconds=0.2 * next(ticks))


@settings(max_examples=200, deadline=None)
@given(life=lives)
async def test_any_life_in_memory_keeps_the_promises(life: list[Step]) -> None:
    await live(MemoryAdapter(clock=ticking_clock()), life)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(life=lives)
async def test_any_life_on_postgres_keeps_the_promises(dsn: str, life: list[Step]) -> None:
    from asyncjobs.storage.postgres import PostgresAdapter

    await live(PostgresAdapter(dsn), life)
