"""What definitions and calls may say of limits, and how they are refused."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import (
    ConcurrencyKeyError,
    ConfigError,
    JobManager,
    MemoryAdapter,
    Queue,
    RateLimit,
    Scheduler,
    UnknownJobError,
    UnknownQueueError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

jobs = JobManager(
    adapters={"m": MemoryAdapter()}, queues=["default", Queue("email", concurrency=2), "slow"]
)


@pytest.fixture
async def later() -> Any:
    async with jobs:
        yield jobs.create_scheduler(adapter="m")


async def lanes(later: Scheduler, call: Any, **options: Any) -> tuple[str | None, str | None, str]:
    job = await later(call, **options)
    record = await later.get(job.id)
    assert record is not None
    return record.lane, record.waits_in, job.state


@jobs.job(concurrency_key="tenant:{tenant}")
async def by_template(tenant: int, text: str = "x") -> None: ...


@jobs.job(concurrency_key=lambda tenant, text: f"{tenant}/{text}" if tenant else None)
async def by_function(tenant: int, text: str = "x") -> None: ...


@jobs.job(concurrency_key="{tenant}", queue="email", rate_limit=RateLimit(5, per=60))
async def rated(tenant: str) -> None: ...


@jobs.job(concurrency=3)
async def unkeyed() -> None: ...


@jobs.job
async def plain() -> None: ...


async def test_a_template_is_filled_with_the_arguments_by_name(later: Scheduler) -> None:
    for call in (by_template(7), by_template(tenant=7, text="y")):
        assert await lanes(later, call) == ("key:tenant:7", "key:tenant:7", "waiting")


async def test_a_function_gets_the_arguments_it_names_and_may_return_none(
    later: Scheduler,
) -> None:
    assert (await lanes(later, by_function(7)))[0] == "key:7/x"
    assert await lanes(later, by_function(0)) == (None, None, "available")


async def test_without_a_key_all_jobs_of_the_name_share_a_lane(later: Scheduler) -> None:
    assert (await lanes(later, unkeyed()))[0] == "job:unkeyed"


async def test_a_call_may_bring_a_key_of_its_own(later: Scheduler) -> None:
    assert (await lanes(later, plain(), concurrency_key="a"))[0] == "key:a"
    assert (await lanes(later, by_template(7), concurrency_key="a"))[0] == "key:a"


async def test_a_job_in_a_limited_queue_waits_for_it(later: Scheduler) -> None:
    assert await lanes(later, plain(), queue="email") == (None, "queue:email", "waiting")
    assert await lanes(later, rated("a")) == ("key:a", "key:a", "waiting")
    assert (await lanes(later, rated("a"), queue="slow"))[0] == "key:a"
    assert await lanes(later, plain(), wait=60, queue="email") == (None, None, "scheduled")


async def test_a_plain_job_asks_for_nothing(later: Scheduler) -> None:
    assert await lanes(later, plain()) == (None, None, "available")


async def test_many_calls_go_to_their_own_lanes(later: Scheduler) -> None:
    stored = await later.many([by_template(1), plain(), by_template(2)])
    records = [await later.get(job.id) for job in stored]
    assert [record and record.lane for record in records] == ["key:tenant:1", None, "key:tenant:2"]


def test_a_job_says_how_many_for_each_key() -> None:
    @jobs.job(concurrency_key="k", concurrency=4, rate_limit=RateLimit(10, timedelta(minutes=1)))
    async def both() -> None: ...

    assert by_template.limit == ("job:by_template", 1, None, None)
    assert rated.limit == ("job:rated", None, 5, 12.0)
    assert both.limit == ("job:both", 4, 10, 6.0)
    assert RateLimit(10, per=60, smooth=True).burst == 1
    assert jobs.queue_limits == {"email": ("queue:email", 2, None, None)}
    assert jobs.queues == ("default", "email", "slow")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RateLimit(0, per=1), "count must be a whole number from 1"),
        (lambda: RateLimit(1, per=0), "per must be from 0.001 to"),
        (lambda: RateLimit(1, per=-5), "got -5"),
        (lambda: RateLimit(1, per=timedelta(seconds=-5)), "got -5.0"),
        (lambda: RateLimit(1, per="minute"), "per must be"),  # type: ignore[arg-type]
        (lambda: RateLimit(1, per=1, smooth="no"), "smooth must be True or False"),  # type: ignore[arg-type]
        (lambda: Queue("x", concurrency=0), "concurrency must be a whole number from 1"),
        (lambda: Queue("x", rate_limit=5), r"RateLimit\(count, per=…\)"),  # type: ignore[arg-type]
        (lambda: JobManager(adapters={"m": MemoryAdapter()}, queues=[Queue("*")]), "queue"),
        (
            lambda: JobManager(adapters={"m": MemoryAdapter()}, queues=["a", Queue("a")]),
            "different names",
        ),
    ],
)
def test_a_limit_that_cannot_be_is_refused(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 0}, "concurrency must be a whole number from 1 to 100000, got 0"),
        ({"concurrency": 1.5}, "got 1.5"),
        ({"rate_limit": (1, 2)}, "rate_limit must be a RateLimit"),
        ({"strict_order": True}, "strict_order needs"),
        ({"concurrency_key": "{nobody}"}, r"names 'nobody', .* \(parameters: tenant\)"),
        ({"concurrency_key": "{}"}, "names ''"),
        ({"concurrency_key": "{0}"}, "names '0'"),
        ({"concurrency_key": "{tenant"}, "is no template"),
        ({"concurrency_key": 7}, "must be a text or a function"),
        ({"concurrency_key": lambda nobody: "x"}, "names 'nobody'"),
        ({"concurrency_key": lambda *names: "x"}, "by name"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    async def job(tenant: int) -> None: ...

    with pytest.raises(ConfigError, match=says):
        jobs.job(**options)(job)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "must be printable and not empty"),
        ("a\nb", "must be printable"),
        ("x" * 201, "at most 200 characters, got 201"),
        (7, r"must be a text, got 7 \(int\)"),
    ],
)
async def test_a_key_that_cannot_be_stores_nothing(later: Scheduler, key: Any, says: str) -> None:
    with pytest.raises(ConcurrencyKeyError, match=says) as caught:
        await later(plain(), concurrency_key=key)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problem) == (str(caught.value), caught.value.problem)


async def test_a_key_that_the_arguments_do_not_make_names_the_job(later: Scheduler) -> None:
    with pytest.raises(ConcurrencyKeyError, match="job 'rated': the concurrency key must have"):
        await later(rated("x" * 300))

    @jobs.job(concurrency_key=lambda tenant: str(1 // tenant))
    async def broken(tenant: int) -> None: ...

    with pytest.raises(ConcurrencyKeyError, match="could not be made: ZeroDivisionError"):
        await later(broken(0))


async def test_what_cannot_be_paused_is_refused(later: Scheduler) -> None:
    for options in ({}, {"queue": "default", "job": "plain"}):
        with pytest.raises(ConfigError, match="give one of queue=, job= and key="):
            await later.pause(**options)
    with pytest.raises(UnknownQueueError):
        await later.pause(queue="emial")
    with pytest.raises(UnknownJobError, match="did you mean 'plain'"):
        await later.pause(job="plane")
    with pytest.raises(ConcurrencyKeyError):
        await later.resume(key="")


async def test_a_pause_is_told_by_kind_and_name(later: Scheduler) -> None:
    assert await later.pause(job=plain)
    assert await later.pause(key="a")
    assert not await later.pause(job="plain")
    found = [(pause.kind, pause.name) for pause in await later.pauses()]
    assert found == [("job", "plain"), ("key", "a")]
    assert await later.resume(job=plain)
    assert await later.resume(key="a")
    assert await later.pauses() == []
