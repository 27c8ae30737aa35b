"""The page of workers in a real browser, with workers that do what is wished of them."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from tests.browser.test_recurring_and_limited import DESK, PHONE, apart
from tests.dashboard.sites import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

CREW = """
insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid, process_started,
    lease, version, concurrency, heartbeat_at, quiet_at, stop_at, stopping_at)
values
    ('mail.1.0', 'mail', '{email}', 'web-2', 'b', 11, 1, '1 hour', '0.1.0', 50, now(),
        now() - interval '5 min', null, null),
    ('mail.1.1', 'mail', '{email}', 'web-2', 'b', 12, 1, '1 hour', '0.1.0', 50, now(), null,
        now() - interval '2 s', now() - interval '1 s'),
    ('mail.1.2', 'mail', '{email}', 'web-2', 'b', 13, 1, '1 hour', '0.1.0', 50, now(), null,
        now(), null),
    ('old.0.0', 'old', '{default}', 'web-3', 'c', 14, 1, '1 hour', null, null, now(), null, null,
        null),
    ('lost.0.0', 'lost', '{default}', 'web-4', 'd', 15, 1, '1 day', '0.1.0', 5,
        now() - interval '2 days', null, null, null)
"""
"""A worker in each state that one can be in; those that run are real."""


class Mine:
    """An app with a worker, and a job that runs until it is let go."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.address = dsn, ""
        self.jobs = JobManager(
            adapters={"main": PostgresAdapter(dsn)},
            workers=[
                WorkerGroup(adapter="main", delete_successful_jobs=False, heartbeat_interval=0.5)
            ],
        )
        later = self.jobs.create_scheduler(adapter="main")
        let_go = asyncio.Event()

        @self.jobs.job
        async def dig() -> None:
            await let_go.wait()

        async def begin(_: Any) -> HTMLResponse:
            return HTMLResponse(f"<p>{(await later(dig())).id}")

        async def end(_: Any) -> HTMLResponse:
            let_go.set()
            return HTMLResponse("<p>let go")

        self.app = Starlette(
            routes=[
                Route("/begin", begin),
                Route("/end", end),
                Mount("/jobs", self.jobs.dashboard()),
            ],
            lifespan=self.jobs.lifespan(),
        )

    def ask(self, query: str) -> Any:
        """What a query of one value says."""

        async def fetch() -> Any:
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return apart(fetch())


@pytest.fixture
def mine(dsn: str) -> Iterator[Mine]:
    mine = Mine(dsn)
    with ExitStack() as stack:
        mine.address = stack.enter_context(served(mine.app))
        yield mine


def the_card(page: Page) -> Locator:
    return page.locator("section.worker", has=page.get_by_role("heading", name="embedded"))


def test_a_worker_is_quieted_and_resumed(mine: Mine, page: Page) -> None:
    page.request.get(f"{mine.address}/end")
    page.goto(f"{mine.address}/jobs/workers")
    card = the_card(page)
    expect(card).to_contain_text("running")
    card.get_by_role("button", name="Quiet…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Quiet the worker embedded")
    page.get_by_role("button", name="Quiet").click()
    expect(page.get_by_role("status").get_by_text("claim nothing more")).to_be_visible()
    assert "said" not in page.url
    expect(card).to_contain_text("It claims nothing until it is resumed")  # without a reload
    page.request.get(f"{mine.address}/begin")
    page.goto(f"{mine.address}/jobs/queues")
    expect(page.locator("section.queue")).to_contain_text("Every worker on it is quiet or stops")
    page.get_by_role("link", name="one is resumed").click()
    assert mine.ask("select state::text || attempt from asyncjobs.jobs") == "available0"
    card.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("It may claim again.")).to_be_visible()
    expect(card.get_by_role("button", name="Quiet…")).to_be_visible()
    page.goto(f"{mine.address}/jobs/jobs?state=succeeded")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_worker_is_stopped_ends_what_it_runs_and_the_app_goes_on(mine: Mine, page: Page) -> None:
    number = page.request.get(f"{mine.address}/begin").text().removeprefix("<p>")
    page.goto(f"{mine.address}/jobs/workers")
    card = the_card(page)
    expect(card.get_by_role("link", name="dig")).to_have_attribute(
        "href", re.compile(rf"jobs/{number}$")
    )
    expect(card).to_contain_text("1 job, of 10 at once")
    card.get_by_role("button", name="Stop…").click()
    expect(page.get_by_text("It runs 1 now.")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status").get_by_text("It is told to stop.")).to_be_visible()
    expect(card).to_contain_text("Began to stop")
    expect(card.get_by_role("button")).to_have_count(0)
    page.request.get(f"{mine.address}/end")
    expect(page.get_by_text("No worker runs.")).to_be_visible()  # without a reload
    assert mine.ask("select state::text from asyncjobs.jobs") == "succeeded"
    page.request.get(f"{mine.address}/begin")
    assert mine.ask("select count(*) from asyncjobs.jobs where state = 'available'") == 1


def test_all_of_it_goes_without_scripts(mine: Mine, pages: Any) -> None:
    page = pages.open(java_script_enabled=False, viewport=DESK)
    page.goto(f"{mine.address}/jobs/workers")
    page.get_by_role("button", name="Quiet…").click()
    page.get_by_role("button", name="Quiet").click()
    expect(page.get_by_text("It is told to claim nothing more.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("It may claim again.")).to_be_visible()
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("It is told to stop.")).to_be_visible()


def test_workers_are_gone_through_by_keys(mine: Mine, page: Page) -> None:
    mine.ask(CREW)
    page.goto(f"{mine.address}/jobs/workers")
    expect(page.locator("section.worker")).to_have_count(6)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("section.current")).to_have_count(1)
    expect(page.locator("section.current")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_in_workers(
    mine: Mine, pages: Any, axe: str, scheme: str, size: dict[str, int]
) -> None:
    page = pages.open(color_scheme=scheme, viewport=size)
    page.request.get(f"{mine.address}/begin")
    mine.ask(CREW)
    worker = mine.ask("select id from asyncjobs.workers where name like 'embedded%'")
    page.goto(f"{mine.address}/jobs/workers")
    for state in ("running", "quiet", "stopping", "silent"):
        expect(page.locator("section.worker h2", has_text=state).first).to_be_visible()
    for path in (
        "workers", "workers?said=quiet&n=1", f"workers/confirm?action=quiet&id={worker}",
        f"workers/confirm?action=stop&id={worker}", "",
    ):  # fmt: skip
        page.goto(f"{mine.address}/jobs/{path}")
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        told = [(broken["id"], broken["nodes"][0]["html"]) for broken in found["violations"]]
        assert not told, path
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0, path
    page.request.get(f"{mine.address}/end")
