"""A job that gets other arguments counts for the concurrency key that these make."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, StringConstraints

from asyncjobs import (
    ArgumentError,
    ConcurrencyKeyError,
    ConfigError,
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    WorkerGroup,
)


@pytest.fixture(params=["memory", "postgres"])
async def jobs(request: pytest.FixtureRequest) -> Any:
    memory = request.param == "memory"
    adapter = MemoryAdapter() if memory else PostgresAdapter(request.getfixturevalue("dsn"))
    group = WorkerGroup(adapter="main", delete_successful_jobs=False)
    manager: Any = JobManager(adapters={"main": adapter}, workers=[group])
    manager.running, manager.most = Counter(), Counter()

    async def sync(tenant: int | None, n: int = 0) -> None:
        manager.running[tenant] += 1
        manager.most[tenant] = max(manager.most[tenant], manager.running[tenant])
        await asyncio.sleep(0.3)
        manager.running[tenant] -= 1

    def key_of(tenant: int | None) -> str | None:
        return None if tenant is None else f"tenant:{tenant}"

    template = "tenant:{tenant}"
    manager.by_template = manager.job(name="by_template", concurrency_key=template)(sync)
    manager.by_function = manager.job(name="by_function", concurrency_key=key_of)(sync)

    @manager.job(concurrency_key="{rate}")
    async def by_float(rate: float) -> None: ...

    @manager.job(concurrency_key="{name}")
    async def by_name(name: Annotated[str, StringConstraints(to_lower=True)]) -> None: ...

    manager.by_float, manager.by_name = by_float, by_name
    manager.strict = manager.job(name="strict", concurrency_key=key_of, strict_order=True)(sync)
    manager.later = manager.create_scheduler(adapter="main")
    async with manager:
        yield manager


async def lane_of(jobs: Any, job: int) -> Any:
    record = await jobs.later.get(job)
    return record.lane


async def test_a_job_with_other_arguments_runs_beside_no_other_of_their_key(jobs: Any) -> None:
    edited = await jobs.later(jobs.by_template(7), wait=1000)
    assert await jobs.later.retry(edited.id, args={"tenant": 8, "n": 1})
    assert await lane_of(jobs, edited.id) == "key:tenant:8"
    await jobs.later(jobs.by_template(8))
    await jobs.later(jobs.by_template(7))
    await jobs.workoff()
    assert jobs.most == {7: 1, 8: 1}


async def test_a_job_that_had_no_key_runs_beside_no_other_of_its_new_one(jobs: Any) -> None:
    free = [await jobs.later(jobs.by_function(None), wait=1000) for _ in range(3)]
    for job in free[:2]:
        assert await jobs.later.retry(job.id, args={"tenant": 8})
        assert await lane_of(jobs, job.id) == "key:tenant:8"
    await jobs.workoff()
    assert jobs.most == {8: 1}


async def test_a_job_may_get_arguments_without_a_key(jobs: Any) -> None:
    stored = [await jobs.later(jobs.by_function(7)) for _ in range(2)]
    for job in stored:
        assert await jobs.later.retry(job.id, args={"tenant": None})
        assert await lane_of(jobs, job.id) is None
    await jobs.workoff()
    assert jobs.most == {None: 2}


async def test_a_job_of_strict_order_keeps_its_new_key_while_it_waits(jobs: Any) -> None:
    job = await jobs.later(jobs.strict(None), wait=1000)
    assert await jobs.later.retry(job.id, args={"tenant": 8})
    record = await jobs.later.get(job.id)
    assert '"strict"' in record.extra
    assert await jobs.later.retry(job.id, args={"tenant": None})
    record = await jobs.later.get(job.id)
    assert '"strict"' not in record.extra


async def test_a_key_that_somebody_chose_stays(jobs: Any) -> None:
    chosen = await jobs.later(jobs.by_template(7), wait=1000, concurrency_key="chosen")
    assert await jobs.later.retry(chosen.id, args={"tenant": 8})
    assert await lane_of(jobs, chosen.id) == "key:chosen"


async def test_arguments_of_the_same_key_change_no_place(jobs: Any) -> None:
    job = await jobs.later(jobs.by_template(7))
    before = await jobs.later.get(job.id)
    assert await jobs.later.retry(job.id, args={"tenant": 7, "n": 1})
    after = await jobs.later.get(job.id)
    assert (after.lane, after.waits_in, after.extra) == (
        before.lane, before.waits_in, before.extra
    )  # fmt: skip


async def test_arguments_that_make_no_key_are_refused(jobs: Any) -> None:
    @jobs.job(concurrency_key="{account}")
    async def post(account: str) -> None: ...

    job = await jobs.later(post("ada"), wait=1000)
    with pytest.raises(ConcurrencyKeyError, match="must be printable and not empty"):
        await jobs.later.retry(job.id, args={"account": ""})
    record = await jobs.later.get(job.id)
    assert (record.state, record.lane) == ("scheduled", "key:ada")


async def test_of_two_edits_at_once_the_last_one_says_the_key(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await jobs.later(jobs.by_template(7), wait=1000)
    storage = jobs.adapters["main"]
    get, looked, go_on = storage.get, asyncio.Event(), asyncio.Event()

    async def get_and_wait(ids: list[int]) -> Any:
        found = await get(ids)
        looked.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(storage, "get", get_and_wait)
    slow = asyncio.create_task(jobs.later.retry(job.id, args={"tenant": 7, "n": 1}))
    await looked.wait()
    monkeypatch.setattr(storage, "get", get)
    assert await jobs.later.retry(job.id, args={"tenant": 8})
    go_on.set()
    assert await slow
    record = await jobs.later.get(job.id)
    assert json.loads(record.args) == {"tenant": 7, "n": 1}
    assert record.lane == "key:tenant:7"


async def test_keys_are_made_of_arguments_as_the_job_gets_them(jobs: Any) -> None:
    for job, before, after, key in (
        (jobs.by_float, 7, {"rate": 8}, "key:8.0"),
        (jobs.by_name, "Ada", {"name": "Bob"}, "key:bob"),
    ):
        stored = await jobs.later(job(before), wait=1000)
        assert await jobs.later.retry(stored.id, args=after)
        assert await lane_of(jobs, stored.id) == key
        [new] = after.values()
        assert await lane_of(jobs, (await jobs.later(job(new), wait=1000)).id) == key


ROOMS = {"hall": 1, "attic": 2}


def known_room(room: str) -> str:
    assert ROOMS[room]  # a KeyError, of which pydantic knows nothing
    return room


async def test_arguments_that_the_job_takes_no_more_can_be_edited(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @jobs.job(concurrency_key="{room}")
    async def clean(room: Annotated[str, AfterValidator(known_room)]) -> None: ...

    job = await jobs.later(clean("attic"), wait=1000)
    monkeypatch.delitem(ROOMS, "attic")
    assert await jobs.later.retry(job.id, args={"room": "hall"})
    record = await jobs.later.get(job.id)
    assert (record.state, json.loads(record.args)) == ("waiting", {"room": "hall"})


@pytest.mark.parametrize("args", [[3], "x", 5, {3: 4}])
async def test_what_are_no_arguments_by_name_is_said(jobs: Any, args: Any) -> None:
    job = await jobs.later(jobs.by_template(7), wait=1000)
    with pytest.raises(ArgumentError, match="args must be the arguments by name, got"):
        await jobs.later.retry(job.id, args=args)


async def test_a_key_by_a_function_without_names_is_refused(jobs: Any) -> None:
    with pytest.raises(ConfigError, match="must say by which names it takes arguments"):
        jobs.job(concurrency_key=int)(lambda number: None)
