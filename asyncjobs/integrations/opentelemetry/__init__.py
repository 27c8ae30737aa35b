"""Traces and metrics of jobs by OpenTelemetry, after its conventions for messaging.

::

    jobs = JobManager(...)
    instrument(jobs)

Storing a call is a span, each attempt is one, and what an attempt waited for is one between
them. The trace goes with the job in its row, so a request, the job that it scheduled and the
job which that one scheduled are one trace. Needs the extra ``otel``; what becomes of the
spans is up to the SDK, and without one nothing is recorded and nothing goes into the row.
"""

from __future__ import annotations

try:
    import opentelemetry  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "asyncjobs.integrations.opentelemetry needs OpenTelemetry: "
        'pip install "asyncjobs-pg[otel]"',
        name=error.name,
    ) from error

from asyncjobs.integrations.opentelemetry.instrumentation import instrument
from asyncjobs.integrations.opentelemetry.logs import add_trace_context

__all__ = ["add_trace_context", "instrument"]
