"""The trace of a job over real workers, one of which dies in the middle of it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from sample_project import until

if TYPE_CHECKING:
    from pathlib import Path

    from sample_project import SampleProject

APP = """
import asyncio
import pathlib

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job
from asyncjobs.integrations.opentelemetry import instrument

spans = ConsoleSpanExporter(
    out=open("spans", "a"), formatter=lambda span: span.to_json(None) + "\\n"
)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
jobs = JobManager(
    adapters={"postgres": PostgresAdapter()},
    workers=[WorkerGroup(adapter="postgres", lease=3, heartbeat_interval=1)],
)
later = jobs.create_scheduler(adapter="postgres")
instrument(jobs)


@jobs.job
async def pack():
    if not pathlib.Path("release").exists():
        pathlib.Path("notes").write_text("started")
        await asyncio.Event().wait()
    current_job().log.info("order.packed")
    await asyncio.to_thread(later.from_thread, ship())


@jobs.job
def ship(): ...


async def request():
    async with jobs:
        with trace.get_tracer("web").start_as_current_span("POST /orders"):
            await later(pack())


if __name__ == "__main__":
    asyncio.run(request())
"""


def spans_in(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "spans").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_rescued_job_goes_on_in_the_trace_that_scheduled_it(project: SampleProject) -> None:
    project.write_app(APP)
    done = project.run("sample")
    assert done.returncode == 0, done.stderr
    with project.running("worker", "--index", "0", "--id", "0") as first:
        project.wait_for_notes("started")
        first.process.kill()
        first.wait_for_end()
    project.release()
    with project.running("work") as second:
        until(lambda: "run ship" in {span["name"] for span in spans_in(project.folder)}, second)
    spans = {span["name"]: span for span in spans_in(project.folder)}
    chain = ["POST /orders", "enqueue pack", "run pack", "enqueue ship", "run ship"]
    for outer, inner in itertools.pairwise(chain):
        assert spans[inner]["parent_id"] == spans[outer]["context"]["span_id"], inner
    rescued = [span for span in spans_in(project.folder) if span["name"] == "run pack"]
    assert [span["attributes"]["asyncjobs.job.attempt"] for span in rescued] == [2]
    line = second.wait_for("order.packed")
    told = (f"0x{line['trace_id']}", f"0x{line['span_id']}")
    context = spans["run pack"]["context"]
    assert told == (context["trace_id"], context["span_id"])
    assert len({span["context"]["trace_id"] for span in spans.values()}) == 1
