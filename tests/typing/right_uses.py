"""What users write and every type checker must accept. Read by test_typing.py, never run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_type

from fastapi import Depends

from asyncjobs import (
    AsyncJob,
    JobCall,
    JobContext,
    JobEvent,
    JobFilter,
    JobManager,
    JobRecord,
    JobState,
    MemoryAdapter,
    Pause,
    PostgresAdapter,
    Queue,
    RateLimit,
    Retry,
    Schedule,
    ScheduledJob,
    Scheduler,
    Schedules,
    Snooze,
    ThreadJob,
    WorkerGroup,
    current_job,
    exponential,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from asyncjobs.hooks import Perform

jobs = JobManager(
    adapters={"postgres": PostgresAdapter("postgresql://localhost/app"), "m": MemoryAdapter()},
    queues=["default", Queue("email", concurrency=5, rate_limit=RateLimit(10, per=60))],
    workers=[
        WorkerGroup(adapter="postgres", queue="*", count=1, concurrency=100, lease=30),
        WorkerGroup(adapter="m", queue=["default", "email"], shutdown_timeout=2.5),
    ],
)
later = jobs.create_scheduler(adapter="postgres")
assert_type(later, Scheduler)


def give_up_soon(attempt: int, error: BaseException) -> float | None:
    return 5.0 if attempt < 3 else None


def wait_a_minute(attempt: int, error: BaseException) -> timedelta:
    return timedelta(minutes=1)


@jobs.job
async def send(user: int, note: str = "", *, urgent: bool = False) -> str:
    current_job().log.info("mail.sent", user=user)
    return f"{user} {note} {urgent}"


@jobs.job(
    name="mail.send",
    queue="email",
    priority=10,
    max_attempts=3,
    backoff=give_up_soon,
    jitter=0.1,
    max_runtime=60,
    retry_on_timeout=True,
    delete_successful=False,
    delete_failed=None,
)
async def send_with_options(user: int) -> list[int]:
    return [user]


@jobs.job(
    concurrency_key="user:{user}",
    concurrency=3,
    rate_limit=RateLimit(10, per=timedelta(minutes=1), smooth=True),
    strict_order=True,
)
async def send_in_turn(user: int) -> None: ...


@jobs.job(concurrency_key=lambda user: f"user:{user}" if user else None)
async def send_by_key(user: int) -> None: ...


@jobs.job(backoff=wait_a_minute)
async def send_with_backoff() -> None: ...


@jobs.job(cron="0 3 * * *", timezone="Europe/Zurich", catch_up="once", overlap="skip")
async def nightly() -> None: ...


@jobs.job(every=timedelta(hours=2), starting_at=datetime.now(UTC))
def two_hourly() -> None: ...


@jobs.job()
async def sweep() -> None: ...


@jobs.job
def resize(path: str, width: int = 80) -> bytes:
    return path.encode() * width


@jobs.job(queue="email")
def resize_with_options(path: str) -> int:
    return len(path)


assert_type(send(7), JobCall[str])
assert_type(send_with_options(7), JobCall[list[int]])
assert_type(sweep(), JobCall[None])
assert_type(resize("a"), JobCall[bytes])
assert_type(resize_with_options("a"), JobCall[int])


def is_async(job: AsyncJob[[int], list[int]]) -> None: ...
def is_async_without_arguments(job: AsyncJob[[], None]) -> None: ...
def is_thread(job: ThreadJob[[str], int]) -> None: ...


is_async(send_with_options)
is_async_without_arguments(sweep)
is_thread(resize_with_options)


async def await_them() -> None:
    assert_type(await send(7), str)
    assert_type(await send(user=7, note="x", urgent=True), str)
    assert_type(await send_with_options(7), list[int])
    assert_type(await resize("a", width=5), bytes)
    assert_type(await resize_with_options("a"), int)
    await sweep()


async def perform_them() -> None:
    perform: Callable[[int], Coroutine[Any, Any, list[int]]] = send_with_options.perform
    assert_type(await perform(7), list[int])
    assert_type(await send.perform(7, urgent=True), str)
    assert_type(resize.perform("a"), bytes)
    assert_type(resize_with_options.perform(path="a"), int)


async def schedule_them(connection: object) -> None:
    assert_type(await later(send(7)), ScheduledJob[str])
    assert_type(await later(send(7), wait=60), ScheduledJob[str])
    assert_type(await later(send(7), wait=timedelta(days=2), queue="email"), ScheduledJob[str])
    assert_type(await later(send(7), wait_until=datetime.now(UTC)), ScheduledJob[str])
    assert_type(await later(resize("a"), connection=connection), ScheduledJob[bytes])
    assert_type(await later(send, [7], wait=60), ScheduledJob[str])
    assert_type(await later(send, (7, "x")), ScheduledJob[str])
    assert_type(await later(sweep), ScheduledJob[None])
    assert_type((await later(sweep())).id, int)

    assert_type(await later.many([send(7), send(8)], wait=60), list[ScheduledJob[str]])
    assert_type(await later.many(send(user) for user in range(5)), list[ScheduledJob[str]])
    await later.many([send(7), resize("a"), sweep()])
    mixed: list[JobCall[Any]] = [send(7), sweep()]
    assert_type(await later.many(mixed, connection=connection), list[ScheduledJob[Any]])


async def have_them_recur() -> None:
    assert_type(await later(sweep(), cron="@daily", timezone="Europe/Zurich"), Schedule)
    assert_type(await later(send, [7], every=30, overlap="allow", catch_up="all"), Schedule)
    assert_type(await later(send(7), every=timedelta(hours=2), name="x", queue="email"), Schedule)
    assert_type(later.schedules, Schedules)
    assert_type(await later.schedules.list(), list[Schedule])
    assert_type(await later.schedules.get("x"), Schedule | None)
    assert_type(await later.schedules.enable("x"), Schedule)
    assert_type(await later.schedules.run_now("x"), ScheduledJob[Any] | None)
    assert_type(await later.schedules.remove("x"), bool)


async def control_them(job_id: int) -> None:
    assert_type(await later.cancel(job_id), bool)
    assert_type(await later.cancel(job_id, interrupt=False), bool)
    assert_type(await later.cancel(JobFilter(state="failed"), interrupt=False), int)
    assert_type(await later.cancel(queue="email", tag=["a", "b"]), int)
    assert_type(await later.retry(job_id), bool)
    assert_type(await later.retry(job_id, args={"user": 7}), bool)
    assert_type(await later.retry(state=[JobState.FAILED, "cancelled"]), int)
    assert_type(await later.reschedule(job_id, wait=timedelta(hours=1)), bool)
    assert_type(await later.reschedule(name="send", wait_until=datetime.now(UTC)), int)
    assert_type(await later.delete(job_id), bool)
    assert_type(await later.delete(JobFilter(args={"user": 7}, priority=3)), int)
    page = await later.find(error="timeout", limit=10)
    assert_type(page.jobs[0], JobRecord)
    assert_type((await later.count(JobFilter())).is_exact, bool)
    once = await later(send(7), unique=("user",), unique_for=60, on_conflict="replace")
    assert_type(once.is_new, bool)
    async with current_job().shielded(timeout=5):
        pass
    assert_type(await later.get(job_id), JobRecord | None)

    await later(send(7), concurrency_key="user:7")
    assert_type(await later.pause(job=send), bool)
    assert_type(await later.pause(job="mail.send"), bool)
    assert_type(await later.resume(key="user:7"), bool)
    assert_type(await later.pauses(), list[Pause])


async def wait_for_them(job_id: int) -> None:
    job = await later(send_with_options(7), retain=timedelta(hours=1))
    assert_type(await job.result(), list[int])
    assert_type(await job.result(timeout=10), list[int])
    assert_type(await (await later(resize, ["a"], retain=60)).result(timedelta(seconds=1)), bytes)
    assert_type(await later.job(job_id, send), ScheduledJob[str])
    assert_type(await later.job(job_id), ScheduledJob[Any])
    assert_type(await later.wait_all([job, job], timeout=10), list[list[int]])
    assert_type((await job.refresh()).state, JobState)
    async for event in job.events():
        assert_type(event, JobEvent)
        assert_type(event.progress, float | None)


@jobs.job(retain=timedelta(days=1))
async def count(pages: int) -> int:
    current_job().progress(0.5)
    current_job().progress(1, f"{pages} of {pages}")
    return pages


async def use_the_manager() -> None:
    async with jobs as opened:
        assert_type(opened, JobManager)
    assert_type(await jobs.migrate(), dict[str, list[str]])
    assert_type(await jobs.workoff(), int)
    jobs.lifespan(work=False)


# Hooks, middleware, dependencies and kinds


class Client: ...


def get_client() -> Client:
    return Client()


@jobs.job(process=True, retry_on=OSError, discard_on=(KeyError, ValueError))
def crunch(number: int) -> int:
    return number


@jobs.job(expires=timedelta(minutes=10), backoff=exponential(2, most=60))
async def fetch(path: str, client: Client = Depends(get_client)) -> bytes:
    if path == "later":
        raise Snooze(60)
    raise Retry("busy", after=timedelta(seconds=5)) from None


@jobs.hooks.middleware
async def around(job: JobContext, perform: Perform) -> object:
    return await perform(job)


@fetch.hooks.after_failure
def told(job: JobContext, error: BaseException) -> None: ...


@fetch.hooks.after_success
async def told_too(job: JobContext, result: bytes) -> None: ...


async def use_them() -> None:
    assert_type(await fetch("a"), bytes)
    assert_type(await crunch(5), int)
    assert_type(later.from_thread(crunch(5), expires=60), ScheduledJob[int])
    told_again: Callable[[JobContext, BaseException], None] = told
    print(told_again)
