from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from asyncjobs import StorageUnavailableError
from asyncjobs.types import NewJob, WorkerInfo
from asyncjobs.worker.identity import host_id, process_started
from asyncjobs.worker.lease import Lease
from asyncjobs.worker.watch import LoopWatch


def stranger(**facts: Any) -> WorkerInfo:
    known: dict[str, Any] = {
        "name": "stranger.0", "group": "*", "queues": ["default"], "host": "elsewhere",
        "host_id": "elsewhere", "pid": 1, "started": 1.0, "lease": 0.1,
    }  # fmt: skip
    return WorkerInfo(**known | facts)


async def test_the_jobs_of_a_silent_worker_run_elsewhere(make_bench: Any) -> None:
    bench = await make_bench(
        heartbeat_interval=0.05, lease=0.5, delete_successful_jobs=False, max_attempts=3
    )

    @bench.jobs.job
    async def nothing() -> None: ...

    stored = await bench.later(nothing())
    silent = await bench.storage.register(stranger(lease=0.2))
    assert len(await bench.storage.claim(silent, ["default"], 5)) == 1
    async with bench.working():
        record = await bench.until(stored.id, "succeeded")
    assert record.attempt == 2
    [error] = json.loads(record.errors)
    assert (error["error"], error["worker"]) == ("WorkerLost", "stranger.0")
    line = await bench.until_logged("job.rescued")
    assert line["id"] == stored.id


async def test_a_worker_of_this_machine_that_ended_is_seen_at_once(make_bench: Any) -> None:
    bench = await make_bench(delete_successful_jobs=False)

    @bench.jobs.job
    async def nothing() -> None: ...

    stored = await bench.later(nothing())
    # This process's number, but another start: the number was reused.
    facts = {"host_id": host_id(), "pid": os.getpid(), "started": 1.0, "lease": 3600}
    dead = await bench.storage.register(stranger(**facts))
    assert len(await bench.storage.claim(dead, ["default"], 5)) == 1
    async with bench.working():
        await bench.until(stored.id, "succeeded")


async def test_a_living_worker_of_this_machine_keeps_its_jobs(make_bench: Any) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=0.5)

    @bench.jobs.job
    async def nothing() -> None: ...

    stored = await bench.later(nothing())
    pid = os.getpid()
    facts = {"host_id": host_id(), "pid": pid, "started": process_started(pid), "lease": 3600}
    alive = await bench.storage.register(stranger(**facts))
    await bench.storage.claim(alive, ["default"], 5)
    rounds = Rounds(bench.storage)
    async with bench.working():
        await rounds.passed(3)
    assert (await bench.record(stored.id)).state == "running"


async def test_a_job_that_blocks_the_loop_does_not_lose_the_lease(make_bench: Any) -> None:
    bench = await make_bench(heartbeat_interval=0.1, lease=0.4, delete_successful_jobs=False)
    if bench.storage.for_thread() is None:
        return  # without a thread the heartbeat is blocked too, as the docs say

    @bench.jobs.job
    async def rude() -> None:
        time.sleep(1.6)  # noqa: ASYNC251 - what the test is about

    async with bench.working():
        stored = await bench.later(rude())
        record = await bench.until(stored.id, "succeeded")
        assert (await bench.until_logged("loop.resumed"))["seconds"] > 1
    assert record.attempt == 1
    line = await bench.until_logged("loop.blocked")
    assert (line["job"], line["id"]) == ("rude", stored.id)
    assert line["stack"].startswith(f'  File "{__file__}", line')
    assert "in rude\n    time.sleep(1.6)" in line["stack"]


async def test_a_worker_that_lost_its_lease_records_nothing_and_starts_anew(
    make_bench: Any,
) -> None:
    bench = await make_bench(
        heartbeat_interval=0.05, lease=0.5, delete_successful_jobs=False, queue="email"
    )
    started, cancelled = asyncio.Event(), asyncio.Event()

    @bench.jobs.job(queue="email")
    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    @bench.jobs.job(queue="email")
    async def nothing() -> None: ...

    registered: list[int] = []
    register = bench.storage.register

    async def spy(info: WorkerInfo) -> int:
        registered.append(await register(info))
        return registered[-1]

    bench.storage.register = spy
    async with bench.working():
        stored = await bench.later(endless())
        await started.wait()
        await bench.later.cancel(stored.id, interrupt=False)  # so that it is not run again
        await bench.storage.rescue(registered)  # another worker declares it dead
        await cancelled.wait()
        await bench.until_logged("lease.lost")
        other = await bench.later(nothing())
        await bench.until(other.id, "succeeded")
    assert (await bench.record(stored.id)).state == "cancelled"
    assert len(registered) == 2


