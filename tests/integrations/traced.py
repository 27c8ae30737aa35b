"""What the tests of OpenTelemetry share: managers whose spans and measurements are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncjobs import JobManager, WorkerGroup
from asyncjobs.integrations.opentelemetry import instrument

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from asyncjobs.scheduler import Scheduler
    from asyncjobs.storage.protocol import Storage


@dataclass
class Traced:
    """An instrumented manager, and what it told."""

    jobs: JobManager
    later: Scheduler
    provider: TracerProvider
    meters: MeterProvider
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """The spans that ended, in the order of their beginning."""
        found = [span for span in self.exporter.get_finished_spans() if name in {None, span.name}]
        return sorted(found, key=lambda span: span.start_time or 0)

    def span(self, name: str) -> ReadableSpan:
        """The only span of its name."""
        [span] = self.spans(name)
        return span

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """What was measured by this name: attributes and data point."""
        data = self.reader.get_metrics_data()
        return [
            (dict(point.attributes or {}), point)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def make_traced(storage: Storage, *, linked: bool = False, logger: Any = None) -> Traced:
    """Return a manager on *storage* with one worker group, whose jobs are instrumented."""
    jobs = JobManager(
        adapters={"main": storage},
        workers=[WorkerGroup(adapter="main", delete_successful_jobs=False)],
        logger=logger,
    )
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider, meters = TracerProvider(), MeterProvider([reader])
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(jobs, tracer_provider=provider, meter_provider=meters, linked=linked)
    later = jobs.create_scheduler(adapter="main")
    return Traced(jobs, later, provider, meters, exporter, reader)


def parent_of(span: ReadableSpan) -> int | None:
    """The number of the span that *span* is a part of."""
    return None if span.parent is None else span.parent.span_id


def linked_to(span: ReadableSpan) -> list[int]:
    """The numbers of the spans that *span* links to."""
    return [link.context.span_id for link in span.links]
