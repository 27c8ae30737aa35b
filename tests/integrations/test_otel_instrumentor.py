"""The instrumentor that ``opentelemetry-instrument`` finds."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncjobs import JobManager, MemoryAdapter, WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def instrumentor() -> Iterator[Any]:
    """What the entry point of the package names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["entry-points"]["opentelemetry_instrumentor"]["asyncjobs"].partition(
        ":"
    )
    found = getattr(importlib.import_module(module), name)()
    yield found
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()


async def test_every_manager_made_meanwhile_is_instrumented(instrumentor: Any) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor.instrument(tracer_provider=provider, linked=True)
    await schedule_and_work("first")
    instrumentor.uninstrument()
    await schedule_and_work("second")
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["enqueue first", "run first"]
    assert spans[1].parent is None


async def schedule_and_work(name: str) -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()}, workers=[WorkerGroup(adapter="main")])

    @jobs.job(name=name)
    async def work() -> None: ...

    async with jobs:
        await jobs.create_scheduler(adapter="main")(work())
        assert await jobs.workoff() == 1
