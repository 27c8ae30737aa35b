"""Puts the spans and the metrics around the jobs of a manager."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opentelemetry.trace import get_tracer

from asyncjobs.config import check_flag
from asyncjobs.errors import ConfigError
from asyncjobs.integrations.opentelemetry.attempts import AttemptTracing
from asyncjobs.integrations.opentelemetry.attributes import NAME
from asyncjobs.integrations.opentelemetry.carriage import continue_trace
from asyncjobs.integrations.opentelemetry.enqueueing import EnqueueTracing
from asyncjobs.integrations.opentelemetry.metrics import JobMetrics
from asyncjobs.manager import JobManager
from asyncjobs.version import installed_version

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


_instrumented: WeakKeyDictionary[JobManager, tuple[EnqueueTracing, AttemptTracing]] = (
    WeakKeyDictionary()
)


def instrument(
    jobs: JobManager,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    linked: bool = False,
) -> None:
    """Trace and measure the jobs of *jobs*.

    To be called where the manager is made, because a worker looks up what runs around a job
    at its first attempt. What providers are not given are OpenTelemetry's global ones, also if
    those are set later. With *linked* each attempt begins a trace of its own, which links to
    the span that stored the job, instead of being a part of that one's trace: for jobs that
    run long after, and for tracing that samples whole traces.

    Calling it again replaces the providers and *linked*. Raises ConfigError for what is no
    JobManager, and unless *linked* is True or False.
    """
    if not isinstance(jobs, JobManager):
        raise ConfigError(f"instrument takes a JobManager, got {jobs!r}")
    check_flag("linked", linked)
    tracer = get_tracer(NAME, installed_version() or "", tracer_provider)
    metrics = JobMetrics(meter_provider)
    if known := _instrumented.get(jobs):
        enqueueing, attempts = known
        enqueueing.use(tracer, metrics)
        attempts.use(tracer, metrics, linked=linked)
        return
    enqueueing = EnqueueTracing(tracer, metrics)
    attempts = AttemptTracing(tracer, metrics, jobs.registry, linked=linked)
    _instrumented[jobs] = enqueueing, attempts
    jobs.hooks.enqueue_middleware(enqueueing.around_storing)
    jobs.hooks.middleware(attempts.around_attempt)
    jobs.hooks.on_outcome(attempts.end)
    jobs.hooks.enter_process(continue_trace)
