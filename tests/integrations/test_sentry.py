"""The recipe for Sentry of docs/error-trackers.md, with the real SDK and a transport in memory."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import sentry_sdk

from asyncjobs import Cancel, JobManager, MemoryAdapter, NewJob, Snooze, WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "error-trackers.md"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's ``sentry_jobs.py``."""
    found = re.search(r"```python\n(# sentry_jobs\.py\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    module = ModuleType("sentry_jobs")
    monkeypatch.setitem(sys.modules, "sentry_jobs", module)
    exec(found.group(1), vars(module))
    return module


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """The events that Sentry would have been sent."""
    kept: list[dict[str, Any]] = []

    class Kept(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            if event := envelope.get_event():
                kept.append(event)

    sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Kept, default_integrations=False)
    yield kept
    sentry_sdk.get_client().close()
    sentry_sdk.init()


@pytest.fixture
def jobs() -> JobManager:
    workers = [WorkerGroup(adapter="main", max_attempts=2)]
    return JobManager(adapters={"main": MemoryAdapter()}, workers=workers)


async def test_jobs_that_run_at_once_do_not_share_what_is_told(
    recipe: ModuleType, events: list[dict[str, Any]], jobs: JobManager
) -> None:
    later = jobs.create_scheduler(adapter="main")
    recipe.report_to_sentry(jobs, later)
    met = anyio.Event()

    @jobs.job(max_attempts=1)
    async def work(number: int) -> None:
        sentry_sdk.set_tag("number", str(number))
        sentry_sdk.add_breadcrumb(message=f"crumb of {number}")
        if number == 2:
            met.set()
        await met.wait()
        await asyncio.sleep(0)
        raise ValueError(number)

    async with jobs:
        await later.many([work(1), work(2)])
        await jobs.workoff()
    told = {event["exception"]["values"][0]["value"]: event for event in events}
    assert sorted(told) == ["1", "2"]
    for number, event in told.items():
        assert event["tags"]["number"] == number
        crumbs = [crumb["message"] for crumb in event["breadcrumbs"]["values"]]
        assert crumbs == [f"crumb of {number}"]
    assert "number" not in sentry_sdk.get_isolation_scope()._tags


@pytest.mark.parametrize(("retried", "levels"), [(False, ["error"]), (True, ["warning", "error"])])
async def test_attempts_that_are_tried_again_are_reported_when_asked_for(
    recipe: ModuleType,
    events: list[dict[str, Any]],
    jobs: JobManager,
    retried: bool,
    levels: list[str],
) -> None:
    later = jobs.create_scheduler(adapter="main")
    recipe.report_to_sentry(jobs, later, retried=retried)

    @jobs.job(backoff=lambda attempt, error: 0)
    def work() -> None:
        raise ValueError

    async with jobs:
        await later(work())
        await jobs.workoff()
    assert [event["level"] for event in events] == levels


async def test_ends_that_are_no_failures_are_not_reported_and_early_ones_are(
    recipe: ModuleType, events: list[dict[str, Any]], jobs: JobManager
) -> None:
    later = jobs.create_scheduler(adapter="main")
    recipe.report_to_sentry(jobs, later, retried=True)

    @jobs.job
    async def work(end: str) -> None:
        if end != "succeed":
            raise Cancel("nobody") if end == "cancel" else Snooze(3600)

    async with jobs:
        await later.many([work("succeed"), work("cancel"), work("snooze")])
        await later(work("succeed"), expires=0.000_001)
        await jobs.workoff()
        assert events == []
        await jobs.adapters["main"].enqueue([NewJob("work", "default", 50, "{}")])
        await jobs.workoff()
    [event] = events
    assert event["exception"]["values"][-1]["type"] == "StoredArgumentsError"
    assert event["tags"]["job.name"] == "work"
