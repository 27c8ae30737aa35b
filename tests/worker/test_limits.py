"""Workers let limited jobs in, on both storages."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from asyncjobs import (
    JobManager,
    MemoryAdapter,
    NotPermittedError,
    Queue,
    RateLimit,
    WorkerGroup,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.storage.protocol import Storage

PATIENCE = 30.0


class Crowd:
    """Counts who is inside of what, and who was at most."""

    def __init__(self) -> None:
        self.inside: Counter[Any] = Counter()
        self.most: Counter[Any] = Counter()
        self.order: list[Any] = []
        self.came = asyncio.Event()

    async def visit(self, visitor: Any, *rooms: Any) -> None:
        """Stay a moment in all *rooms*."""
        self.order.append(visitor)
        for room in rooms:
            self.inside[room] += 1
            self.most[room] = max(self.most[room], self.inside[room])
        self.came.set()
        await asyncio.sleep(0.001)
        for room in rooms:
            self.inside[room] -= 1

    async def until(self, many: int) -> None:
        """Wait until *many* visits were made."""
        with anyio.fail_after(PATIENCE):
            while len(self.order) < many:
                self.came.clear()
                await self.came.wait()


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


class Site:
    """A manager and its workers."""

    def __init__(self, adapter: Storage) -> None:
        self.jobs = JobManager(
            adapters={"m": adapter},
            queues=["default", Queue("email", concurrency=3), "slow"],
            workers=[WorkerGroup(adapter="m", concurrency=50)] * 2,
        )
        self.later = self.jobs.create_scheduler(adapter="m")
        self.stop = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def work(self) -> None:
        """Start the workers."""
        self.task = asyncio.create_task(self.jobs.work(self.stop))


@pytest.fixture
async def site(adapter: Storage) -> AsyncIterator[Site]:
    site = Site(adapter)
    async with site.jobs:
        yield site
        site.stop.set()
        if site.task is not None:
            with anyio.fail_after(PATIENCE):
                await site.task


async def test_no_more_run_at_once_than_key_and_queue_allow_and_each_key_in_order(
    site: Site, crowd: Crowd
) -> None:
    @site.jobs.job(concurrency_key="{tenant}", queue="email")
    async def note(tenant: int, number: int) -> None:
        await crowd.visit((tenant, number), tenant, "email")

    @site.jobs.job(concurrency=2)
    async def other() -> None:
        await crowd.visit("other", "other")

    await site.later.many([note(number % 5, number) for number in range(100)])
    await site.later.many([other() for _ in range(20)])
    site.work()
    await crowd.until(120)
    assert crowd.most == {**dict.fromkeys(range(5), 1), "email": 3, "other": 2}
    for tenant in range(5):
        numbers = [visit[1] for visit in crowd.order if visit != "other" and visit[0] == tenant]
        assert numbers == sorted(numbers)


async def test_jobs_that_come_one_by_one_are_let_in_at_once(site: Site, crowd: Crowd) -> None:
    @site.jobs.job(concurrency_key="{tenant}")
    async def note(tenant: int) -> None:
        await crowd.visit(tenant, tenant)

    site.work()
    for number in range(1, 21):
        await site.later(note(number % 2))
        await crowd.until(number)


async def test_a_flood_of_one_key_does_not_delay_another(site: Site, crowd: Crowd) -> None:
    gate = asyncio.Event()

    @site.jobs.job(concurrency_key="{tenant}")
    async def note(tenant: int) -> None:
        if tenant == 1:
            await gate.wait()
        await crowd.visit(tenant)

    await site.later.many([note(1) for _ in range(2_000)])
    await site.later(note(2))
    site.work()
    await crowd.until(1)
    assert crowd.order == [2]
    gate.set()


async def test_a_smooth_rate_spaces_starts_and_a_bucket_saves_them_up(
    site: Site, crowd: Crowd
) -> None:
    loop, starts = asyncio.get_running_loop(), []

    @site.jobs.job(rate_limit=RateLimit(10, per=1, smooth=True))
    async def smooth() -> None:
        starts.append(loop.time())
        await crowd.visit("smooth")

    @site.jobs.job(rate_limit=RateLimit(5, per=3600))
    async def bucket() -> None:
        await crowd.visit("bucket")

    await site.later.many([smooth() for _ in range(6)])
    await site.later.many([bucket() for _ in range(9)])
    begun = loop.time()
    site.work()
    await crowd.until(11)
    assert Counter(crowd.order) == {"smooth": 6, "bucket": 5}
    assert starts[-1] - begun > 0.4  # five gaps of 0.1 s, less what the first one waited


async def test_a_retry_lets_others_pass_unless_the_order_is_strict(
    site: Site, crowd: Crowd
) -> None:
    failed: set[str] = set()

    async def fail_once(name: str) -> None:
        await crowd.visit(name)
        if name.endswith("1") and name not in failed:
            failed.add(name)
            raise OSError("not yet")

    @site.jobs.job(concurrency_key="loose", backoff=lambda *_: 1.0)
    async def loose(name: str) -> None:
        await fail_once(name)

    @site.jobs.job(concurrency_key="strict", backoff=lambda *_: 0.2, strict_order=True)
    async def strict(name: str) -> None:
        await fail_once(name)

    await site.later.many([strict("s1"), strict("s2"), loose("l1"), loose("l2")])
    site.work()
    await crowd.until(6)
    assert [name for name in crowd.order if name[0] == "s"] == ["s1", "s1", "s2"]
    assert [name for name in crowd.order if name[0] == "l"] == ["l1", "l2", "l1"]


async def test_workoff_runs_all_that_is_limited_but_not_rated(site: Site, crowd: Crowd) -> None:
    @site.jobs.job(concurrency_key="{tenant}", queue="email")
    async def note(tenant: int) -> None:
        await crowd.visit(tenant, tenant)

    @site.jobs.job(rate_limit=RateLimit(1, per=3600))
    async def rated() -> None:
        await crowd.visit("rated")

    await site.later.many([note(number % 3) for number in range(12)])
    await site.later.many([rated(), rated()])
    with anyio.fail_after(PATIENCE):
        assert await site.jobs.workoff() == 13
    assert crowd.most == dict.fromkeys(range(3), 1)


async def test_what_a_middleware_puts_into_a_limited_queue_is_limited(
    site: Site, crowd: Crowd
) -> None:
    @site.jobs.job
    async def note() -> None:
        await crowd.visit("note", "email")

    @site.jobs.hooks.enqueue_middleware
    async def to_email(rows: Any, store: Any) -> Any:
        return await store([row._replace(queue="email") for row in rows])

    stored = [await site.later(note()) for _ in range(9)]
    assert {job.state for job in stored} == {"waiting"}
    site.work()
    await crowd.until(9)
    assert crowd.most["email"] <= 3


async def test_a_paused_queue_job_and_key_start_nothing_until_they_are_resumed(
    site: Site, crowd: Crowd, adapter: Storage
) -> None:
    @site.jobs.job(queue="slow")
    async def queued() -> None:
        await crowd.visit("queue")

    @site.jobs.job
    async def named() -> None:
        await crowd.visit("job")

    @site.jobs.job(concurrency_key="k", concurrency=2)
    async def keyed() -> None:
        await crowd.visit("key")

    @site.jobs.job
    async def free() -> None:
        await crowd.visit("free")

    what: list[dict[str, Any]] = [{"queue": "slow"}, {"job": named}, {"key": "k"}]
    before = [queued(), named(), keyed(), keyed(), keyed()]
    await site.later.many(before)
    for one in what:
        assert await site.later.pause(**one)
    site.work()
    await site.later(free())
    await crowd.until(1)
    await site.later.many([queued(), named(), keyed()])  # what comes after the pause
    await site.later(free())
    await crowd.until(2)
    with anyio.fail_after(PATIENCE):  # the one that was claimed is put aside
        while (await adapter.counts()).get(("default", "waiting")) != 6:
            await asyncio.sleep(0.005)
    assert crowd.order == ["free", "free"]
    for one in what:
        assert await site.later.resume(**one)
    await crowd.until(10)
    assert Counter(crowd.order) == {"free": 2, "queue": 2, "job": 2, "key": 4}


async def test_a_pause_reaches_workers_that_run_and_what_runs_goes_on(
    site: Site, crowd: Crowd, adapter: Storage
) -> None:
    gate, began, started = asyncio.Event(), asyncio.Event(), 0

    @site.jobs.job
    async def slow() -> None:
        nonlocal started
        started += 1
        began.set()
        await gate.wait()
        await crowd.visit("slow")

    @site.jobs.job(queue="slow")
    async def last() -> None:
        await crowd.visit("last")

    site.work()
    await site.later(slow())
    await began.wait()
    await site.later.pause(job="slow")
    await site.later.pause(queue="slow")
    # Only a worker that knows of the pause puts a new job aside. They hear of it by a signal:
    # one that claims just then starts the job, which stands at the gate too.
    with anyio.fail_after(PATIENCE):
        before, aside = started, await site.later.get((await site.later(slow())).id)
        while aside is not None and aside.state != "waiting":
            await asyncio.sleep(0.005)
            if started > before:
                before, aside = started, await site.later.get((await site.later(slow())).id)
            else:
                aside = await site.later.get(aside.id)
    assert aside is not None
    assert aside.waits_in == "job:slow"
    gate.set()
    await crowd.until(started)
    assert await site.jobs.workoff() == 0
    await site.later.resume(job="slow")
    await crowd.until(started + 1)


async def test_whose_database_does_not_let_him_ask_for_pauses_works_on() -> None:
    adapter, ran = MemoryAdapter(), asyncio.Event()

    async def refused() -> list[Any]:
        raise NotPermittedError("permission denied for table lanes")

    adapter.limits.pauses = refused  # type: ignore[method-assign]
    site = Site(adapter)

    @site.jobs.job
    async def note() -> None:
        ran.set()

    async with site.jobs:
        site.work()
        await site.later(note())
        with anyio.fail_after(PATIENCE):
            await ran.wait()
            site.stop.set()
            assert site.task is not None
            await site.task
