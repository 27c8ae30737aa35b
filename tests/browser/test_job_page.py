"""The page of one job in a real browser, while the job runs and after it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Response

SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}"""
"""Adds up how much of the page moved without anybody's doing, as the web vital CLS does."""


def is_refresh(response: Response) -> bool:
    return response.request.headers.get("x-asyncjobs") == "refresh"


class Travel:
    """An app whose job tells how far it is, stores others, and goes on when it is told to."""

    def __init__(self, dsn: str) -> None:
        self.steps = threading.Semaphore(0)
        jobs = JobManager(
            adapters={"main": PostgresAdapter(dsn)},
            workers=[WorkerGroup(adapter="main", delete_successful_jobs=False)],
        )
        later = jobs.create_scheduler(adapter="main")

        @jobs.job
        async def pack(thing: str) -> None: ...

        @jobs.job(retain=600)
        def travel(to: str) -> dict[str, Any]:
            later.from_thread(pack("a hat"), wait=600)
            for step in range(1, 4):
                current_job().progress(step / 4, f"stage {step}")
                self.steps.acquire(timeout=60)
            return {"arrived": to}

        @jobs.job(max_attempts=1)
        async def read(text: str) -> Any:
            return json.loads(text)

        async def begin(_: Any) -> PlainTextResponse:
            return PlainTextResponse(str((await later(travel("Sète"))).id))

        async def fall(_: Any) -> PlainTextResponse:
            return PlainTextResponse(str((await later(read("{"))).id))

        self.app = Starlette(
            routes=[
                Route("/begin", begin), Route("/fall", fall), Mount("/jobs", jobs.dashboard()),
            ],
            lifespan=jobs.lifespan(),
        )  # fmt: skip


@pytest.fixture
def travel(dsn: str) -> Travel:
    return Travel(dsn)


def test_a_running_job_tells_how_far_it_is_and_what_it_scheduled(
    travel: Travel, serve: Callable[[Any], str], page: Page, axe: str
) -> None:
    address = serve(travel.app)
    number = page.request.get(f"{address}/begin").text()
    page.goto(f"{address}/jobs/jobs/{number}")
    page.evaluate(SHIFTS)
    for step in (1, 2, 3):
        expect(page.get_by_text(f"stage {step}")).to_be_visible()
        expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute(
            "value", str(step / 4)
        )
        if step == 1:
            expect(page.get_by_role("heading", name="What it scheduled")).to_be_visible()
            page.evaluate("window.shifted = 0")
            page.evaluate(axe)
            told = page.evaluate("axe.run()")["violations"]
            assert not told, [(rule["id"], rule["nodes"][0]["html"]) for rule in told]
        if step == 3:
            assert page.evaluate("window.shifted") < 0.01
        travel.steps.release()
    expect(page.get_by_role("heading", name="travel")).to_contain_text("succeeded")
    expect(page.get_by_role("heading", name="Result")).to_be_visible()
    expect(page.get_by_text('"arrived": "Sète"')).to_be_visible()
    page.get_by_role("link", name="pack").click()
    page.get_by_role("link", name="travel").click()
    expect(page.get_by_role("heading", name="travel")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="pack")).to_be_visible()


def test_frames_of_libraries_are_folded_and_the_call_is_copied(
    travel: Travel, serve: Callable[[Any], str], pages: Any
) -> None:
    page = pages.open(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    address = serve(travel.app)
    number = page.request.get(f"{address}/fall").text()
    page.goto(f"{address}/jobs/jobs/{number}")
    expect(page.get_by_role("heading", name="read")).to_contain_text("failed")
    expect(page.get_by_text("return json.loads(text)")).to_be_visible()
    library = page.get_by_text("raw_decode").first
    expect(library).to_be_hidden()
    page.get_by_text("frames of libraries").click()
    expect(library).to_be_visible()
    with page.expect_response(is_refresh):  # the one before may have come just now
        pass
    with page.expect_response(is_refresh):
        pass
    expect(library).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == (
        "await later(read(text='{'), queue='default', priority=50)"
    )


def test_the_call_is_copied_where_browsers_have_no_clipboard(
    travel: Travel, serve: Callable[[Any], str], page: Page
) -> None:
    # As on a page by plain http from another machine.
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    address = serve(travel.app)
    number = page.request.get(f"{address}/fall").text()
    page.goto(f"{address}/jobs/jobs/{number}")
    page.evaluate(
        "document.addEventListener('copy', () => { window.copied = String(getSelection()); })"
    )
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("window.copied") == (
        "await later(read(text='{'), queue='default', priority=50)"
    )
    page.evaluate("document.execCommand = () => false")
    page.get_by_role("button", name="Cop").click()
    expect(page.get_by_role("button", name="Selected, copy it by the keyboard")).to_be_visible()


def test_one_job_is_cancelled_after_a_question(
    travel: Travel, serve: Callable[[Any], str], page: Page
) -> None:
    address = serve(travel.app)
    number = page.request.get(f"{address}/begin").text()
    page.goto(f"{address}/jobs/jobs/{number}")
    page.get_by_role("link", name="pack").click()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel 1 job").click()
    expect(page.get_by_text("1 job was cancelled.")).to_be_visible()
    expect(page.get_by_role("heading", name="pack")).to_contain_text("cancelled")
    travel.steps.release(3)


def test_pages_that_move_do_not_jump(
    travel: Travel, serve: Callable[[Any], str], page: Page
) -> None:
    address = serve(travel.app)
    for _ in range(3):
        page.request.get(f"{address}/begin")
    for path in ("", "jobs"):
        page.goto(f"{address}/jobs/{path}")
        expect(page.locator("#live-state")).to_have_text("Live")
        page.evaluate(SHIFTS)
        with page.expect_response("**/begin"):
            page.evaluate("fetch('/begin')")
        page.wait_for_timeout(2_500)
        assert page.evaluate("window.shifted") < 0.1, path
    for _ in range(20):
        travel.steps.release()
