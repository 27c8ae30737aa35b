"""Cancel, retry, reschedule and delete one job or many, as users of `later` see it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest

from asyncjobs import (
    ArgumentError,
    ConfigError,
    JobExistsError,
    JobFilter,
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    UnknownJobError,
    UnknownOptionError,
    WaitError,
    WorkerGroup,
)

FIRST = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=10)))
LAST = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12)))
"""Moments that UTC does not have."""


class Color(Enum):
    RED = "red"


@pytest.fixture(params=["memory", "postgres"])
async def jobs(request: pytest.FixtureRequest) -> Any:
    memory = request.param == "memory"
    adapter = MemoryAdapter() if memory else PostgresAdapter(request.getfixturevalue("dsn"))
    group = WorkerGroup(adapter="main", delete_successful_jobs=False)
    manager: Any = JobManager(
        adapters={"main": adapter}, queues=["default", "email"], workers=[group]
    )
    manager.fails, manager.ran = 0, []

    @manager.job(max_attempts=2, backoff=lambda attempt, error: manager.delays.append(attempt) or 0)
    async def note(number: int, at: datetime | None = None, color: Color = Color.RED) -> None:
        manager.ran.append((number, at, color))
        if manager.fails:
            manager.fails -= 1
            raise ValueError(f"no {number}")

    manager.note, manager.delays = note, []
    manager.later = manager.create_scheduler(adapter="main")
    async with manager:
        yield manager


async def failed(jobs: Any, number: int = 1, **options: Any) -> int:
    """Return a job that has used up its attempts."""
    stored = await jobs.later(jobs.note(number), **options)
    jobs.fails = 2
    await jobs.workoff()
    assert (await jobs.later.get(stored.id)).state == "failed"
    jobs.ran.clear()
    jobs.delays.clear()
    return int(stored.id)


async def test_one_job_is_cancelled_retried_rescheduled_and_deleted(jobs: Any) -> None:
    later = jobs.later
    job = (await later(jobs.note(1))).id
    assert await later.reschedule(job, wait=60) is True
    assert (await later.get(job)).state == "scheduled"
    assert await later.cancel(job) is True
    assert await later.cancel(job) is False
    assert await later.reschedule(job, wait=60) is False
    assert await later.retry(job) is True
    assert await later.retry(job) is False
    assert (await later.get(job)).state == "available"
    assert await later.delete(job) is True
    assert await later.delete(job) is False
    assert await later.get(job) is None


async def test_many_jobs_are_meant_by_keywords_or_a_filter(jobs: Any) -> None:
    later = jobs.later
    await later.many([jobs.note(n) for n in range(3)], queue="email")
    await later.many([jobs.note(n) for n in range(3)], tags=["red"], priority=7)
    assert await later.reschedule(queue="email", wait=60) == 3
    assert await later.cancel(JobFilter(tag="red", args={"number": 1})) == 1
    assert await later.cancel(tag="red", priority=7, state="available") == 2
    assert await later.retry(state="cancelled", name="note") == 3
    assert await later.delete(JobFilter(state=["available"])) == 3
    assert await later.delete(JobFilter()) == 3


async def test_a_failed_job_that_is_retried_has_all_its_attempts_again(jobs: Any) -> None:
    job = await failed(jobs)
    jobs.fails = 1
    assert await jobs.later.retry(job)
    await jobs.workoff()
    record = await jobs.later.get(job)
    assert (record.state, record.attempt) == ("succeeded", 4)
    assert jobs.delays == [1]  # the backoff begins anew as well
    assert [error["attempt"] for error in json.loads(record.errors)] == [1, 2, 3]


async def test_a_retried_job_that_fails_again_is_failed_again(jobs: Any) -> None:
    job = await failed(jobs)
    for attempt in (4, 6):
        jobs.fails = 2
        assert await jobs.later.retry(job)
        await jobs.workoff()
        record = await jobs.later.get(job)
        assert (record.state, record.attempt) == ("failed", attempt)


async def test_a_job_that_succeeded_and_is_kept_can_run_again(jobs: Any) -> None:
    job = (await jobs.later(jobs.note(1))).id
    await jobs.workoff()
    assert await jobs.later.retry(job)
    await jobs.workoff()
    assert [number for number, *_ in jobs.ran] == [1, 1]


async def test_an_expired_job_that_is_retried_runs(jobs: Any) -> None:
    job = await jobs.later(jobs.note(1), expires=0.001)
    await asyncio.sleep(0.01)
    await jobs.workoff()
    assert (await jobs.later.get(job.id)).state == "cancelled"
    assert await jobs.later.retry(job.id)
    await jobs.workoff()
    assert (await jobs.later.get(job.id)).state == "succeeded"


async def test_a_retry_with_arguments_has_them_checked_as_a_call_has(jobs: Any) -> None:
    job = await failed(jobs)
    for args in ({}, {"number": "x"}, {"number": 1, "other": 2}, {"number": object()}, {"at": 7}):
        with pytest.raises(ArgumentError, match="job 'note'"):
            await jobs.later.retry(job, args=args)
    assert (await jobs.later.get(job)).state == "failed"
    moment = datetime(2031, 1, 1, tzinfo=UTC)
    assert await jobs.later.retry(job, args={"number": 2, "at": moment, "color": Color.RED})
    assert await jobs.later.retry(job, args={"number": 3, "at": moment.isoformat(), "color": "red"})
    await jobs.workoff()
    assert jobs.ran == [(3, moment, Color.RED)]


async def test_a_job_that_nobody_knows_cannot_be_edited(jobs: Any) -> None:
    assert await jobs.later.retry(1_000_000, args={"number": 1}) is False
    job = await failed(jobs)
    jobs.registry._jobs.clear()
    with pytest.raises(UnknownJobError):
        await jobs.later.retry(job, args={"number": 1})


async def test_a_retry_whose_key_is_taken_says_by_which_job(jobs: Any) -> None:
    job = await failed(jobs, unique="k")
    other = await jobs.later(jobs.note(2), unique="k")
    with pytest.raises(JobExistsError) as raised:
        await jobs.later.retry(job)
    assert (raised.value.job, raised.value.id) == ("note", other.id)
    assert await jobs.later.retry(state="failed") == 0
    await jobs.later.delete(other.id)
    assert await jobs.later.retry(state="failed") == 1


@pytest.mark.parametrize("unique", [True, "k"])
async def test_other_arguments_make_another_key_if_the_key_was_made_of_them(
    jobs: Any, unique: Any
) -> None:
    job = await failed(jobs, 1, unique=unique)
    assert await jobs.later.retry(job, args={"number": 2})
    again = await jobs.later(jobs.note(2), unique=unique)
    assert (again.id, again.is_new) == (job, False)
    assert (await jobs.later(jobs.note(1), unique=unique)).is_new == (unique is True)


async def test_a_running_job_is_not_deleted_nor_retried(jobs: Any) -> None:
    found: dict[str, Any] = {}

    @jobs.job
    async def looks_at_itself(number: int) -> None:
        later = jobs.later
        [record] = (await later.find(name="looks_at_itself")).jobs
        found["retried"] = await later.retry(record.id)
        found["edited"] = await later.retry(record.id, args={"number": 2})
        found["rescheduled"] = await later.reschedule(record.id, wait=60)
        found["deleted"] = await later.delete(record.id)
        found["many"] = await later.delete(state="running") + await later.retry(state="running")

    await jobs.later(looks_at_itself(1))
    await jobs.workoff()
    assert found == {
        "retried": False, "edited": False, "rescheduled": False, "deleted": False, "many": 0
    }  # fmt: skip


async def test_jobs_are_listed_and_counted(jobs: Any) -> None:
    stored = await jobs.later.many([jobs.note(n) for n in range(5)])
    page = await jobs.later.find(name="note", limit=3)
    assert [job.id for job in page.jobs] == [job.id for job in stored[:1:-1]]
    rest = await jobs.later.find(JobFilter(name="note"), after=page.after, limit=3)
    assert [job.id for job in rest.jobs] == [job.id for job in stored[1::-1]]
    assert rest.after is None
    assert await jobs.later.count(args={"number": 3}) == (1, True)
    assert (await jobs.later.count()).jobs == 5
    assert len((await jobs.later.find()).jobs) == 5


async def test_jobs_are_found_by_when_they_were_stored(jobs: Any) -> None:
    await jobs.later(jobs.note(1))
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert await jobs.later.delete(created_before=now - hour) == 0
    assert await jobs.later.delete(created_after=now - hour, created_before=now + hour) == 1


@pytest.mark.parametrize("action", ["cancel", "retry", "delete", "reschedule"])
async def test_who_says_nothing_means_nothing(jobs: Any, action: str) -> None:
    act = getattr(jobs.later, action)
    wait = {"wait": 1} if action == "reschedule" else {}
    for arguments in ((), (None,)):
        with pytest.raises(ConfigError, match="say which jobs are meant"):
            await act(*arguments, **wait)
    with pytest.raises(ConfigError, match="not also state"):
        await act(7, state="failed", **wait)
    with pytest.raises(ConfigError, match="not also name"):
        await act(JobFilter(), name="note", **wait)
    with pytest.raises(ConfigError, match="an id, a JobFilter"):
        await act("7", **wait)
    with pytest.raises(ConfigError, match="job_id must be"):
        await act(True, **wait)
    with pytest.raises(UnknownOptionError, match="did you mean 'state'"):
        await act(stat="failed", **wait)


async def test_a_time_is_needed_to_reschedule(jobs: Any) -> None:
    for options in ({}, {"wait": -1}, {"wait": 1, "wait_until": datetime.now(UTC)}):
        with pytest.raises(WaitError):
            await jobs.later.reschedule(7, **options)


@pytest.mark.parametrize("which", [7, JobFilter()], ids=["one", "all"])
async def test_whether_a_cancellation_interrupts_is_true_or_false(jobs: Any, which: Any) -> None:
    with pytest.raises(ConfigError, match="interrupt must be True or False, got 'no'"):
        await jobs.later.cancel(which, interrupt="no")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"state": "done"}, "state must be of scheduled"),
        ({"name": 7}, "name must be a text"),
        ({"name": [7]}, "name must be a text"),
        ({"tag": "a\0"}, "tag must be a text"),
        ({"queue": {"a"}}, "queue must be a text"),
        ({"ids": ["7"]}, "ids must be a whole number"),
        ({"ids": [2**63]}, "ids must be a whole number"),
        ({"ids": range(10_001)}, "ids takes at most 10000 values"),
        ({"args": {"x": object()}}, "args must be a mapping"),
        ({"args": {"x": float("nan")}}, "args must be a mapping"),
        ({"args": {"x": "\0"}}, "no null character"),
        ({"args": 7}, "args must be a mapping"),
        ({"error": 7}, "error must be a text"),
        ({"error": "\0"}, "error must be a text"),
        ({"priority": 1e9}, "priority must be a whole number"),
        ({"min_attempt": -1}, "min_attempt must be a whole number"),
        ({"max_attempt": -1}, "max_attempt must be a whole number"),
        ({"min_attempt": 3, "max_attempt": 2}, "no attempt is at least 3 and at most 2"),
        ({"min_priority": 3, "max_priority": 2}, "no priority is at least 3 and at most 2"),
        ({"priority": 3, "max_priority": 4}, "not both"),
        ({"created_after": datetime(2031, 1, 1)}, "created_after must be a datetime with a time"),
        ({"created_before": "2031"}, "created_before must be a datetime with a time"),
        ({"name": "\ud800"}, "name must be a text or a list of texts without .* half surrogates"),
        ({"tag": ["a", "\ud800"]}, "tag must be a text or a list of texts without"),
        ({"error": "\ud800"}, "error must be a text without null characters and half surrogates"),
        ({"args": {"x": ["\ud800"]}}, "args must be a mapping that JSON can hold"),
        ({"args": {"\ud800": 1}}, "args must be a mapping that JSON can hold"),
        ({"created_after": FIRST}, "created_after must be in a year from 1 to 9999 of UTC"),
        ({"created_before": LAST}, "created_before must be in a year from 1 to 9999 of UTC"),
    ],
)
def test_what_no_job_can_fit_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        JobFilter(**fields)
