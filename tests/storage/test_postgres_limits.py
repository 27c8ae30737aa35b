"""What is special about limits in PostgreSQL: locks, snapshots, crashes, and strangers' hands."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest

from asyncjobs import JobManager, NotMigratedError, PostgresAdapter, Queue, WorkerGroup
from asyncjobs.storage.postgres.migrate import all_migrations, migrate_database
from asyncjobs.storage.postgres.statements import for_schema
from asyncjobs.testing.contract.limiting import a_limited, claim, let_in, limit
from asyncjobs.testing.contract.steps import a_worker, claim_all, store
from asyncjobs.types import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.types import ClaimedJob

PATIENCE = 60.0


@pytest.fixture
async def storage(dsn: str) -> AsyncIterator[PostgresAdapter]:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    yield adapter
    await adapter.close()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_an_open_transaction_that_stored_a_job_holds_nobody_up(
    storage: PostgresAdapter, database: Any
) -> None:
    worker = await storage.register(a_worker())
    await limit(storage)
    async with database.transaction():
        await storage.enqueue([a_limited(), a_limited("key:new")], connection=database)
        with anyio.fail_after(PATIENCE):
            ids = await store(storage, *[a_limited(), a_limited("key:new")] * 2)
            assert await let_in(storage, "key:a", "key:new") == 2
            assert await claim_all(storage, worker) == ids[:2]
            await storage.finish(worker, [Outcome(job, 1, "succeeded") for job in ids[:2]])
            assert await let_in(storage, "key:a", "key:new") == 2


async def test_a_limit_that_an_open_transaction_stores_holds_up_its_own_jobs_only(
    dsn: str, database: Any
) -> None:
    jobs = JobManager(adapters={"m": PostgresAdapter(dsn)})
    later = jobs.create_scheduler(adapter="m")

    @jobs.job
    async def plain() -> None: ...

    @jobs.job(concurrency=2)
    async def limited() -> None: ...

    async with jobs:
        with anyio.fail_after(PATIENCE):
            transaction = database.transaction()
            await transaction.start()
            await database.execute("insert into asyncjobs.limits values ('job:limited', 7)")
            waiting = asyncio.ensure_future(later(limited()))
            while not await database.fetchval(
                "select count(*) from pg_stat_clear_snapshot(), pg_stat_activity "
                "where datname = current_database() and wait_event_type = 'Lock'"
            ):
                await later(plain())
            await later(plain())
            assert not waiting.done()
            await transaction.commit()
            assert (await waiting).is_new
        [known] = await jobs.adapters["m"].limits.known()
        assert known.limit.concurrency == 2


async def test_a_lane_that_somebody_locked_holds_no_other_up(
    storage: PostgresAdapter, database: Any
) -> None:
    await limit(storage)
    await store(storage, *[a_limited(), a_limited("key:b")] * 2)
    await let_in(storage, "key:a", "key:b")
    await storage.limits.declare([])
    await database.execute("delete from asyncjobs.jobs where state = 'available'")
    async with database.transaction():
        await database.execute("select from asyncjobs.lanes where name = 'key:a' for update")
        admission = await storage.limits.admit(["key:a", "key:b"], 9)
        assert (admission.jobs, admission.again) == (1, ("key:a",))
    assert await let_in(storage, "key:a") == 1


async def test_a_snapshot_from_before_another_admission_lets_nobody_in(
    storage: PostgresAdapter, database: Any
) -> None:
    # The statement has taken its snapshot and is about to lock the lane, when somebody else,
    # who locked it first, commits: what the snapshot counts is not true any more.
    await limit(storage)
    await store(storage, *[a_limited()] * 9)
    await let_in(storage, "key:a")
    await limit(storage, 3)
    statement = storage.limits._sql.admit_jobs.replace(
        "from unnest($1::text[]) as told (lane)",
        "from unnest($1::text[]) as told (lane), pg_sleep(0.5)",
    )
    assert "pg_sleep" in statement
    slow = asyncio.create_task(database.fetchrow(statement, ["key:a"], 9, "channel"))
    await asyncio.sleep(0.2)
    assert await let_in(storage, "key:a") == 2
    row = await slow
    assert (row["jobs"], row["again"]) == (0, ["key:a"])
    assert (await storage.counts())["default", "available"] == 3


async def test_a_row_that_somebody_removed_holds_nothing(
    storage: PostgresAdapter, database: Any
) -> None:
    worker = await storage.register(a_worker())
    await limit(storage)
    _, second = await store(storage, a_limited(), a_limited())
    await let_in(storage, "key:a")
    await claim(storage, worker)
    await database.execute("delete from asyncjobs.jobs where state = 'running'")
    assert await storage.limits.waiting("", 9) == ["key:a"]
    assert await let_in(storage, "key:a") == 1
    assert await claim_all(storage, worker) == [second]


async def test_a_lane_that_nobody_tells_of_is_found_by_a_worker(dsn: str, database: Any) -> None:
    jobs = JobManager(
        adapters={"m": PostgresAdapter(dsn, listen=False)},
        workers=[WorkerGroup(adapter="m", sleep_delay=0.1)],
    )
    later, ran = jobs.create_scheduler(adapter="m"), asyncio.Event()

    @jobs.job(concurrency_key="k")
    async def note() -> None:
        ran.set()

    async with jobs:
        await later.many([note(), note()])
        other = await jobs.adapters["m"].register(a_worker(lease=600.0))
        await database.execute(
            "update asyncjobs.jobs set state = 'running', waits_in = null, locked_by = $1 "
            "where id = 1",
            other,
        )
        stop = asyncio.Event()
        working = asyncio.create_task(jobs.work(stop))
        await asyncio.sleep(0.3)
        assert not ran.is_set()
        await database.execute("delete from asyncjobs.jobs where id = 1")
        with anyio.fail_after(PATIENCE):
            await ran.wait()
            stop.set()
            await working


async def test_before_its_migration_nothing_is_limited_and_a_limit_is_an_error(
    empty_dsn: str,
) -> None:
    connection = await asyncpg.connect(empty_dsn)
    before = [step for step in all_migrations() if "limits" not in step.name]
    before = before[: next(n for n, step in enumerate(all_migrations()) if step not in before)]
    for step in before:
        await connection.execute(for_schema(step.text, "asyncjobs"))
        await connection.execute(
            "insert into asyncjobs.migrations (version, name, checksum, needs) "
            "values ($1, $2, $3, $4)",
            *(step.version, step.name, step.checksum, step.needs),
        )
    await connection.close()
    jobs = JobManager(
        adapters={"m": PostgresAdapter(empty_dsn)}, workers=[WorkerGroup(adapter="m")]
    )
    later, ran = jobs.create_scheduler(adapter="m"), []

    @jobs.job
    async def note() -> None:
        ran.append(1)

    async with jobs:
        job = await later(note(), wait=0.05)
        await later(note(), tags=["a"])
        assert await later.get(job.id) is not None
        assert await later.pauses() == []
        with anyio.fail_after(PATIENCE):
            while len(ran) < 2:
                await jobs.workoff()
        for limited in (later(note(), concurrency_key="k"), later.pause(key="k")):
            with pytest.raises(NotMigratedError):
                await limited
            assert (await later(note())).is_new  # which is not limited
    assert await migrate_database(empty_dsn) == [
        step.name for step in all_migrations()[len(before) :]
    ]


class Actors:
    """Connections that do at random what programs and people do, and what they saw."""

    def __init__(self, dsn: str, seed: int) -> None:
        self.dsn, self.random = dsn, random.Random(seed)
        self.limits = {f"key:{n}": self.random.choice([1, 1, 2, 5]) for n in range(4)}
        self.queue_limit = self.random.choice([2, 4, 100])
        self.left = 400
        self.done: list[int] = []

    def a_job(self) -> Any:
        lane = self.random.choice(list(self.limits))
        return a_limited(
            lane, name=f"of {lane}", queue="default", limited_queue=self.random.random() < 0.5
        )

    async def open(self) -> PostgresAdapter:
        adapter = PostgresAdapter(self.dsn)
        await adapter.open()
        return adapter

    async def schedule(self) -> None:
        storage = await self.open()
        while self.left > 0:
            many = min(self.random.randint(1, 9), self.left)
            self.left -= many
            await storage.enqueue([self.a_job() for _ in range(many)])
        await storage.close()

    async def meddle(self) -> None:
        storage = await self.open()
        connection = await asyncpg.connect(self.dsn)
        while self.left > 0:
            lane = self.random.choice(list(self.limits))
            match self.random.randrange(4):
                case 0:
                    await storage.limits.pause(lane)
                    await storage.limits.resume(lane)
                case 1:
                    await storage.limits.forget(0)
                case 2:
                    await connection.execute(
                        "delete from asyncjobs.jobs where id = (select min(id) from "
                        "asyncjobs.jobs where lane = $1)",
                        lane,
                    )
                case _:
                    ids = [self.random.randint(1, 400) for _ in range(2)]
                    await storage.cancel(ids, interrupt=False)
        await connection.close()
        await storage.close()

    async def work(self) -> None:
        storage = await self.open()
        worker = await storage.register(a_worker())
        while True:
            await let_in(storage, *self.limits, "queue:default")
            jobs = await storage.claim(worker, ["default"], 5)
            if not jobs and self.left <= 0 and not await self.is_left(storage):
                break
            await storage.finish(worker, [self.outcome(job) for job in jobs])
            await storage.promote(9)
            if self.random.random() < 0.05:
                await storage.claim(worker, ["default"], 2)
                await storage.rescue([worker])
                worker = await storage.register(a_worker())
        await storage.close()

    def outcome(self, job: ClaimedJob) -> Outcome:
        if self.random.random() < 0.3 and job.attempt < 4:
            keeps = self.random.random() < 0.5
            return Outcome(job.id, job.attempt, "scheduled", delay=0.0, keeps_lane=keeps)
        return Outcome(job.id, job.attempt, "succeeded", delete=True)

    async def is_left(self, storage: PostgresAdapter) -> bool:
        counts = await storage.counts()
        return any(state in {"waiting", "available", "running", "scheduled"} for _, state in counts)

    async def watch(self) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await self.watch_by(connection)
        finally:
            await connection.close()

    async def watch_by(self, connection: Any) -> None:
        while True:
            rows = await connection.fetch(
                "select lane, queue_lane, state::text from asyncjobs.jobs "
                "where state in ('available', 'running')"
            )
            inside = Counter(row["lane"] for row in rows)
            for lane, most in self.limits.items():
                assert inside[lane] <= most, (lane, inside)
            in_queue = sum(row["queue_lane"] is not None for row in rows)
            assert in_queue <= self.queue_limit, in_queue
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_at_once_no_lane_holds_too_many_and_none_is_stuck(
    dsn: str, storage: PostgresAdapter, seed: int
) -> None:
    actors = Actors(dsn, seed)
    for lane, most in actors.limits.items():
        await limit(storage, most, name=f"job:of {lane}")
    await limit(storage, actors.queue_limit, name="queue:default")
    with anyio.fail_after(PATIENCE):
        watching = asyncio.create_task(actors.watch())
        try:
            async with asyncio.TaskGroup() as tasks:
                for actor in (*[actors.schedule] * 2, actors.meddle, *[actors.work] * 4):
                    tasks.create_task(actor())
        finally:
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching


async def test_a_limited_queue_holds_over_many_workers(dsn: str) -> None:
    managers = [
        JobManager(
            adapters={"m": PostgresAdapter(dsn)},
            queues=[Queue("default", concurrency=4)],
            workers=[WorkerGroup(adapter="m", concurrency=20)],
        )
        for _ in range(3)
    ]
    inside, most, ran = 0, 0, 0
    done = asyncio.Event()

    async def note() -> None:
        nonlocal inside, most, ran
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.002)
        inside -= 1
        ran += 1
        if ran == 150:
            done.set()

    calls = [manager.job(note) for manager in managers]
    stop = asyncio.Event()
    async with managers[0], managers[1], managers[2]:
        later = managers[0].create_scheduler(adapter="m")
        await later.many([calls[0]() for _ in range(150)])
        working = [asyncio.create_task(manager.work(stop)) for manager in managers]
        with anyio.fail_after(PATIENCE):
            await done.wait()
            stop.set()
            await asyncio.gather(*working)
    assert most == 4
