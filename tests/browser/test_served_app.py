"""An app of the test's own, with workers in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi.responses import HTMLResponse
from playwright.sync_api import expect

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

if TYPE_CHECKING:
    from playwright.sync_api import Page


def make_app(dsn: str) -> fastapi.FastAPI:
    jobs = JobManager(
        adapters={"main": PostgresAdapter(dsn)}, workers=[WorkerGroup(adapter="main")]
    )
    later = jobs.create_scheduler(adapter="main")
    greeted: list[str] = []

    @jobs.job
    async def greet(name: str) -> None:
        greeted.append(name)

    app = fastapi.FastAPI(lifespan=jobs.lifespan())

    @app.get("/")
    async def show() -> HTMLResponse:
        return HTMLResponse("<form method=post><button>Greet</button></form>")

    @app.post("/")
    async def schedule() -> HTMLResponse:
        stored = await later(greet("Ada"))
        while await later.get(stored.id):
            await asyncio.sleep(0.01)
        return HTMLResponse(f"<p>Greeted {', '.join(greeted)}</p>")

    return app


def test_a_button_runs_a_job(page: Page, serve: Any, dsn: str) -> None:
    page.goto(serve(make_app(dsn)))
    page.get_by_role("button", name="Greet").click()
    expect(page.get_by_text("Greeted Ada")).to_be_visible()
