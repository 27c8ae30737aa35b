"""Hooks and middleware around jobs and around storing them, and what is carried along."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from asyncjobs import (
    Cancel,
    ConfigError,
    JobContext,
    JobManager,
    MemoryAdapter,
    MiddlewareError,
    NewJob,
    Snooze,
    UnknownQueueError,
    WorkerGroup,
    current_job,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.hooks import AttemptEnd, Perform, Store

AFTER = ("after_perform", "after_success", "after_failure", "on_discard")


def record_hooks(hooks: Any, calls: list[tuple[Any, ...]], label: str = "") -> None:
    for name in ("before_perform", *AFTER):

        def note(job: JobContext, *facts: Any, name: str = name) -> None:
            shown = [fact if isinstance(fact, int) else type(fact).__name__ for fact in facts]
            calls.append((label + name, job.attempt, *shown))

        getattr(hooks, name)(note)


async def test_hooks_run_around_every_kind_of_end(make_bench: Any) -> None:
    bench = await make_bench(max_attempts=2)
    calls: list[tuple[Any, ...]] = []
    record_hooks(bench.jobs.hooks, calls)

    @bench.jobs.job(backoff=lambda attempt, error: 0, discard_on=KeyError)
    async def work(end: str) -> int:
        if end == "cancel":
            raise Cancel("nobody")
        if end == "snooze":
            raise Snooze(3600)
        if end == "discard":
            raise KeyError(end)
        if end == "fail":
            raise ValueError(end)
        return 7

    async def calls_of(end: str) -> list[tuple[Any, ...]]:
        calls.clear()
        await bench.later(work(end), expires=0.000_001 if end == "expire" else None)
        async with bench.working():
            with anyio.fail_after(60):
                while not calls or (end == "fail" and calls[-1][0] != "on_discard"):
                    await asyncio.sleep(0.01)
        return list(calls)

    assert await calls_of("succeed") == [
        ("before_perform", 1), ("after_perform", 1), ("after_success", 1, 7),
    ]  # fmt: skip
    assert await calls_of("fail") == [
        ("before_perform", 1), ("after_perform", 1), ("after_failure", 1, "ValueError"),
        ("before_perform", 2), ("after_perform", 2), ("after_failure", 2, "ValueError"),
        ("on_discard", 2, "ValueError"),
    ]  # fmt: skip
    assert await calls_of("discard") == [
        ("before_perform", 1), ("after_perform", 1), ("after_failure", 1, "KeyError"),
        ("on_discard", 1, "KeyError"),
    ]  # fmt: skip
    assert await calls_of("cancel") == [("before_perform", 1), ("after_perform", 1)]
    assert await calls_of("snooze") == [("before_perform", 1), ("after_perform", 1)]
    assert await calls_of("expire") == [("on_discard", 1, "ExpiredError")]


async def test_every_end_of_an_attempt_is_told_once_with_its_word(make_bench: Any) -> None:
    bench = await make_bench(max_attempts=2)
    ends: list[tuple[Any, ...]] = []

    @bench.jobs.hooks.on_outcome
    def note(job: JobContext, end: AttemptEnd) -> None:
        ends.append((end.word, job.attempt, type(end.error).__name__, end.delay))

    @bench.jobs.job(backoff=lambda attempt, error: 0)
    async def work(end: str) -> None:
        if end == "cancel":
            raise Cancel("nobody")
        if end == "snooze":
            raise Snooze(3600)
        if end == "fail":
            raise ValueError(end)

    async def ends_of(call: Any, count: int = 1, **options: Any) -> list[tuple[Any, ...]]:
        ends.clear()
        if isinstance(call, NewJob):
            await bench.storage.enqueue([call])
        else:
            await bench.later(call, **options)
        async with bench.working():
            while len(ends) < count:
                await asyncio.sleep(0.01)
        return list(ends)

    assert await ends_of(work("succeed")) == [("succeeded", 1, "NoneType", 0)]
    assert await ends_of(work("fail"), 2) == [
        ("retried", 1, "ValueError", 0), ("failed", 2, "ValueError", 0),
    ]  # fmt: skip
    assert await ends_of(work("cancel")) == [("cancelled", 1, "NoneType", 0)]
    assert await ends_of(work("snooze")) == [("snoozed", 1, "NoneType", 3600)]
    expired = await ends_of(work("succeed"), expires=0.000_001)
    assert expired == [("expired", 1, "ExpiredError", 0)]
    without_arguments = NewJob("work", "default", 50, "{}")
    assert await ends_of(without_arguments) == [("failed", 1, "StoredArgumentsError", 0)]


async def test_an_attempt_that_is_given_back_is_told_too(make_bench: Any) -> None:
    bench = await make_bench(shutdown_timeout=0)
    ends: list[str] = []
    started = asyncio.Event()

    @bench.jobs.job
    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    work.hooks.on_outcome(lambda job, end: ends.append(end.word))
    stored = await bench.later(work())
    async with bench.working():
        await started.wait()
    assert ends == ["returned"]
    assert (await bench.record(stored.id)).state == "available"


async def test_the_end_of_an_attempt_is_told_although_its_thread_goes_on(bench: Any) -> None:
    release, ends = threading.Event(), []

    @bench.jobs.job(max_runtime=0.1)
    def work() -> None:
        release.wait(60)

    @work.hooks.on_outcome
    def note(job: JobContext, end: AttemptEnd) -> None:
        ends.append((end.word, type(end.error).__name__))
        release.set()

    stored = await bench.later(work())
    async with bench.working():
        await bench.until(stored.id, "failed")
    assert ends == [("failed", "JobTimeoutError")]


async def test_a_hook_that_fails_when_it_is_told_the_end_costs_nothing(bench: Any) -> None:
    @bench.jobs.job
    async def work() -> None: ...

    @work.hooks.on_outcome
    def broken(job: JobContext, end: AttemptEnd) -> None:
        raise RuntimeError("hook")

    stored = await bench.later(work())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "succeeded"
    assert "broken" in (await bench.until_logged("hook.failed"))["hook"]


async def test_the_managers_hooks_run_before_the_jobs_own_and_middleware_nests(bench: Any) -> None:
    calls: list[str] = []

    @bench.jobs.job
    async def work() -> str:
        calls.append("work")
        return "done"

    @bench.jobs.job
    async def other() -> None: ...

    def middleware(label: str) -> Any:
        async def around(job: JobContext, perform: Perform) -> Any:
            calls.append(f"{label} in")
            result = await perform(job)
            calls.append(f"{label} out {result}")
            return f"{label}({result})"

        return around

    bench.jobs.hooks.middleware(middleware("one"))
    bench.jobs.hooks.middleware(middleware("two"))
    work.hooks.middleware(middleware("own"))

    @work.hooks.after_success
    async def told(job: JobContext, result: Any) -> None:
        assert current_job() is job
        calls.append(f"told {result}")

    @bench.jobs.hooks.after_success
    def told_first(job: JobContext, result: Any) -> None:
        calls.append("first")

    await bench.later(work())
    await bench.jobs.workoff()
    assert calls == [
        "one in", "two in", "own in", "work", "own out done", "two out own(done)",
        "one out two(own(done))", "first", "told one(two(own(done)))",
    ]  # fmt: skip
    calls.clear()
    await bench.later(other())
    await bench.jobs.workoff()
    assert calls[:2] == ["one in", "two in"]
    assert "own in" not in calls


async def test_the_deadline_of_a_job_counts_from_its_function_and_not_from_its_hooks(
    bench: Any,
) -> None:
    told: dict[str, list[datetime]] = {"hook": [], "work": [], "threaded": []}

    @bench.jobs.job(max_runtime=60)
    async def work() -> None:
        told["work"].append(current_job().deadline)

    @bench.jobs.job(max_runtime=60)
    def threaded() -> None:
        told["threaded"].append(current_job().deadline)

    @bench.jobs.hooks.before_perform
    async def wait(job: JobContext) -> None:
        told["hook"].append(job.deadline)
        await asyncio.sleep(0.05)

    for job in (work, threaded):
        await bench.later(job())
        await bench.jobs.workoff()
    spent = timedelta(seconds=0.04)  # a timer may be early by a tick of its clock
    assert told["work"][0] - told["hook"][0] >= spent
    assert told["threaded"][0] - told["hook"][1] >= spent


async def test_what_is_raised_before_or_around_a_job_fails_the_attempt(bench: Any) -> None:
    ran: list[str] = []

    @bench.jobs.job(max_attempts=1)
    async def refused() -> None:
        ran.append("refused")

    @bench.jobs.job(max_attempts=1)
    def around() -> None:
        ran.append("around")

    @refused.hooks.before_perform
    async def refuse(job: JobContext) -> None:
        raise PermissionError(job.name)

    @around.hooks.middleware
    async def late(job: JobContext, perform: Perform) -> Any:
        await perform(job)
        raise OSError("the disk")

    stored = [await bench.later(refused()), await bench.later(around())]
    await bench.jobs.workoff()
    assert ran == ["around"]
    for job, error in zip(stored, ("PermissionError", "OSError"), strict=True):
        record = await bench.record(job.id)
        assert (record.state, error in record.errors) == ("failed", True)


async def test_a_hook_that_fails_afterwards_is_logged_and_costs_nothing(bench: Any) -> None:
    @bench.jobs.job
    async def work() -> None: ...

    @work.hooks.after_success
    def broken(job: JobContext, result: Any) -> None:
        raise RuntimeError("hook")

    stored = await bench.later(work())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "succeeded"
    assert "broken" in (await bench.until_logged("hook.failed"))["hook"]


class RudeError(BaseException):
    def __repr__(self) -> str:
        raise RuntimeError("no words")


async def wait_for_what_is_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize(
    "error",
    [
        RudeError(),
        SystemExit(5),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        BaseExceptionGroup("both", [asyncio.CancelledError(), ValueError("x")]),
        None,
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("max_runtime", [None, 0.05])
async def test_nothing_that_a_hook_raises_afterwards_changes_anything(
    bench: Any, error: BaseException | None, max_runtime: float | None
) -> None:
    told: list[str] = []

    @bench.jobs.job(max_attempts=1, max_runtime=max_runtime)
    async def work() -> None:
        if max_runtime is not None:
            await asyncio.Event().wait()
        raise ValueError("the job's own")

    @work.hooks.after_failure
    async def broken(job: JobContext, failure: BaseException) -> None:
        await asyncio.sleep(0)
        if error is not None:
            raise error
        await wait_for_what_is_cancelled()

    @work.hooks.on_discard
    def alert(job: JobContext, failure: BaseException) -> None:
        told.append(type(failure).__name__)

    stored = await bench.later(work())
    async with bench.working():
        record = await bench.until(stored.id, "failed")
        expected = "ValueError" if max_runtime is None else "JobTimeoutError"
        assert told == [expected]
        assert expected in record.errors
        line = await bench.until_logged("hook.failed")
        assert "broken" in line["hook"]
        assert type(error or asyncio.CancelledError()).__name__ in line["error"]


async def test_a_hook_that_cannot_be_named_changes_nothing(make_bench: Any) -> None:
    class Nameless:
        def __call__(self, job: JobContext, result: Any) -> None:
            raise RuntimeError("hook")

        def __repr__(self) -> str:
            raise RuntimeError("no name")

    bench = await make_bench(delete_successful_jobs=False)

    @bench.jobs.job
    async def work() -> None: ...

    work.hooks.after_success(Nameless())
    stored = await bench.later(work())
    async with bench.working():
        await bench.until(stored.id, "succeeded")
    assert "Nameless" in (await bench.until_logged("hook.failed"))["hook"]


async def test_a_log_that_fails_with_the_hook_costs_no_outcome(adapter: Any) -> None:
    def refuse(_: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
        if line["event"] == "hook.failed":
            raise RuntimeError("the disk is full")
        raise structlog.DropEvent

    jobs = JobManager(
        adapters={"main": adapter},
        workers=[WorkerGroup(adapter="main", delete_successful_jobs=False)],
        logger=structlog.wrap_logger(None, processors=[refuse]),
    )
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def work() -> None: ...

    @work.hooks.after_success
    @work.hooks.on_outcome
    def broken(job: JobContext, fact: Any) -> None:
        raise RuntimeError("hook")

    async with jobs:
        stored = await later(work())
        await jobs.workoff()
        record = await later.get(stored.id)
        assert record is not None
        assert record.state == "succeeded"


async def test_a_job_cut_off_in_its_hooks_keeps_its_outcome(make_bench: Any) -> None:
    bench = await make_bench(delete_successful_jobs=False, shutdown_timeout=0)
    reached = asyncio.Event()

    @bench.jobs.job
    async def work() -> None: ...

    @work.hooks.after_success
    async def slow(job: JobContext, result: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    stored = await bench.later(work())
    async with bench.working():
        await reached.wait()
    assert (await bench.record(stored.id)).state == "succeeded"


async def test_jobs_are_seen_and_changed_on_their_way_into_storage(bench: Any) -> None:
    seen: list[tuple[str, str]] = []

    @bench.jobs.job
    async def one(number: int) -> None: ...

    @bench.jobs.job
    async def two() -> None: ...

    @bench.jobs.hooks.on_enqueue
    async def note(job: NewJob) -> None:
        seen.append((job.name, job.queue))

    @one.hooks.enqueue_middleware
    async def move(rows: Sequence[NewJob], store: Store) -> Any:
        return await store([row._replace(queue="slow") for row in rows])

    stored = await bench.later(one(1))
    assert (await bench.record(stored.id)).queue == stored.queue == "slow"
    many = await bench.later.many([one(2), two()])
    assert [job.queue for job in many] == ["slow", "slow"]
    assert (await bench.later(two())).queue == "default"
    assert seen == [("one", "slow"), ("one", "slow"), ("two", "slow"), ("two", "default")]


async def test_what_a_hook_refuses_is_not_stored(bench: Any) -> None:
    @bench.jobs.job
    async def work() -> None: ...

    @work.hooks.on_enqueue
    def refuse(job: NewJob) -> None:
        raise PermissionError(job.name)

    with pytest.raises(PermissionError):
        await bench.later(work())
    assert await bench.storage.counts() == {}


async def test_a_middleware_that_drops_rows_or_names_no_queue_is_an_error(bench: Any) -> None:
    @bench.jobs.job
    async def lost() -> None: ...

    @bench.jobs.job
    async def stray() -> None: ...

    @lost.hooks.enqueue_middleware
    async def drop(rows: Sequence[NewJob], store: Store) -> Any:
        return await store([])

    @stray.hooks.enqueue_middleware
    async def lead_astray(rows: Sequence[NewJob], store: Store) -> Any:
        return await store([row._replace(queue="nowhere") for row in rows])

    with pytest.raises(MiddlewareError, match="given 1 jobs to store and passed 0 on"):
        await bench.later(lost())
    with pytest.raises(UnknownQueueError):
        await bench.later(stray())
    assert await bench.storage.counts() == {}


@pytest.mark.parametrize("number", [1, 3])
async def test_a_middleware_stores_each_call_once_whatever_it_does(bench: Any, number: int) -> None:
    async def pass_none(rows: Sequence[NewJob], store: Store) -> Any:
        return []

    async def pass_twice(rows: Sequence[NewJob], store: Store) -> Any:
        await store(rows)
        return await store(rows)

    async def try_twice(rows: Sequence[NewJob], store: Store) -> Any:
        with contextlib.suppress(UnknownQueueError):
            await store([row._replace(queue="nowhere") for row in rows])
        return await store(rows)

    async def say_nothing(rows: Sequence[NewJob], store: Store) -> Any:
        await store(rows)

    stored = {}
    for middleware in (pass_none, pass_twice, try_twice, say_nothing):

        @bench.jobs.job(name=middleware.__name__)
        async def work() -> None: ...

        work.hooks.enqueue_middleware(middleware)
        try:
            found = await bench.later.many([work() for _ in range(number)])
            stored[middleware.__name__] = len({job.id for job in found})
            assert (await bench.later(work())).is_new
        except MiddlewareError as error:
            stored[middleware.__name__] = f"{error.given}, {error.passed}"
    twice = f"{number}, {2 * number}"
    assert stored == {
        "pass_none": f"{number}, 0",
        "pass_twice": twice,
        "try_twice": number,
        "say_nothing": number,
    }
    counts = {name: (await bench.later.count(name=name)).jobs for name in stored}
    assert counts == {
        "pass_none": 0,
        "pass_twice": number,
        "try_twice": number + 1,
        "say_nothing": number + 1,
    }


def test_what_is_no_function_is_no_hook() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})
    with pytest.raises(ConfigError, match="after_success takes a function"):
        jobs.hooks.after_success("tell")  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="must be an async def"):
        jobs.hooks.middleware(lambda job, perform: None)
    with pytest.raises(ConfigError, match="on_outcome must be a plain def"):
        jobs.hooks.on_outcome(asyncio.sleep)  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="enter_process needs a function that can be imported"):
        jobs.hooks.enter_process(lambda job: None)


async def test_context_is_carried_from_the_request_to_the_job_and_on(adapter: Any) -> None:
    tenant: ContextVar[int] = ContextVar("tenant")
    jobs = JobManager(
        adapters={"main": adapter},
        workers=[WorkerGroup(adapter="main")],
        carry=["request_id", tenant],
    )
    later = jobs.create_scheduler(adapter="main")
    seen: list[tuple[Any, int]] = []

    @jobs.job
    async def first() -> None:
        note()
        await later(second())

    @jobs.job
    def second() -> None:
        note()

    def note() -> None:
        context = structlog.contextvars.get_contextvars()
        seen.append((dict(context), tenant.get(0)))

    async with jobs:
        with structlog.contextvars.bound_contextvars(request_id="r-1", secret="x"):
            reset = tenant.set(7)
            await later(first())
            tenant.reset(reset)
        await jobs.workoff()
        await later(second())
        await jobs.workoff()
    assert seen == [({"request_id": "r-1"}, 7)] * 2 + [({}, 0)]


async def test_a_context_that_json_cannot_hold_is_refused() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()}, carry=["request_id"])
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def work() -> None: ...

    async with jobs:
        with (
            structlog.contextvars.bound_contextvars(request_id=object()),
            pytest.raises(ConfigError, match=r"request_id.*not JSON"),
        ):
            await later(work())
        with (
            structlog.contextvars.bound_contextvars(request_id="x" * 5_000),
            pytest.raises(ConfigError, match="at most 4000 bytes"),
        ):
            await later(work())


@pytest.mark.parametrize("carry", ["request_id", [5], ["a", "a"]])
def test_what_cannot_be_carried_is_refused(carry: Any) -> None:
    with pytest.raises(ConfigError, match="carry must be"):
        JobManager(adapters={"main": MemoryAdapter()}, carry=carry)