async def test_nothing_starts_after_the_end_of_the_lease_until_it_is_renewed(
    make_bench: Any, monkeypatch: Any
) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=0.3, delete_successful_jobs=False)
    if bench.storage.for_thread() is not None:
        return  # its heartbeats are another adapter's, which cannot be made to fail from here
    beat, lost = bench.storage.heartbeat, asyncio.Event()

    async def fail(worker: int) -> Any:
        lost.set()
        raise StorageUnavailableError("cut off")

    @bench.jobs.job
    async def nothing() -> None: ...

    async with bench.working():
        await bench.until_logged("worker.started")
        monkeypatch.setattr(bench.storage, "heartbeat", fail)
        await lost.wait()
        await asyncio.sleep(0.4)  # the lease is over
        stored = await bench.later(nothing())
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert (await bench.record(stored.id)).state in {"available", "running"}
        monkeypatch.setattr(bench.storage, "heartbeat", beat)
        assert (await bench.until(stored.id, "succeeded")).attempt == 1


@pytest.mark.parametrize("error", [RuntimeError, OSError])
async def test_a_worker_whose_log_fails_keeps_its_lease(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=0.3, delete_successful_jobs=False)

    def fail(*_: Any) -> None:
        raise error("no space left on device")

    @bench.jobs.job
    async def nothing() -> None: ...

    rounds = Rounds(bench.storage)
    monkeypatch.setattr(LoopWatch, "look", fail)
    async with bench.working():
        if bench.storage.for_thread() is not None:
            await bench.until_logged("loop_watch.failed")
        looked = rounds.count
        began = time.monotonic()
        while time.monotonic() < began + 0.6:  # longer than the lease
            looked += 1
            await rounds.passed(looked)
        stored = await bench.later(nothing())
        await bench.until(stored.id, "succeeded")
    assert "lease.lost" not in [line["event"] for line in bench.log]


async def test_a_worker_whose_heartbeats_end_ends_too(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await make_bench()
    if bench.storage.for_thread() is None:
        return

    async def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Lease, "_beat_there", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with anyio.fail_after(20), pytest.raises(ExceptionGroup) as raised:
        await bench.jobs.work()
    assert raised.group_contains(MemoryError)
    # Its thread ends a moment later, and must not do so in the next test.
    await until(lambda: "asyncjobs heartbeat" not in {one.name for one in threading.enumerate()})


async def test_a_worker_ends_though_jobs_have_all_threads_of_the_event_loop(
    make_bench: Any,
) -> None:
    bench = await make_bench()
    loop, go_on = asyncio.get_running_loop(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        loop.set_default_executor(threads)
        try:
            async with bench.working():
                held = loop.run_in_executor(None, go_on.wait)
            assert not held.done()
        finally:
            go_on.set()
        await held


async def test_who_has_had_trouble_with_the_storage_gives_others_time(make_bench: Any) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=0.5)
    given: list[tuple[float, float]] = []
    failed_at = 0.0
    rescue = bench.storage.rescue

    async def spy(dead: Any, *, watched: float) -> Any:
        given.append((watched, time.monotonic() - failed_at))
        return await rescue(dead, watched=watched)

    bench.storage.rescue = spy
    claim = bench.storage.claim

    async def fail(*args: Any) -> Any:
        nonlocal failed_at
        bench.storage.claim = claim
        failed_at = time.monotonic()
        raise StorageUnavailableError("away")

    async with bench.working():
        await until(lambda: given and given[-1][0] > 0.2)
        bench.storage.claim = fail
        await bench.storage.enqueue([NewJob("other", "default", 50, "{}")])
        await bench.until_logged("claim.failed")
        before = len(given)
        await until(lambda: len(given) > before)
    watched, since_then = given[before]
    assert watched <= since_then


async def until(condition: Any) -> None:
    with anyio.fail_after(20):
        while not condition():
            await asyncio.sleep(0.005)


class Rounds:
    """Counts the rescuer's looks at other workers."""

    def __init__(self, storage: Any) -> None:
        self.count, self.changed = 0, asyncio.Event()
        self.look = storage.local_workers
        storage.local_workers = self.counted

    async def counted(self, host: str) -> Any:
        self.count += 1
        self.changed.set()
        return await self.look(host)

    async def passed(self, rounds: int) -> None:
        while self.count < rounds:
            self.changed.clear()
            await self.changed.wait()
