"""The span of storing calls, which goes with them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from asyncjobs.integrations.opentelemetry import attributes as named
from asyncjobs.integrations.opentelemetry.carriage import headers_of, with_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import Span, Tracer

    from asyncjobs.hooks import Store
    from asyncjobs.integrations.opentelemetry.metrics import JobMetrics
    from asyncjobs.scheduled import ScheduledJob
    from asyncjobs.types import NewJob


class EnqueueTracing:
    """Makes one span of each `later`, and one of each `later.many`."""

    def __init__(self, tracer: Tracer, metrics: JobMetrics) -> None:
        self.use(tracer, metrics)

    def use(self, tracer: Tracer, metrics: JobMetrics) -> None:
        """Trace and measure by these from now on."""
        self._tracer, self._metrics = tracer, metrics

    async def around_storing(self, rows: Sequence[NewJob], store: Store) -> list[ScheduledJob[Any]]:
        """Store *rows*, with the trace in each of them."""
        if not rows:
            return await store(rows)
        told = named.of_rows(rows)
        name = f"enqueue {told[named.JOB_NAME]}" if named.JOB_NAME in told else "enqueue"
        began, failure = time.perf_counter(), None
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.PRODUCER,
            attributes=told,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                headers = headers_of()
                traced = [with_headers(row, headers) for row in rows] if headers else rows
                stored = await store(traced)
                _tell_stored(span, stored)
                return stored
            except BaseException as error:
                failure = error
                named.mark_failed(span, error)
                raise
            finally:
                self._metrics.sent(rows, told, time.perf_counter() - began, failure)


def _tell_stored(span: Span, stored: Sequence[ScheduledJob[Any]]) -> None:
    if len(stored) == 1:
        [job] = stored
        span.set_attribute(named.JOB_ID, str(job.id))
        span.set_attribute(named.QUEUE, job.queue)
        if not job.is_new:
            span.set_attribute(named.IS_NEW, False)
