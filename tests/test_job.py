"""A job is a function; a call of it is awaited, or stored for later."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import importlib
import inspect
import json
import pickle
import sys
import threading
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncjobs import (
    ArgumentError,
    AsyncJob,
    ConfigError,
    DuplicateJobError,
    JobManager,
    MemoryAdapter,
    NotAJobError,
    Scheduler,
    ThreadJob,
    UnknownJobError,
    UnknownOptionError,
    constant,
    current_job,
    exponential,
    linear,
    retry_delay,
)
from asyncjobs.config import MAX_BACKOFF
from asyncjobs.definition import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODULE = """
from {package}_manager import jobs

@jobs.job
async def send(user: int) -> int:
    return {result}
"""


@pytest.fixture
def jobs() -> JobManager:
    return JobManager(adapters={"memory": MemoryAdapter()}, queues=["default", "email"])


@pytest.fixture
def later(jobs: JobManager) -> Scheduler:
    return jobs.create_scheduler(adapter="memory")


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    # What other tests left behind may be collected just now.
    ours = [one for one in caught if not issubclass(one.category, ResourceWarning)]
    assert [str(one.message) for one in ours] == []


# Calls


async def test_an_awaited_call_runs_here_and_returns_its_result(jobs: JobManager) -> None:
    tasks = []

    @jobs.job
    async def double(number: int, *, times: int = 2) -> int:
        tasks.append(asyncio.current_task())
        return number * times

    assert await double(4) == 8
    assert await double(number=4, times=3) == 12
    assert tasks == [asyncio.current_task()] * 2


async def test_an_awaited_call_raises_what_the_job_raises(jobs: JobManager) -> None:
    @jobs.job
    async def fail() -> None:
        raise KeyError("unchanged")

    with pytest.raises(KeyError, match="unchanged"):
        await fail()


async def test_an_awaited_call_takes_any_value_because_nothing_is_stored(
    jobs: JobManager,
) -> None:
    @jobs.job
    async def give_back(value: Any) -> Any:
        return value

    thing = object()
    assert await give_back(thing) is thing


async def test_a_call_can_be_awaited_twice(jobs: JobManager) -> None:
    @jobs.job
    async def one() -> int:
        return 1

    call = one()
    assert [await call, await call] == [1, 1]


async def test_calls_can_be_gathered(jobs: JobManager) -> None:
    @jobs.job
    async def double(number: int) -> int:
        return number * 2

    assert await asyncio.gather(double(1), double(2)) == [2, 4]


async def test_a_def_runs_in_a_thread_with_the_callers_context(jobs: JobManager) -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")

    @jobs.job
    def where(number: int) -> tuple[int, int, str]:
        return number, threading.get_ident(), tenant.get()

    tenant.set("acme")
    number, thread, seen = await where(7)

    assert isinstance(where, ThreadJob)
    assert number == 7
    assert thread != threading.get_ident()
    assert seen == "acme"


async def test_perform_is_the_undecorated_function(jobs: JobManager) -> None:
    async def double(number: int) -> int:
        return number * 2

    def name_thread() -> int:
        return threading.get_ident()

    assert jobs.job(double).perform is double
    assert await jobs.job(name="again")(double).perform(3) == 6
    assert jobs.job(name_thread).perform() == threading.get_ident()


async def test_a_job_that_is_awaited_directly_has_no_attempt(jobs: JobManager) -> None:
    @jobs.job
    async def ask() -> None:
        current_job()

    with pytest.raises(LookupError, match="no job is running here"):
        await ask()


# Calls that nobody uses


def test_a_dropped_call_warns_and_says_what_to_write(jobs: JobManager) -> None:
    @jobs.job
    async def send(user: int) -> None: ...

    with pytest.warns(RuntimeWarning, match=r"send\(…\) was neither awaited .*await later\(call"):
        send(7)


async def test_an_awaited_call_does_not_warn(jobs: JobManager) -> None:
    @jobs.job
    async def send(user: int) -> None: ...

    with no_warnings():
        await send(7)


async def test_a_scheduled_call_does_not_warn(jobs: JobManager, later: Scheduler) -> None:
    @jobs.job
    async def send(user: int) -> None: ...

    async with jobs:
        with no_warnings():
            await later(send(7))
            await later.many([send(8), send(9)])


async def test_a_call_that_is_refused_does_not_warn_on_top(
    jobs: JobManager, later: Scheduler
) -> None:
    @jobs.job
    async def send(user: int) -> None: ...

    wrong: Any = "seven"
    misspelt: Any = {"wiat": 5}
    async with jobs:
        with no_warnings():
            with pytest.raises(ArgumentError):
                await later(send(wrong))
            with pytest.raises(ArgumentError):
                await later.many([send(7), send(wrong), send(8)])
            with pytest.raises(UnknownOptionError):
                await later(send(7), **misspelt)
            with pytest.raises(UnknownOptionError):
                await later.many([send(7)], **misspelt)


# What is stored


async def test_a_call_and_the_list_form_are_stored_alike(
    jobs: JobManager, later: Scheduler
) -> None:
    @jobs.job(queue="email", priority=10)
    async def send(user: int, note: str = "") -> None: ...

    async with jobs:
        for scheduled in (await later(send(7)), await later(send, [7])):
            row = await later.get(scheduled.id)
            assert row is not None
            assert (row.name, row.queue, row.priority) == ("send", "email", 10)
            assert json.loads(row.args) == {"user": 7}


async def test_a_job_without_parameters_needs_no_list(jobs: JobManager, later: Scheduler) -> None:
    @jobs.job
    async def sweep() -> None: ...

    async with jobs:
        row = await later.get((await later(sweep)).id)

    assert row is not None
    assert row.args == "{}"


async def test_a_job_of_another_manager_is_refused(jobs: JobManager, later: Scheduler) -> None:
    other = JobManager(adapters={"memory": MemoryAdapter()})

    @other.job
    async def send() -> None: ...

    async with jobs:
        with pytest.raises(NotAJobError, match="'send' belongs to another JobManager"):
            await later(send())


# Definitions


def test_the_decorator_works_with_and_without_parentheses(jobs: JobManager) -> None:
    @jobs.job
    async def first() -> None: ...

    @jobs.job()
    async def second() -> None: ...

    @jobs.job(name="third", queue="email")
    def another() -> None: ...

    assert [job.name for job in jobs.registry] == ["first", "second", "third"]
    assert isinstance(first, AsyncJob)
    assert isinstance(second, AsyncJob)
    assert isinstance(another, ThreadJob)
    assert another.options.queue == "email"


def test_a_job_looks_like_its_function(jobs: JobManager) -> None:
    async def send(user: int, *, note: str = "") -> bool:
        """Send something."""
        return True

    job = jobs.job(send)

    assert job.__doc__ == "Send something."
    assert job.__name__ == "send"
    assert job.__qualname__ == send.__qualname__
    assert job.__module__ == __name__
    assert inspect.signature(job) == inspect.signature(send)
    assert repr(job) == "<Job 'send'>"
    assert "test_job.py:" in job.location


def test_a_job_is_found_by_its_name(jobs: JobManager) -> None:
    @jobs.job(name="mail.send")
    async def send() -> None: ...

    assert jobs.registry["mail.send"] is send
    assert "mail.send" in jobs.registry
    with pytest.raises(UnknownJobError, match=r"did you mean 'mail\.send'"):
        jobs.registry["mail.sned"]


class Mailer:
    def __call__(self, user: int) -> None: ...

    @classmethod
    def make(cls) -> None: ...


async def generate() -> Any:
    yield 1


def generate_too() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("thing", "problem"),
    [
        (Mailer, "a job is a function, got <class"),
        (Mailer(), "a job is a function, got <"),
        (vars(Mailer)["make"], "a job is a function, got <classmethod"),
        (functools.partial(print, 1), "a job is a function, got functools.partial"),
        ("send", "a job is a function, got 'send'"),
        (5, "a job is a function, got 5"),
        (generate, "a job cannot be a generator: <function generate "),
        (generate_too, "a job cannot be a generator: <function generate_too "),
        (print, "cannot be stored by name"),
        (lambda *args: args, r"the parameter \*args cannot be stored by name"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_cannot_be_a_job_is_refused_where_it_is_defined(
    jobs: JobManager, thing: Any, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        jobs.job(thing)
    with pytest.raises(ConfigError, match=problem):
        jobs.job(name="thing")(thing)

    assert len(jobs.registry) == 0


def test_a_job_cannot_be_made_a_job_again(jobs: JobManager) -> None:
    @jobs.job
    async def send() -> None: ...

    with pytest.raises(ConfigError, match="a job is a function, got <Job 'send'>"):
        jobs.job(send)  # type: ignore[call-overload]


async def test_a_method_misses_the_argument_that_its_object_would_be(
    jobs: JobManager, later: Scheduler
) -> None:
    class Mail:
        @jobs.job
        async def send(self, user: int) -> None: ...

    async with jobs:
        with pytest.raises(ArgumentError, match="missing a required argument: 'user'"):
            await later(Mail().send(7))  # type: ignore[call-arg, arg-type]


async def test_a_static_method_and_a_bound_one_are_functions(jobs: JobManager) -> None:
    class Mail:
        def __init__(self, host: str) -> None:
            self.host = host

        @jobs.job
        @staticmethod
        async def send(user: int) -> int:
            return user

        async def deliver(self, user: int) -> str:
            return f"{user}@{self.host}"

    deliver = jobs.job(Mail("example").deliver)

    assert await Mail.send(7) == 7
    assert await deliver(7) == "7@example"


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs), "logged"

    return wrapper


async def test_a_decorated_function_keeps_its_own_parameters(jobs: JobManager) -> None:
    @jobs.job
    @logged
    async def double(number: int) -> int:
        return number * 2

    assert await double(4) == (8, "logged")
    assert double(4).take().encode() == '{"number":4}'
    with pytest.raises(ArgumentError):
        double("4").take().encode()


async def test_a_def_that_only_passes_a_coroutine_on_is_not_taken_for_done(
    jobs: JobManager,
) -> None:
    async def send() -> None: ...

    @jobs.job(name="send")
    def wrapper() -> Any:
        return send()

    with pytest.raises(TypeError, match="returns a coroutine: make it an async def"):
        await wrapper()


def test_two_functions_of_one_name_are_refused_with_both_places(jobs: JobManager) -> None:
    @jobs.job
    async def send() -> None: ...

    with pytest.raises(DuplicateJobError, match="two jobs are named 'send'") as caught:

        @jobs.job(name="send")
        async def other() -> None: ...

    assert send.location == caught.value.first
    assert "other (" in caught.value.second
    assert jobs.registry["send"] is send


def test_two_functions_of_one_name_are_told_apart_under_the_same_decorator(
    jobs: JobManager,
) -> None:
    @jobs.job
    @logged
    async def send() -> None: ...

    with pytest.raises(DuplicateJobError):

        @jobs.job(name="send")
        @logged
        async def other() -> None: ...


def test_two_managers_do_not_see_each_others_jobs(jobs: JobManager) -> None:
    other = JobManager(adapters={"memory": MemoryAdapter()})

    @jobs.job
    async def send() -> None: ...

    assert len(other.registry) == 0


async def test_a_module_that_is_imported_again_replaces_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    manager = 'from asyncjobs import *\njobs = JobManager(adapters={"m": MemoryAdapter()})'
    (tmp_path / "again_manager.py").write_text(manager)
    path = tmp_path / "again_jobs.py"
    path.write_text(MODULE.format(package="again", result=1))
    module = importlib.import_module("again_jobs")
    first = module.send

    path.write_text(MODULE.format(package="again", result=22))
    importlib.invalidate_caches()
    module = importlib.reload(module)

    assert module.send is not first
    assert module.jobs.registry["send"] is module.send
    assert await module.send(7) == 22


# Options


@pytest.mark.parametrize(
    ("attempt", "delay"), [(1, 1), (2, 16), (3, 81), (27, 531_441), (28, 604_800), (10**6, 604_800)]
)
def test_the_delay_grows_with_the_fourth_power_up_to_a_week(attempt: int, delay: int) -> None:
    assert retry_delay(attempt) == timedelta(seconds=delay)


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_are_counted_from_one(attempt: int) -> None:
    with pytest.raises(ValueError, match=f"attempt must be at least 1, got {attempt}"):
        retry_delay(attempt)


@pytest.mark.parametrize(
    ("given", "delay"),
    [(5, 5), (0.5, 0.5), (timedelta(minutes=1), 60), (-5, 0), (10**9, MAX_BACKOFF), (None, None)],
    ids=repr,
)
def test_a_backoff_of_ones_own_may_say_anything(given: Any, delay: float | None) -> None:
    error = OSError("gone")
    asked = []

    def backoff(attempt: int, error: BaseException) -> Any:
        asked.append((attempt, error))
        return given

    assert JobOptions(backoff=backoff).delay_after(3, error) == delay
    assert asked == [(3, error)]


@given(st.integers(1, 100), st.floats(0, 10))
@settings(deadline=None)
def test_jitter_only_adds_and_never_more_than_its_share(attempt: int, jitter: float) -> None:
    least = retry_delay(attempt).total_seconds()

    found = JobOptions(jitter=jitter).delay_after(attempt, OSError())

    assert found is not None
    assert least <= found <= min(least * (1 + jitter), MAX_BACKOFF)


def test_the_options_of_a_job_can_be_sent_to_another_process() -> None:
    options = JobOptions(queue="email", priority=5, backoff=_quick)

    assert pickle.loads(pickle.dumps(options)) == options


def _quick(attempt: int, error: BaseException) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (exponential(2, jitter=0), [2, 4, 8, 16]),
        (exponential(timedelta(minutes=1), factor=10, most=500, jitter=0), [60, 500, 500, 500]),
        (linear(5, most=12, jitter=0), [5, 10, 12, 12]),
        (constant(timedelta(seconds=3), jitter=0), [3, 3, 3, 3]),
    ],
)
def test_the_preset_backoffs_grow_as_they_say(backoff: Any, delays: list[float]) -> None:
    assert [backoff(attempt, ValueError()) for attempt in range(1, 5)] == delays
    assert backoff(100_000, ValueError()) <= 7 * 24 * 3600


@pytest.mark.parametrize("make", [exponential, linear, constant])
def test_a_preset_backoff_spreads_and_refuses_what_cannot_be(make: Any) -> None:
    spread = {make(10, jitter=0.5)(1, ValueError()) for _ in range(50)}
    assert len(spread) > 1
    assert all(10 <= delay <= 15 for delay in spread)
    for wrong in (-1, float("nan"), timedelta(days=8)):
        with pytest.raises(ConfigError, match="must be from 0 to 604800 s"):
            make(wrong)
    with pytest.raises(ConfigError, match="jitter"):
        make(1, jitter=-1)
