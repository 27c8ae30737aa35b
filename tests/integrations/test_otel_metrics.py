"""What OpenTelemetry is told of how many and how long, and log lines that name their trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.trace import format_span_id, format_trace_id
from traced import make_traced

from asyncjobs import MemoryAdapter, NewJob
from asyncjobs.integrations.opentelemetry import add_trace_context

if TYPE_CHECKING:
    from traced import Traced

QUEUE, NAME = "messaging.destination.name", "asyncjobs.job.name"


async def measured_jobs() -> Traced:
    """Two attempts of one job and one of another, and one call that was refused."""
    traced = make_traced(MemoryAdapter())

    @traced.jobs.job(max_attempts=2, backoff=lambda attempt, error: 0)
    async def fails() -> None:
        raise ValueError

    @traced.jobs.job
    async def works() -> None: ...

    @traced.jobs.job
    async def refused() -> None: ...

    @refused.hooks.on_enqueue
    def refuse(job: NewJob) -> None:
        raise PermissionError

    async with traced.jobs:
        await traced.later.many([fails(), works(), works()])
        with pytest.raises(PermissionError):
            await traced.later(refused())
        await traced.jobs.workoff()
    return traced


async def test_what_is_stored_is_counted_and_measured() -> None:
    traced = await measured_jobs()
    common = {
        "messaging.system": "asyncjobs",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        QUEUE: "default",
    }
    error = {NAME: "refused", "error.type": "PermissionError"}
    sent = traced.points("messaging.client.sent.messages")
    assert [(told, point.value) for told, point in sent] == [
        ({**common, NAME: "fails"}, 1),
        ({**common, NAME: "works"}, 2),
        ({**common, **error}, 1),
    ]
    took = traced.points("messaging.client.operation.duration")
    assert [(told, point.count) for told, point in took] == [(common, 1), ({**common, **error}, 1)]


async def test_attempts_and_their_waits_are_counted_and_measured() -> None:
    traced = await measured_jobs()
    began = traced.points("messaging.client.consumed.messages")
    assert {told[NAME]: point.value for told, point in began} == {"fails": 2, "works": 2}
    ended = traced.points("messaging.process.duration")
    told = {
        (told[NAME], told["asyncjobs.job.outcome"], told.get("error.type")): point.count
        for told, point in ended
    }
    assert told == {
        ("fails", "retried", "ValueError"): 1,
        ("fails", "failed", "ValueError"): 1,
        ("works", "succeeded", None): 2,
    }
    assert ended[0][1].explicit_bounds[-1] == 14_400
    waited = traced.points("asyncjobs.job.wait.duration")
    assert {told[NAME]: point.count for told, point in waited} == {"fails": 2, "works": 2}


async def test_the_jobs_lines_and_the_workers_about_it_name_the_trace() -> None:
    lines = structlog.testing.LogCapture()
    logger: Any = structlog.wrap_logger(
        None,
        processors=[add_trace_context, lines],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    traced = make_traced(MemoryAdapter(), logger=logger)

    @traced.jobs.job(max_attempts=2, backoff=lambda attempt, error: 0)
    async def work() -> None:
        logger.info("work.begun")
        logger.info("work.quoted", trace_id="of another")
        raise ValueError

    async with traced.jobs:
        await traced.later(work())
        await traced.jobs.workoff()
    first, second = traced.spans("run work")
    told = {
        (line["event"], line["trace_id"], line.get("span_id"))
        for line in lines.entries
        if "trace_id" in line
    }
    trace_id = format_trace_id(first.context.trace_id)
    spans = [format_span_id(span.context.span_id) for span in (first, second)]
    assert told == {
        *[("work.begun", trace_id, span) for span in spans],
        *[("work.quoted", "of another", span) for span in spans],
        ("job.retried", trace_id, spans[0]),
        ("job.failed", trace_id, spans[1]),
    }
    assert any("trace_id" not in line for line in lines.entries)
