"""Unique calls, as users of `later` see them, on both storages."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asyncjobs import (
    ConfigError,
    JobExistsError,
    JobManager,
    JobState,
    MemoryAdapter,
    PostgresAdapter,
)
from asyncjobs.errors import WaitError


@pytest.fixture(params=["memory", "postgres"])
async def jobs(request: pytest.FixtureRequest) -> Any:
    memory = request.param == "memory"
    adapter = MemoryAdapter() if memory else PostgresAdapter(request.getfixturevalue("dsn"))
    manager = JobManager(adapters={"main": adapter}, queues=["default", "email"])

    @manager.job
    async def note(user: int, *, text: str = "hello", at: datetime | None = None) -> None: ...

    @manager.job
    async def other(user: int) -> None: ...

    manager.note, manager.other = note, other
    manager.later = manager.create_scheduler(adapter="main")
    async with manager:
        yield manager


async def count(jobs: Any) -> int:
    return sum((await jobs.adapters["main"].counts()).values())


async def test_calls_with_the_same_text_are_equal_whatever_their_arguments(jobs: Any) -> None:
    first = await jobs.later(jobs.note(1), unique="user:7")
    again = await jobs.later(jobs.note(2), unique="user:7")
    assert (first.is_new, again.is_new, again.id) == (True, False, first.id)
    assert (await jobs.later(jobs.note(1), unique="user:8")).is_new
    assert (await jobs.later(jobs.other(1), unique="user:7")).is_new  # another job
    assert (await jobs.later(jobs.note(1))).is_new  # does not ask


async def test_calls_with_the_same_arguments_are_equal(jobs: Any) -> None:
    moment = datetime(2031, 1, 1, 12, tzinfo=UTC)
    first = await jobs.later(jobs.note(1, text="x", at=moment), unique=True)
    again = await jobs.later(jobs.note(at=moment, text="x", user=1), unique=True)
    assert again.id == first.id
    assert (await jobs.later(jobs.note(1, text="y", at=moment), unique=True)).is_new


async def test_an_argument_that_is_its_default_counts_as_not_given(jobs: Any) -> None:
    first = await jobs.later(jobs.note(1), unique=True)
    again = await jobs.later(jobs.note(1, text="hello", at=None), unique=True)
    assert again.id == first.id


async def test_calls_may_be_equal_by_some_of_their_arguments(jobs: Any) -> None:
    first = await jobs.later(jobs.note(1, text="x"), unique=("user",))
    again = await jobs.later(jobs.note(1, text="y"), unique=["user"])
    assert again.id == first.id
    assert (await jobs.later(jobs.note(2, text="x"), unique=("user",))).is_new
    by_two = await jobs.later(jobs.note(1, text="x"), unique=("user", "text"))
    swapped = await jobs.later(jobs.note(1, text="x"), unique=("text", "user"))
    assert (by_two.is_new, swapped.id) == (True, by_two.id)


async def test_a_definition_makes_every_call_unique_and_a_call_has_the_last_word(
    jobs: Any,
) -> None:
    @jobs.job(unique=("user",), on_conflict="raise", unique_for=timedelta(hours=1))
    async def once(user: int, text: str = "") -> None: ...

    first = await jobs.later(once(1))
    with pytest.raises(JobExistsError, match=rf"'once' exists already.*: {first.id}") as raised:
        await jobs.later(once(1, "x"))
    assert (raised.value.job, raised.value.id) == ("once", first.id)
    quiet = await jobs.later(once(1, "x"), on_conflict="ignore")
    assert (quiet.id, quiet.is_new) == (first.id, False)
    assert (await jobs.later(once(1), unique=False)).is_new
    assert (await jobs.later(once(1), unique="another key")).is_new


async def test_what_comes_back_is_the_job_that_exists(jobs: Any) -> None:
    first = await jobs.later(jobs.note(1), unique="k", queue="email", priority=3, wait=60)
    again = await jobs.later(jobs.note(2), unique="k")
    assert (again.id, again.name, again.is_new) == (first.id, "note", False)
    assert (again.queue, again.priority, again.run_at) == ("email", 3, first.run_at)
    assert again.state is JobState.SCHEDULED


async def test_a_hundred_callers_at_once_are_answered_with_one_job(jobs: Any) -> None:
    stored = await asyncio.gather(*[jobs.later(jobs.note(n), unique="k") for n in range(100)])
    assert sum(one.is_new for one in stored) == 1
    assert len({one.id for one in stored}) == await count(jobs) == 1


async def test_of_a_hundred_callers_that_want_an_error_all_but_one_get_it(jobs: Any) -> None:
    plain = [jobs.later(jobs.note(n)) for n in range(20)]
    unique = [jobs.later(jobs.note(n), unique="k", on_conflict="raise") for n in range(100)]
    answers = await asyncio.gather(*plain, *unique, return_exceptions=True)
    [stored] = [one for one in answers[20:] if not isinstance(one, Exception)]
    errors = [one for one in answers[20:] if isinstance(one, JobExistsError)]
    assert {error.id for error in errors} == {stored.id}
    assert len(errors) == 99
    assert all(one.is_new for one in answers[:20])


async def test_many_store_each_key_once(jobs: Any) -> None:
    calls = [jobs.note(n % 10) for n in range(100)]
    stored = await jobs.later.many(calls, unique=True)
    assert [one.is_new for one in stored] == [True] * 10 + [False] * 90
    assert [one.id for one in stored] == [one.id for one in stored[:10]] * 10
    again = await jobs.later.many([jobs.note(5), jobs.note(50)], unique=True)
    assert [one.is_new for one in again] == [False, True]
    assert again[0].id == stored[5].id


async def test_many_that_want_an_error_store_all_or_none(jobs: Any) -> None:
    await jobs.later(jobs.note(5), unique=True)
    with pytest.raises(JobExistsError):
        await jobs.later.many([jobs.note(n) for n in range(10)], unique=True, on_conflict="raise")
    with pytest.raises(JobExistsError, match="in one batch"):
        await jobs.later.many([jobs.note(50)] * 2, unique=True, on_conflict="raise")
    assert await count(jobs) == 1
    stored = await jobs.later.many([jobs.note(60)], unique=True, on_conflict="raise")
    assert stored[0].is_new


async def test_replace_and_reschedule_change_the_job_that_waits(jobs: Any) -> None:
    first = await jobs.later(jobs.note(1), unique="k", wait=60)
    replaced = await jobs.later(jobs.note(2), unique="k", wait=30, on_conflict="replace")
    assert (replaced.id, replaced.is_new) == (first.id, False)
    assert replaced.run_at < first.run_at
    moved = await jobs.later(jobs.note(3), unique="k", wait=90, on_conflict="reschedule")
    assert moved.run_at > first.run_at
    assert json.loads((await jobs.later.get(first.id)).args) == {"user": 2}


async def test_a_job_can_be_unique_for_a_time(jobs: Any) -> None:
    first = await jobs.later(jobs.note(1), unique="k", unique_for=60)
    await jobs.later.cancel(first.id)
    again = await jobs.later(jobs.note(1), unique="k", unique_for=timedelta(minutes=1))
    assert (again.id, again.state, again.is_new) == (first.id, "cancelled", False)
    assert (await jobs.later(jobs.note(1), unique="k")).is_new


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unique": ""}, "1 to 1000 characters, got 0"),
        ({"unique": "x" * 1001}, "1 to 1000 characters, got 1001"),
        ({"unique": []}, "a list of names"),
        ({"unique": 7}, "a list of names"),
        ({"unique": [7]}, "a list of names"),
        ({"unique": ["usr"]}, "'note': unique names the argument 'usr'.*takes: user, text, at"),
        ({"unique_for": 60}, "need unique="),
        ({"on_conflict": "raise"}, "need unique="),
        ({"unique": True, "on_conflict": "rais"}, "ignore, replace, raise, reschedule, got 'rais'"),
        ({"unique": True, "unique_states": ["wait"]}, "must be a list of scheduled"),
        ({"unique": True, "unique_states": "scheduled"}, "must be a list of scheduled"),
        ({"unique": True, "unique_states": ["running"]}, "must hold scheduled and available"),
        (
            {"unique": True, "unique_states": ["scheduled", "available", "failed"]},
            "must hold running",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(jobs: Any, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await jobs.later(jobs.note(1), **options)
    assert await count(jobs) == 0
    with pytest.raises(ConfigError, match=message):

        @jobs.job(name="note", **options)
        async def wrong(user: int, *, text: str = "", at: datetime | None = None) -> None: ...


@pytest.mark.parametrize("period", [-1, float("nan"), "60", True])
async def test_a_period_is_a_duration(jobs: Any, period: Any) -> None:
    with pytest.raises(WaitError, match="unique_for must be"):
        await jobs.later(jobs.note(1), unique=True, unique_for=period)
