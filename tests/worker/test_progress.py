"""Progress and events: told live, stored seldom, and true to the end."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from asyncjobs import (
    JobContext,
    JobEvent,
    JobManager,
    JobState,
    MemoryAdapter,
    PostgresAdapter,
    ProgressError,
    WorkerGroup,
    current_job,
)
from asyncjobs.errors import StorageUnavailableError
from asyncjobs.worker import progress
from asyncjobs.worker.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.types import Progress

HOUR = timedelta(hours=1)
PATIENCE = 20


@pytest.fixture
async def far(bench: Any, adapter: Any) -> AsyncIterator[Any]:
    """A scheduler as another process has it: with a manager and connections of its own."""
    if isinstance(adapter, MemoryAdapter):
        yield bench.jobs.create_scheduler(adapter="main")
        return
    other = JobManager(adapters={"main": PostgresAdapter(adapter._dsn)})
    async with other:
        yield other.create_scheduler(adapter="main")


@pytest.fixture
def reported(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[Progress]]:
    """What was sent to the storage, statement by statement."""
    kind = "asyncjobs.storage.memory_results.MemoryResults"
    if isinstance(adapter, PostgresAdapter):
        kind = "asyncjobs.storage.postgres.results.Results"
    module, _, name = kind.rpartition(".")
    results = getattr(__import__(module, fromlist=[name]), name)
    inner, seen = results.report, []

    async def report(self: Any, worker: int, reports: Any) -> None:
        seen.append(list(reports))
        await inner(self, worker, reports)

    monkeypatch.setattr(results, "report", report)
    return seen


@pytest.fixture
def keepers(monkeypatch: pytest.MonkeyPatch) -> list[Keeper]:
    """The keepers of all workers."""
    made, inner = [], Keeper.__init__

    def init(self: Keeper, *args: Any, **kwargs: Any) -> None:
        inner(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(Keeper, "__init__", init)
    return made


async def next_where(events: AsyncIterator[JobEvent], **facts: Any) -> JobEvent:
    with anyio.fail_after(PATIENCE):
        async for event in events:
            if all(getattr(event, name) == fact for name, fact in facts.items()):
                return event
    raise AssertionError(f"the events ended without {facts}")


async def test_events_tell_every_state_and_the_progress_to_the_end(bench: Any, far: Any) -> None:
    said: asyncio.Queue[float] = asyncio.Queue()

    @bench.jobs.job(retain=HOUR)
    async def read() -> int:
        while (done := await said.get()) < 1:
            current_job().progress(done, f"{done:.0%} are read")
        return 7

    job = await bench.later(read())
    events = (await far.job(job.id)).events()
    assert await anext(events) == JobEvent(job.id, JobState.AVAILABLE)
    async with bench.working():
        await next_where(events, state=JobState.RUNNING, attempt=1, progress=None)
        for done in (0.25, 0.5):
            said.put_nowait(done)
            event = await next_where(events, progress=done)
            assert event.message == f"{done:.0%} are read"
        said.put_nowait(1)
        last = await next_where(events, state=JobState.SUCCEEDED)
        assert last == JobEvent(job.id, JobState.SUCCEEDED, 1, 0.5, "50% are read")
        with pytest.raises(StopAsyncIteration):
            await anext(events)


@pytest.mark.parametrize("running", [False, True], ids=["before", "while"])
async def test_a_job_that_is_not_kept_is_told_as_succeeded_if_it_was_followed(
    make_bench: Any, running: bool, keepers: list[Keeper]
) -> None:
    bench = await make_bench()
    begun, end = asyncio.Event(), asyncio.Event()

    @bench.jobs.job
    async def plain() -> None:
        begun.set()
        await end.wait()

    job = await bench.later(plain())
    events = job.events()
    if not running:
        await next_where(events, state=JobState.AVAILABLE)
    async with bench.working():
        await begun.wait()
        await next_where(events, state=JobState.RUNNING)
        if running:  # the worker learns of it by a notification
            with anyio.fail_after(PATIENCE):
                while not any(job.id in keeper._watched for keeper in keepers):
                    await asyncio.sleep(0.01)
        end.set()
        await next_where(events, state=JobState.SUCCEEDED)
    assert (await bench.record(job.id)).state == "succeeded"  # for a minute


async def test_a_job_of_which_nothing_is_stored_ends_the_events_without_a_state(
    make_bench: Any,
) -> None:
    bench = await make_bench()

    @bench.jobs.job
    async def plain() -> None: ...

    async with bench.working():
        job = await bench.later(plain())
        await bench.until_gone(job.id)
        with anyio.fail_after(PATIENCE):
            assert [event async for event in job.events()] == [JobEvent(job.id, None)]


async def test_events_tell_of_retries_and_of_the_failure(bench: Any, far: Any) -> None:
    @bench.jobs.job(backoff=lambda *_: 3600)
    async def fail() -> None:
        raise ValueError

    jobs = [await bench.later(fail()) for _ in range(2)]
    retried, cancelled = [(await far.job(job.id)).events() for job in jobs]
    for events in (retried, cancelled):
        await next_where(events, state=JobState.AVAILABLE)
    async with bench.working():
        for events in (retried, cancelled):
            await next_where(events, state=JobState.SCHEDULED, attempt=1)
        await bench.later.cancel(jobs[1].id)
        assert (await next_where(cancelled, state=JobState.CANCELLED)).is_last
    await retried.aclose()


async def test_one_that_is_replaced_is_followed_to_its_end(bench: Any, far: Any) -> None:
    @bench.jobs.job
    async def note(number: int) -> None: ...

    job = await bench.later(note(1), unique="one", wait=60)
    events = (await far.job(job.id)).events()
    await next_where(events, state=JobState.SCHEDULED)
    again = await bench.later(note(2), unique="one", on_conflict="replace")
    assert again.id == job.id
    [status] = await bench.storage.results.look([job.id])
    assert status.watched
    await next_where(events, state=JobState.AVAILABLE)
    async with bench.working():
        assert (await next_where(events, state=JobState.SUCCEEDED)).is_last


async def test_events_of_a_job_that_failed_say_so(bench: Any, far: Any) -> None:
    @bench.jobs.job(max_attempts=1)
    async def fail() -> None:
        raise ValueError

    job = await bench.later(fail())
    events = (await far.job(job.id)).events()
    await next_where(events, state=JobState.AVAILABLE)
    async with bench.working():
        assert (await next_where(events, state=JobState.FAILED, attempt=1)).is_last


async def test_a_plain_function_tells_its_progress_from_its_thread(bench: Any) -> None:
    go_on = threading.Event()

    @bench.jobs.job(retain=HOUR)
    def compute() -> None:
        current_job().progress(0.5)
        assert go_on.wait(PATIENCE)

    job = await bench.later(compute())
    async with bench.working():
        event = await next_where(job.events(), progress=0.5)
        assert event.message is None
        go_on.set()
        await job.result(PATIENCE)


async def test_a_million_words_are_a_few_statements_and_the_last_one_counts(
    bench: Any, reported: list[list[Progress]]
) -> None:
    @bench.jobs.job(retain=HOUR)
    async def count(many: int) -> None:
        for n in range(many):
            current_job().progress(n / many, str(n))
            if n % 1000 == 0:
                await asyncio.sleep(0)

    jobs = await bench.later.many([count(100_000) for _ in range(3)])
    began = asyncio.get_running_loop().time()
    async with bench.working():
        await bench.later.wait_all(jobs, timeout=60)
    took = asyncio.get_running_loop().time() - began
    assert len(reported) <= took / progress.PAUSE + 3
    for job in jobs:
        stored = json.loads((await bench.record(job.id)).progress)
        assert stored == {"done": 0.99999, "message": "99999"}


async def test_the_last_word_of_a_failed_job_is_kept(bench: Any) -> None:
    @bench.jobs.job(max_attempts=1)
    async def fail() -> None:
        for page in range(1, 4):
            current_job().progress(page / 10, f"page {page}")
        raise ValueError

    async with bench.working():
        job = await bench.later(fail())
        record = await bench.until(job.id, "failed")
    assert json.loads(record.progress) == {"done": 0.3, "message": "page 3"}


async def test_progress_of_jobs_that_go_costs_no_row(make_bench: Any) -> None:
    bench = await make_bench()

    @bench.jobs.job
    async def tell() -> None:
        current_job().progress(1, "done")

    async with bench.working():
        job = await bench.later(tell())
        await bench.until_gone(job.id)


@pytest.mark.parametrize("done", [-0.01, 1.01, float("nan"), float("inf"), "0.5", None, True])
async def test_progress_goes_from_zero_to_one(bench: Any, done: Any) -> None:
    errors: list[Exception] = []

    @bench.jobs.job
    async def tell() -> None:
        try:
            current_job().progress(done)
        except ProgressError as error:
            errors.append(error)

    async with bench.working():
        job = await bench.later(tell())
        record = await bench.until(job.id, "succeeded")
    assert record.progress is None
    assert str(errors[0]) == f"progress goes from 0 to 1, with a text: got {done!r}"


async def test_a_message_may_hold_anything_and_is_cut_off(bench: Any) -> None:
    @bench.jobs.job(retain=HOUR)
    async def tell(long: bool) -> None:
        current_job().progress(0.5, "x" * 10_000 if long else "a\0b\ud800ü")

    async with bench.working():
        jobs = [await bench.later(tell(long)) for long in (True, False)]
        await bench.later.wait_all(jobs, timeout=PATIENCE)
    long, odd = [json.loads((await bench.record(job.id)).progress) for job in jobs]
    assert long["message"] == "x" * (progress.MAX_MESSAGE - 1) + "…"
    assert odd["message"] == "a\\0b\\ud800ü"


async def test_what_odd_numbers_and_texts_do_they_do_to_their_job_alone(bench: Any) -> None:
    class Lazy(str):
        def __len__(self) -> int:
            raise LookupError

        __getitem__ = replace = encode = __str__ = __len__  # type: ignore[assignment]

    class Odd(float):
        def __float__(self) -> float:
            raise LookupError

    @bench.jobs.job(retain=HOUR)
    async def tell() -> None:
        current_job().progress(0.5, Lazy("half"))

    @bench.jobs.job(retain=HOUR, max_attempts=1)
    async def fail() -> None:
        current_job().progress(Odd(0.5))

    async with bench.working():
        told, failed = await bench.later(tell()), await bench.later(fail())
        record = await bench.until(told.id, "succeeded")
        await bench.until(failed.id, "failed")
    assert json.loads(record.progress) == {"done": 0.5, "message": "half"}
    assert "worker.failed" not in {line["event"] for line in bench.log}


async def test_a_text_that_is_none_is_refused() -> None:
    context = JobContext(1, "a", "default", 1, 1, None, 1.0, 0.0)  # type: ignore[arg-type]
    with pytest.raises(ProgressError, match="got 5 as the text"):
        context.progress(0.5, 5)  # type: ignore[arg-type]


async def test_progress_is_told_again_after_an_outage(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = type(bench.storage.results)
    inner, failures = results.report, []

    async def report(self: Any, worker: int, reports: Any) -> None:
        if not failures:
            failures.append(1)
            raise StorageUnavailableError("gone")
        await inner(self, worker, reports)

    monkeypatch.setattr(results, "report", report)
    end = asyncio.Event()

    @bench.jobs.job(retain=HOUR)
    async def tell() -> None:
        current_job().progress(0.5)
        await end.wait()

    job = await bench.later(tell())
    async with bench.working():
        await next_where(job.events(), progress=0.5)
        end.set()
    assert any(line["event"] == "progress.delayed" for line in bench.log)


async def test_whoever_waits_outlasts_an_outage(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = type(bench.storage.results)
    inner, failures = results.look, [StorageUnavailableError("gone"), RuntimeError("a bug")]

    async def look(self: Any, ids: Any) -> Any:
        if failures:
            raise failures.pop()
        return await inner(self, ids)

    monkeypatch.setattr(results, "look", look)

    @bench.jobs.job(retain=HOUR)
    async def seven() -> int:
        return 7

    async with bench.working():
        assert await (await bench.later(seven())).result(PATIENCE) == 7
    assert not failures


async def test_events_and_results_come_by_polling_alone(dsn: str) -> None:
    jobs = JobManager(
        adapters={"main": PostgresAdapter(dsn, listen=False)},
        workers=[WorkerGroup(adapter="main", sleep_delay=0.05)],
    )
    later = jobs.create_scheduler(adapter="main")

    @jobs.job(retain=HOUR)
    async def tell() -> int:
        current_job().progress(0.5)
        await asyncio.sleep(0)
        return 7

    stop = asyncio.Event()
    async with jobs:
        working = asyncio.create_task(jobs.work(stop))
        job = await later(tell())
        assert await job.result(PATIENCE) == 7
        events = [event async for event in job.events()]
        stop.set()
        await working
    assert events == [JobEvent(job.id, JobState.SUCCEEDED, 1, 0.5)]


async def test_nobody_is_notified_of_a_job_that_nobody_watches(bench: Any, far: Any) -> None:
    heard: list[Any] = []

    @bench.jobs.job(retain=HOUR)
    async def tell() -> int:
        current_job().progress(0.5)
        return 7

    quiet = await bench.later(tell())
    followed = await bench.later(tell())
    listening = asyncio.create_task(bench.storage.listen(heard.append))
    events = (await far.job(followed.id)).events()
    await anext(events)
    async with bench.working():
        await next_where(events, state=JobState.SUCCEEDED)
        await bench.until(quiet.id, "succeeded")
        marker = await bench.later(tell())
        assert await marker.result(PATIENCE) == 7
    listening.cancel()
    changed = {job for signal in heard for job in signal.changed}
    assert followed.id in changed
    assert quiet.id not in changed
