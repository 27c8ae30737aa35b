"""The spans of attempts, and of what each waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from opentelemetry.context import attach
from opentelemetry.trace import INVALID_SPAN, Link, SpanKind, get_current_span, set_span_in_context

from asyncjobs.integrations.opentelemetry import attributes as named
from asyncjobs.integrations.opentelemetry.carriage import context_of, hand_down

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from asyncjobs.context import JobContext
    from asyncjobs.hooks import AttemptEnd, Perform
    from asyncjobs.integrations.opentelemetry.metrics import JobMetrics
    from asyncjobs.registry import JobRegistry

FAILED = frozenset({"failed", "retried"})


class Running(NamedTuple):
    """The span of an attempt that runs."""

    span: Span
    context: Context
    """What the job runs in: the span, and what came along with the trace."""
    began: float
    """By `time.perf_counter`."""


class AttemptTracing:
    """Makes a span of each attempt: part of the trace that scheduled it, or linked to that.

    The span ends when it is decided what became of the attempt, so that it can say that.
    """

    def __init__(
        self, tracer: Tracer, metrics: JobMetrics, registry: JobRegistry, *, linked: bool
    ) -> None:
        self._registry = registry
        self._running: WeakKeyDictionary[JobContext, Running] = WeakKeyDictionary()
        self.use(tracer, metrics, linked=linked)

    def use(self, tracer: Tracer, metrics: JobMetrics, *, linked: bool) -> None:
        """Trace and measure by these from now on."""
        self._tracer, self._metrics, self._linked = tracer, metrics, linked

    async def around_attempt(self, job: JobContext, perform: Perform) -> Any:
        """Run an attempt inside of its span."""
        running = self._running[job] = self._begin(job)
        # For the rest of the attempt's task, which nobody else uses: the hooks after it and
        # the worker's last word about it belong to the trace too.
        attach(running.context)
        if self._registry[job.name].options.process:
            hand_down(job, running.context)
        return await perform(job)

    def end(self, job: JobContext, end: AttemptEnd) -> None:
        """End the attempt's span. One that failed before it began has a span all the same."""
        running = self._running.pop(job, None)
        if running is None:
            if end.error is None:
                return
            running = self._begin(job)
        span, failed = running.span, end.word in FAILED
        try:
            span.set_attribute(named.OUTCOME, end.word)
            if end.delay:
                span.set_attribute(named.RETRY_DELAY, end.delay)
            if failed and end.error is not None:
                named.mark_failed(span, end.error)
        finally:
            span.end()
            seconds = time.perf_counter() - running.began
            error = end.error if failed else None
            self._metrics.ended(job, end.word, seconds, error, running.context)

    def _begin(self, job: JobContext) -> Running:
        came_with = context_of(job)
        producer = get_current_span(came_with).get_span_context()
        began = job.began or time.time()
        wait = max(began - job.run_at.timestamp(), 0.0) if job.began else None
        parent = set_span_in_context(INVALID_SPAN, came_with) if self._linked else came_with
        span = self._tracer.start_span(
            f"run {job.name}",
            context=parent,
            kind=SpanKind.CONSUMER,
            links=[Link(producer)] if producer.is_valid else (),
            attributes=named.of_attempt(job),
            start_time=_nanoseconds(began),
        )
        if wait is not None and span.is_recording():
            span.set_attribute(named.WAIT, wait)
            if not self._linked and producer.is_valid:
                self._tell_wait(job, came_with, began - wait, began)
        context = set_span_in_context(span, came_with)
        self._metrics.began(job, wait, context)
        return Running(span, context, time.perf_counter())

    def _tell_wait(self, job: JobContext, parent: Context, due: float, began: float) -> None:
        told = {key: value for key, value in named.of_attempt(job).items() if key in _OF_WAIT}
        span = self._tracer.start_span(
            f"wait {job.name}", context=parent, attributes=told, start_time=_nanoseconds(due)
        )
        span.end(_nanoseconds(began))


_OF_WAIT = {named.SYSTEM, named.QUEUE, named.JOB_ID, named.JOB_NAME, named.ATTEMPT}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
