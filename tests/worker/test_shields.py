"""A critical block ends before its job is cancelled, whatever cancels it, within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncjobs import ConfigError, current_job
from asyncjobs.worker import shield
from asyncjobs.worker.identity import host_id


class Scene:
    """A job with a critical block, and how far it came."""

    def __init__(self, bench: Any, timeout: float = 30.0, **options: Any) -> None:
        self.inside, self.go_on, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.steps: list[str] = []

        @bench.jobs.job(**options)
        async def careful() -> None:
            try:
                async with current_job().shielded(timeout):
                    self.inside.set()
                    await self.go_on.wait()
                    self.steps.append("block")
                self.steps.append("after")
                await asyncio.Event().wait()
            finally:
                self.steps.append("left")
                self.left.set()

        self.job = careful


async def test_a_cancellation_waits_until_the_block_ends(bench: Any) -> None:
    scene = Scene(bench)
    async with bench.working():
        stored = await bench.later(scene.job())
        await scene.inside.wait()
        assert await bench.later.cancel(stored.id)
        await bench.until_logged("job.shielded")
        assert not scene.left.is_set()
        scene.go_on.set()
        await bench.until(stored.id, "cancelled")
    assert scene.steps == ["block", "left"]


async def test_a_job_that_was_not_cancelled_goes_on_after_its_block(bench: Any) -> None:
    @bench.jobs.job
    async def careful() -> None:
        for _ in range(2):
            async with current_job().shielded(), current_job().shielded(timeout=1):
                await asyncio.sleep(0)

    stored = await bench.later(careful())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "succeeded"


async def test_a_block_that_takes_too_long_is_cancelled_inside(bench: Any) -> None:
    scene = Scene(bench, timeout=0.05)
    async with bench.working():
        stored = await bench.later(scene.job())
        await scene.inside.wait()
        assert await bench.later.cancel(stored.id)
        await bench.until(stored.id, "cancelled")
        await bench.until_logged("shield.broken")
    assert scene.steps == ["left"]


async def test_max_runtime_waits_for_the_block_too(bench: Any) -> None:
    scene = Scene(bench, max_runtime=0.05)
    async with bench.working():
        stored = await bench.later(scene.job())
        await scene.inside.wait()
        await bench.until_logged("job.shielded")
        assert not scene.left.is_set()
        scene.go_on.set()
        record = await bench.until(stored.id, "failed")
    assert scene.steps == ["block", "left"]
    assert "JobTimeoutError" in record.errors


async def test_a_shutdown_waits_for_the_block_too(make_bench: Any) -> None:
    bench = await make_bench(shutdown_timeout=0)
    scene = Scene(bench)
    async with bench.working() as stop:
        stored = await bench.later(scene.job())
        await scene.inside.wait()
        stop.set()
        await bench.until_logged("job.returned")
        assert not scene.left.is_set()
        scene.go_on.set()
        await scene.left.wait()
    assert scene.steps == ["block", "left"]
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("available", 0)


async def test_a_shutdown_waits_for_a_bounded_time(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shield, "AT_SHUTDOWN", 0.05)
    bench = await make_bench(shutdown_timeout=0)
    scene = Scene(bench, timeout=3600)
    async with bench.working() as stop:
        stored = await bench.later(scene.job())
        await scene.inside.wait()
        stop.set()
        await scene.left.wait()
    assert scene.steps == ["left"]
    assert (await bench.record(stored.id)).state == "available"


async def test_a_shutdown_shortens_the_wait_of_a_cancellation(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shield, "AT_SHUTDOWN", 0.05)
    bench = await make_bench(shutdown_timeout=0)
    scene = Scene(bench, timeout=3600)
    async with bench.working() as stop:
        stored = await bench.later(scene.job())
        await scene.inside.wait()
        await bench.later.cancel(stored.id)
        await bench.until_logged("job.shielded")
        stop.set()
        await scene.left.wait()
    assert (await bench.record(stored.id)).state == "cancelled"


async def test_a_lost_lease_does_not_wait(make_bench: Any) -> None:
    bench = await make_bench(heartbeat_interval=0.05, lease=5)
    scene = Scene(bench)
    async with bench.working():
        stored = await bench.later(scene.job())
        await scene.inside.wait()
        await bench.later.cancel(stored.id)  # which waits
        [worker] = await bench.storage.local_workers(host_id())
        await bench.storage.rescue([worker.id])
        await scene.left.wait()
    assert scene.steps == ["left"]
    assert (await bench.record(stored.id)).state == "cancelled"


async def test_a_block_of_a_helper_task_holds_the_job_back(bench: Any) -> None:
    inside, go_on, steps = asyncio.Event(), asyncio.Event(), []

    @bench.jobs.job
    async def spreads() -> None:
        async def critical() -> None:
            async with current_job().shielded():
                inside.set()
                await go_on.wait()
            steps.append("block")

        task = asyncio.create_task(critical())
        try:
            await asyncio.Event().wait()
        finally:
            await task
            steps.append("left")

    async with bench.working():
        stored = await bench.later(spreads())
        await inside.wait()
        await bench.later.cancel(stored.id)
        await bench.until_logged("job.shielded")
        go_on.set()
        await bench.until(stored.id, "cancelled")
    assert steps == ["block", "left"]


@pytest.mark.parametrize("timeout", [-1, float("inf"), 86_401])
async def test_a_bound_that_is_none_is_refused(bench: Any, timeout: float) -> None:
    @bench.jobs.job(max_attempts=1)
    async def wrong() -> None:
        with pytest.raises(ConfigError, match="timeout must be"):
            async with current_job().shielded(timeout):
                pass

    stored = await bench.later(wrong())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "succeeded"
