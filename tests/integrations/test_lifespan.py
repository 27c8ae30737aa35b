from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.applications import Starlette

from asyncjobs import (
    JobManager,
    MemoryAdapter,
    NotMigratedError,
    PostgresAdapter,
    Scheduler,
    StorageUnavailableError,
    WorkerGroup,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DOWN = "postgresql://nobody@127.0.0.1:1/nothing"


def make_manager(adapter: Any, **options: Any) -> tuple[JobManager, list[int], Any, Scheduler]:
    jobs = JobManager(adapters={"main": adapter}, workers=[WorkerGroup(adapter="main", **options)])
    ran: list[int] = []

    @jobs.job
    async def note(number: int) -> None:
        ran.append(number)

    return jobs, ran, note, jobs.create_scheduler(adapter="main")


async def post(app: Any, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        return await client.post(path)


async def until(condition: Any) -> None:
    with anyio.fail_after(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_an_app_schedules_and_runs_jobs_in_its_own_process(dsn: str) -> None:
    jobs, ran, note, later = make_manager(PostgresAdapter(dsn))
    app = FastAPI(lifespan=jobs.lifespan())

    @app.post("/notes/{number}")
    async def create(number: int, schedule: Scheduler = Depends(later.provide)) -> int:
        return (await schedule(note(number))).id

    async with app.router.lifespan_context(app):
        assert (await post(app, "/notes/7")).status_code == 200
        await until(lambda: ran == [7])


async def test_an_app_that_only_schedules_runs_nothing(dsn: str) -> None:
    jobs, ran, note, later = make_manager(PostgresAdapter(dsn))
    app = Starlette(lifespan=jobs.lifespan(work=False))
    async with app.router.lifespan_context(app):
        await later(note(7))
        await asyncio.sleep(0.1)
    assert not ran
    assert await jobs.workoff() == 1


async def test_the_apps_own_lifespan_runs_inside(dsn: str) -> None:
    jobs, ran, note, later = make_manager(PostgresAdapter(dsn))

    @contextlib.asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        await later(note(1))
        yield {"greeting": "hello"}
        await later(note(2), wait=60)

    app = FastAPI(lifespan=jobs.lifespan(own))

    @app.post("/greeting")
    async def greet(request: Request) -> str:
        return str(request.state.greeting)

    async with app.router.lifespan_context(app) as state:
        assert state == {"greeting": "hello"}
        await until(lambda: ran == [1])
    async with jobs:
        assert sum((await jobs.adapters["main"].counts()).values()) == 1


@pytest.mark.parametrize("work", [True, False])
async def test_an_app_without_its_database_does_not_start(work: bool) -> None:
    jobs, *_ = make_manager(PostgresAdapter(DOWN))
    app = FastAPI(lifespan=jobs.lifespan(work=work))
    with pytest.raises(StorageUnavailableError, match="not available"):
        async with app.router.lifespan_context(app):
            pytest.fail("it started")


async def test_an_app_whose_database_was_not_migrated_does_not_start(empty_dsn: str) -> None:
    jobs, *_ = make_manager(PostgresAdapter(empty_dsn))
    with pytest.raises(NotMigratedError, match="asyncjobs migrate"):
        async with jobs.lifespan()(None):
            pytest.fail("it started")


async def test_an_app_whose_worker_does_not_start_does_not_start() -> None:
    class Broken(MemoryAdapter):
        async def register(self, worker: Any) -> int:
            raise StorageUnavailableError("no room")

    jobs, *_ = make_manager(Broken())
    with pytest.raises(StorageUnavailableError, match="no room"):
        async with jobs.lifespan()(None):
            pytest.fail("it started")


async def test_an_embedded_worker_that_fails_starts_again() -> None:
    class Fragile(MemoryAdapter):
        failures = 1

        async def claim(self, *args: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise RuntimeError("a bug")
            return await super().claim(*args)

    jobs, ran, note, later = make_manager(Fragile())
    async with jobs.lifespan()(None):
        await later(note(1))
        await until(lambda: ran == [1])


class SlowAdapter(MemoryAdapter):
    """Tells when it begins to close, and closes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.closing, self.may_close = asyncio.Event(), asyncio.Event()

    async def close(self) -> None:
        self.closing.set()
        await self.may_close.wait()
        await super().close()


async def test_a_manager_that_is_entered_while_it_closes_is_open() -> None:
    adapter = SlowAdapter()
    jobs, _, note, later = make_manager(adapter)

    async def enter_and_leave() -> None:
        async with jobs:
            await later(note(1))

    async def enter_and_stay() -> None:
        async with jobs:
            await later(note(2))
            await asyncio.to_thread(later.from_thread, note(3))
            assert adapter._opened == 1

    with anyio.fail_after(20):
        async with asyncio.TaskGroup() as group:
            group.create_task(enter_and_leave())
            await adapter.closing.wait()
            group.create_task(enter_and_stay())
            await asyncio.sleep(0)  # until it enters
            adapter.may_close.set()
    assert adapter._opened == 0


async def test_a_manager_whose_closing_is_cut_off_has_closed_its_adapters(dsn: str) -> None:
    adapter = PostgresAdapter(dsn)
    jobs, _, note, later = make_manager(adapter)

    hangs = asyncio.Event()

    async def hang() -> None:
        hangs.set()
        await asyncio.Event().wait()

    async def enter_and_leave() -> None:
        async with jobs:
            await later(note(1))
            later.drain = hang  # type: ignore[method-assign]

    task = asyncio.create_task(enter_and_leave())
    with anyio.fail_after(20):
        await hangs.wait()
        assert adapter._opened == 1
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()
    assert adapter._opened == 0


async def test_an_exception_of_the_app_passes_and_the_workers_end(dsn: str) -> None:
    jobs, *_ = make_manager(PostgresAdapter(dsn))
    with pytest.raises(KeyError, match="own"):
        async with jobs.lifespan()(None):
            raise KeyError("own")
    async with jobs:
        assert await jobs.adapters["main"].rescue([]) == []


async def test_a_job_that_runs_at_the_end_of_the_app_goes_back(dsn: str) -> None:
    jobs, _, _, later = make_manager(PostgresAdapter(dsn), shutdown_timeout=0)
    started = asyncio.Event()

    @jobs.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    async with jobs.lifespan()(None):
        stored = await later(endless())
        await started.wait()
    async with jobs:
        record = await later.get(stored.id)
    assert record is not None
    assert (record.state, record.attempt) == ("available", 0)
