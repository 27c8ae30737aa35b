"""Dependencies of jobs mean what FastAPI's users expect, with either library's marker."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Any

import fast_depends
import fastapi
import pytest

from asyncjobs import ArgumentError, ConfigError, JobManager, MemoryAdapter, current_job
from asyncjobs.dependencies import MARKERS, injected_names

calls: list[str] = []


class Settings:
    def __init__(self) -> None:
        self.url = "db://"


def get_settings() -> Settings:
    calls.append(f"settings in {threading.current_thread() is threading.main_thread()}")
    return Settings()


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@pytest.fixture(params=[fastapi.Depends, fast_depends.Depends], ids=["fastapi", "fast_depends"])
def depends(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_dependencies_are_made_for_the_attempt_and_closed_after_it(
    bench: Any, depends: Any
) -> None:
    async def get_db(settings: Settings = depends(get_settings)) -> Any:
        calls.append(f"open {settings.url}")
        try:
            yield "database"
        finally:
            calls.append("close")

    def get_log(settings: Settings = depends(get_settings)) -> Any:
        yield f"log of {settings.url}"
        calls.append("log closed")

    @bench.jobs.job
    async def work(number: int, db: str = depends(get_db), log: str = depends(get_log)) -> None:
        calls.append(f"work {number} with {db} and {log}")

    stored = await bench.later(work(7))
    assert (await bench.record(stored.id)).args in {'{"number":7}', '{"number": 7}'}
    await bench.jobs.workoff()
    assert calls == [
        "settings in False", "open db://", "work 7 with database and log of db://",
        "log closed", "close",
    ]  # fmt: skip
    calls.clear()
    await work(8)
    assert "work 8 with database and log of db://" in calls


async def test_a_plain_def_gets_async_dependencies_too(bench: Any, depends: Any) -> None:
    async def get_name() -> str:
        return f"job {current_job().name}"

    @bench.jobs.job
    def work(name: str = depends(get_name)) -> None:
        calls.append(f"{name} {threading.current_thread() is threading.main_thread()}")

    await bench.later(work())
    await bench.jobs.workoff()
    assert calls == ["job work False"]


async def test_a_dependency_may_name_the_jobs_arguments(bench: Any, depends: Any) -> None:
    async def get_user(user_id: int) -> str:
        return f"user {user_id}"

    class Mailer:
        def __init__(self, user: str = depends(get_user), *, fast: bool = True) -> None:
            self.text = f"mail to {user} {fast}"

    @bench.jobs.job
    async def send(user_id: int, mailer: Mailer = depends(Mailer)) -> None:
        calls.append(mailer.text)

    await bench.later(send(7))
    await bench.jobs.workoff()
    assert calls == ["mail to user 7 True"]


async def test_methods_and_objects_are_dependencies_too(bench: Any, depends: Any) -> None:
    class Pool:
        async def connection(self) -> Any:
            yield "connection"
            calls.append("connection closed")

        def name(self) -> Any:
            yield "name"
            calls.append("name closed")

        async def __call__(self) -> str:
            return "pool"

    pool = Pool()

    @bench.jobs.job
    async def work(
        one: str = depends(pool.connection), two: str = depends(pool.name), it: str = depends(pool)
    ) -> None:
        calls.append(f"{one} {two} {it}")

    await bench.later(work())
    await bench.jobs.workoff()
    assert calls == ["connection name pool", "name closed", "connection closed"]


async def test_a_result_is_shared_unless_that_is_switched_off(bench: Any, depends: Any) -> None:
    def number() -> int:
        calls.append("number")
        return len(calls)

    def double(one: int = depends(number)) -> int:
        return 2 * one

    @bench.jobs.job
    async def shared(one: int = depends(number), two: int = depends(double)) -> None:
        calls.append(f"{one} {two}")

    @bench.jobs.job
    async def apart(
        one: int = depends(number), two: int = depends(number, use_cache=False)
    ) -> None:
        calls.append(f"{one} {two}")

    await bench.later(shared())
    await bench.jobs.workoff()
    assert calls == ["number", "1 2"]
    calls.clear()
    await bench.later(apart())
    await bench.jobs.workoff()
    assert calls == ["number", "number", "1 2"]


async def test_an_annotated_dependency_works_with_a_default(bench: Any) -> None:
    @bench.jobs.job
    async def work(
        number: int, settings: Annotated[Settings, fastapi.Depends(get_settings)] = None
    ) -> None:
        calls.append(f"{number} {settings.url}")

    await bench.later(work(1))
    await bench.jobs.workoff()
    assert calls[-1] == "1 db://"


async def test_a_dependency_that_fails_fails_the_attempt(bench: Any, depends: Any) -> None:
    def broken() -> None:
        raise OSError("no database")

    @bench.jobs.job(max_attempts=1)
    async def work(db: None = depends(broken)) -> None:
        calls.append("ran")

    stored = await bench.later(work())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "failed"
    assert "no database" in record.errors
    assert calls == []


async def test_a_job_that_is_cut_off_closes_its_dependencies(bench: Any, depends: Any) -> None:
    async def get_db() -> Any:
        try:
            yield "db"
        finally:
            calls.append("closed")

    @bench.jobs.job(max_runtime=0.05)
    async def hang(db: str = depends(get_db)) -> None:
        await asyncio.Event().wait()

    stored = await bench.later(hang())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "failed"
    assert calls == ["closed"]


async def test_dependencies_are_no_arguments(bench: Any, depends: Any) -> None:
    @bench.jobs.job
    async def work(number: int, settings: Settings = depends(get_settings)) -> None: ...

    with pytest.raises(ArgumentError, match="unexpected keyword argument 'settings'"):
        await bench.later(work(7, settings=Settings()))
    with pytest.raises(ArgumentError, match="too many positional"):
        await bench.later(work(7, Settings()))


async def test_arguments_behind_a_dependency_are_given_by_name(bench: Any, depends: Any) -> None:
    @bench.jobs.job
    async def work(settings: Settings = depends(get_settings), number: int = 3) -> None:
        calls.append(f"{number} {settings.url}")

    await bench.later(work(number=5))
    await bench.jobs.workoff()
    assert calls[-1] == "5 db://"


async def test_dependencies_are_replaced_in_tests(bench: Any, depends: Any) -> None:
    def get_name(settings: Settings = depends(get_settings)) -> str:
        return settings.url

    class Fake:
        url = "fake://"

    @bench.jobs.job
    async def work(name: str = depends(get_name)) -> None:
        calls.append(name)

    bench.jobs.dependency_overrides[get_settings] = Fake
    await work()
    del bench.jobs.dependency_overrides[get_settings]
    await work()
    assert [call for call in calls if "in" not in call] == ["fake://", "db://"]


def test_what_nobody_would_give_is_refused_where_the_job_is_defined(depends: Any) -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})

    def get_user(request: fastapi.Request) -> None: ...

    async def work(user: None = depends(get_user)) -> None: ...

    with pytest.raises(ConfigError, match="get_user needs 'request', which is neither"):
        jobs.job(work)


def test_the_markers_are_those_of_the_libraries() -> None:
    def by_fastapi(db: Any = fastapi.Security(get_settings)) -> None: ...
    def by_the_other(db: Any = fast_depends.Depends(get_settings)) -> None: ...
    def plain(db: Any = None) -> None: ...

    assert injected_names(by_fastapi) == injected_names(by_the_other) == {"db"}
    assert injected_names(plain) == frozenset()
    assert len(MARKERS) == 2
