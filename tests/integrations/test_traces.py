"""Spans of storing, waiting and attempts, and the trace that holds them together."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import SpanKind, StatusCode
from traced import Traced, linked_to, make_traced, parent_of

from asyncjobs import (
    Cancel,
    ConfigError,
    JobManager,
    MemoryAdapter,
    NewJob,
    PostgresAdapter,
    Snooze,
    WorkerGroup,
    current_job,
)
from asyncjobs.integrations.opentelemetry import instrument
from tests.worker import process_jobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=["memory", "postgres"])
async def traced(request: pytest.FixtureRequest) -> AsyncIterator[Traced]:
    """An open manager on each storage."""
    is_memory = request.param == "memory"
    storage = MemoryAdapter() if is_memory else PostgresAdapter(request.getfixturevalue("dsn"))
    found = make_traced(storage)
    async with found.jobs:
        yield found


@pytest.fixture
async def in_memory() -> AsyncIterator[Traced]:
    """An open manager."""
    found = make_traced(MemoryAdapter())
    async with found.jobs:
        yield found


async def test_a_request_its_job_and_the_jobs_of_that_are_one_trace(traced: Traced) -> None:
    jobs, later, app = traced.jobs, traced.later, FastAPI()

    @jobs.job
    async def first() -> None:
        await later(second())

    @jobs.job
    def second() -> None:
        later.from_thread(third())

    @jobs.job
    async def third() -> None: ...

    @app.post("/orders")
    async def create() -> int:
        return (await later(first())).id

    FastAPIInstrumentor.instrument_app(app, tracer_provider=traced.provider)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        assert (await client.post("/orders")).status_code == 200
    await jobs.workoff()

    chain = ["POST /orders"]
    for name in ("first", "second", "third"):
        chain += [f"enqueue {name}", f"run {name}"]
    found = [traced.span(name) for name in chain]
    for outer, inner in itertools.pairwise(found):
        assert parent_of(inner) == outer.context.span_id, inner.name
    for name in ("first", "second", "third"):
        wait, stored = traced.span(f"wait {name}"), traced.span(f"enqueue {name}")
        assert parent_of(wait) == stored.context.span_id
        assert wait.start_time <= wait.end_time == traced.span(f"run {name}").start_time
    assert len({span.context.trace_id for span in traced.spans()}) == 1


async def test_spans_say_what_they_stand_for(traced: Traced) -> None:
    @traced.jobs.job(priority=7, max_attempts=3)
    async def work() -> None: ...

    job = await traced.later(work())
    await traced.jobs.workoff()
    stored, run = traced.span("enqueue work"), traced.span("run work")
    assert (stored.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert dict(stored.attributes) == {
        "messaging.system": "asyncjobs",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "default",
        "messaging.message.id": str(job.id),
        "asyncjobs.job.name": "work",
        "asyncjobs.job.priority": 7,
    }
    told = dict(run.attributes)
    assert told.pop("asyncjobs.job.wait") >= 0
    assert told == {
        "messaging.system": "asyncjobs",
        "messaging.operation.name": "run",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.message.id": str(job.id),
        "asyncjobs.job.name": "work",
        "asyncjobs.job.attempt": 1,
        "asyncjobs.job.max_attempts": 3,
        "asyncjobs.job.outcome": "succeeded",
    }
    assert linked_to(run) == [stored.context.span_id]
    assert run.status.status_code is StatusCode.UNSET


async def test_each_attempt_is_a_span_that_links_to_the_one_that_stored_it(
    traced: Traced,
) -> None:
    @traced.jobs.job(max_attempts=2, backoff=lambda attempt, error: 0)
    async def work() -> None:
        raise ValueError(f"attempt {current_job().attempt}")

    await traced.later(work())
    await traced.jobs.workoff()
    stored, (first, last) = traced.span("enqueue work"), traced.spans("run work")
    for span, outcome, message in ((first, "retried", "attempt 1"), (last, "failed", "attempt 2")):
        assert linked_to(span) == [parent_of(span)] == [stored.context.span_id]
        assert span.attributes["asyncjobs.job.outcome"] == outcome
        assert span.attributes["error.type"] == "ValueError"
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == f"ValueError: {message}"
        [event] = span.events
        assert event.attributes["exception.message"] == message
        assert "in work" in event.attributes["exception.stacktrace"]


async def test_a_batch_is_one_span_that_all_its_jobs_link_to(traced: Traced) -> None:
    @traced.jobs.job
    async def one(number: int) -> None: ...

    @traced.jobs.job
    async def two() -> None: ...

    await traced.later.many([one(1), one(2), two()])
    await traced.later.many([])
    await traced.jobs.workoff()
    stored = traced.span("enqueue")
    assert stored.attributes["messaging.batch.message_count"] == 3
    assert stored.attributes["messaging.destination.name"] == "default"
    assert "asyncjobs.job.name" not in stored.attributes
    runs = [*traced.spans("run one"), *traced.spans("run two")]
    assert [linked_to(run) for run in runs] == [[stored.context.span_id]] * 3


async def test_linked_attempts_have_traces_of_their_own() -> None:
    traced = make_traced(MemoryAdapter(), linked=True)

    @traced.jobs.job
    async def work() -> None: ...

    async with traced.jobs:
        await traced.later(work())
        await traced.jobs.workoff()
    stored, run = traced.span("enqueue work"), traced.span("run work")
    assert run.parent is None
    assert run.context.trace_id != stored.context.trace_id
    assert linked_to(run) == [stored.context.span_id]
    assert traced.spans("wait work") == []


async def test_ends_that_are_no_failures_are_told_and_are_no_errors(in_memory: Traced) -> None:
    @in_memory.jobs.job
    async def work(end: str) -> None:
        raise Cancel("nobody") if end == "cancel" else Snooze(3600)

    for end in ("cancel", "snooze"):
        await in_memory.later(work(end))
        await in_memory.jobs.workoff()
    cancelled, snoozed = in_memory.spans("run work")
    assert cancelled.attributes["asyncjobs.job.outcome"] == "cancelled"
    assert snoozed.attributes["asyncjobs.job.outcome"] == "snoozed"
    assert snoozed.attributes["asyncjobs.job.retry_delay"] == 3600
    assert {span.status.status_code for span in (cancelled, snoozed)} == {StatusCode.UNSET}


async def test_an_attempt_that_is_cut_off_has_a_span_that_says_so(in_memory: Traced) -> None:
    started = asyncio.Event()

    @in_memory.jobs.job
    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    job, stop = await in_memory.later(work()), asyncio.Event()
    working = asyncio.create_task(in_memory.jobs.work(stop))
    with anyio.fail_after(60):
        await started.wait()
        await in_memory.later.cancel(job.id)
        while not in_memory.spans("run work"):
            await asyncio.sleep(0.01)
        stop.set()
        await working
    assert in_memory.span("run work").attributes["asyncjobs.job.outcome"] == "cancelled"


async def test_an_attempt_that_fails_before_it_begins_has_a_span(in_memory: Traced) -> None:
    @in_memory.jobs.job
    async def work(number: int) -> None: ...

    await in_memory.jobs.adapters["main"].enqueue([NewJob("work", "default", 50, "{}")])
    await in_memory.jobs.workoff()
    run = in_memory.span("run work")
    assert run.attributes["error.type"] == "asyncjobs.errors.attempts.StoredArgumentsError"
    assert run.parent is None


async def test_an_error_that_cannot_tell_its_message_still_ends_the_span(
    in_memory: Traced,
) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no message")

    @in_memory.jobs.job(max_attempts=1)
    async def work() -> None:
        raise MuteError

    job = await in_memory.later(work())
    await in_memory.jobs.workoff()
    run = in_memory.span("run work")
    assert run.status.status_code is StatusCode.ERROR
    assert run.attributes["asyncjobs.job.outcome"] == "failed"
    record = await in_memory.later.get(job.id)
    assert record is not None
    assert record.state == "failed"


async def test_what_was_not_stored_is_an_error_of_its_span(in_memory: Traced) -> None:
    @in_memory.jobs.job
    async def work() -> None: ...

    @work.hooks.on_enqueue
    def refuse(job: NewJob) -> None:
        raise PermissionError(job.name)

    with pytest.raises(PermissionError):
        await in_memory.later(work())
    stored = in_memory.span("enqueue work")
    assert stored.status.description == "PermissionError: work"
    assert "messaging.message.id" not in stored.attributes


async def test_a_job_that_exists_already_is_told(traced: Traced) -> None:
    @traced.jobs.job(unique=True)
    async def work() -> None: ...

    first = await traced.later(work())
    second = await traced.later(work())
    assert second.id == first.id
    told = [span.attributes.get("asyncjobs.job.is_new") for span in traced.spans("enqueue work")]
    assert told == [None, False]


async def test_the_runs_of_a_schedule_have_traces_of_their_own(in_memory: Traced) -> None:
    @in_memory.jobs.job
    async def work() -> None: ...

    with in_memory.provider.get_tracer("test").start_as_current_span("setup"):
        schedule = await in_memory.later(work(), every=3600)
    await in_memory.later.schedules.run_now(schedule.name)
    await in_memory.jobs.workoff()
    run = in_memory.span("run work")
    assert run.parent is None
    assert run.attributes["asyncjobs.schedule.name"] == schedule.name


async def test_nothing_goes_into_the_row_where_nothing_traces() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()}, workers=[WorkerGroup(adapter="main")])
    later = jobs.create_scheduler(adapter="main")
    instrument(jobs)
    ran: list[int] = []

    @jobs.job
    async def work() -> None:
        ran.append(1)

    async with jobs:
        job = await later(work())
        record = await later.get(job.id)
        await jobs.workoff()
    assert record is not None
    assert record.extra is None
    assert ran == [1]


async def test_a_trace_that_is_not_sampled_stays_so_in_its_jobs(in_memory: Traced) -> None:
    @in_memory.jobs.job
    async def work() -> None:
        assert not trace.get_current_span().get_span_context().trace_flags.sampled

    unsampled = trace.SpanContext(1, 2, is_remote=True)
    token = attach(trace.set_span_in_context(trace.NonRecordingSpan(unsampled)))
    job = await in_memory.later(work())
    detach(token)
    await in_memory.jobs.workoff()
    record = await in_memory.later.get(job.id)
    assert record is not None
    assert record.state == "succeeded"
    assert json.loads(record.extra or "")["trace"]["traceparent"].startswith(f"00-{1:032x}-")
    assert in_memory.spans() == []


async def test_baggage_goes_with_the_job_as_far_as_it_is_small(traced: Traced) -> None:
    seen: list[object] = []

    @traced.jobs.job
    async def work() -> None:
        seen.append(baggage.get_baggage("tenant"))

    for tenant in ("acme", "x" * 4_000):
        token = attach(baggage.set_baggage("tenant", tenant))
        await traced.later(work(), meta={"kept": True})
        detach(token)
    await traced.jobs.workoff()
    assert seen == ["acme", None]
    assert all(span.parent for span in traced.spans("run work"))


async def test_spans_of_the_job_itself_are_inside_of_its_attempt(in_memory: Traced) -> None:
    tracer = in_memory.provider.get_tracer("test")

    @in_memory.jobs.job
    async def work() -> None:
        with tracer.start_as_current_span("in a coroutine"):
            await asyncio.sleep(0)

    @in_memory.jobs.job
    def threaded() -> None:
        with tracer.start_as_current_span("in a thread"):
            pass

    @in_memory.jobs.hooks.after_success
    async def afterwards(job: Any, result: Any) -> None:
        with tracer.start_as_current_span(f"after {job.name}"):
            pass

    await in_memory.later.many([work(), threaded()])
    await in_memory.jobs.workoff()
    for inner, outer in (("in a coroutine", "work"), ("in a thread", "threaded")):
        span = in_memory.span(f"run {outer}")
        assert parent_of(in_memory.span(inner)) == span.context.span_id
        assert parent_of(in_memory.span(f"after {outer}")) == span.context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


async def test_the_process_of_a_job_goes_on_with_the_trace(in_memory: Traced) -> None:
    in_memory.jobs.registry.add(process_jobs.tell_span)
    job = await in_memory.later(process_jobs.tell_span())
    await in_memory.jobs.workoff()
    run = in_memory.span("run tell_span")
    assert await job.result(20) == (run.context.trace_id, run.context.span_id)


async def test_instrumenting_again_replaces_what_was_said_and_doubles_nothing(
    in_memory: Traced,
) -> None:
    instrument(in_memory.jobs, tracer_provider=in_memory.provider, linked=True)

    @in_memory.jobs.job
    async def work() -> None: ...

    await in_memory.later(work())
    await in_memory.jobs.workoff()
    assert in_memory.span("enqueue work") is not None
    assert in_memory.span("run work").parent is None


def test_only_managers_are_instrumented_and_linked_or_not() -> None:
    with pytest.raises(ConfigError, match="instrument takes a JobManager, got 'jobs'"):
        instrument("jobs")  # type: ignore[arg-type]
    jobs = JobManager(adapters={"memory": MemoryAdapter()})
    with pytest.raises(ConfigError, match="linked must be True or False, got 'no'"):
        instrument(jobs, linked="no")  # type: ignore[arg-type]
