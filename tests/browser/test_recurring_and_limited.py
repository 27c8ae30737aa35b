"""The pages of schedules and queues in a real browser, with workers that tick and let in."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from asyncjobs import JobManager, PostgresAdapter, Queue, WorkerGroup
from tests.dashboard.sites import served

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from playwright.sync_api import Page

T = TypeVar("T")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
EVIL = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\'"`'


class Mill:
    """An app whose schedules tick each second, and whose queue lets two in at a time."""

    def __init__(self, dsn: str, *, work: bool = True, **options: Any) -> None:
        self.dsn, self.address = dsn, ""
        self.jobs = JobManager(
            adapters={"main": PostgresAdapter(dsn)},
            queues=["default", Queue("email", concurrency=2)],
            workers=[
                WorkerGroup(adapter="main", delete_successful_jobs=False, heartbeat_interval=0.2)
            ],
        )
        later = self.later = self.jobs.create_scheduler(adapter="main")

        @self.jobs.job(every=1)
        async def grind() -> None: ...

        @self.jobs.job(every=1, max_attempts=1)
        async def jam() -> None:
            raise RuntimeError("a stone in the mill")

        @self.jobs.job(queue="email")
        async def send_mail(user_id: int) -> None: ...

        @self.jobs.job(concurrency_key="tenant:{tenant}")
        async def sync(tenant: int) -> None: ...

        async def fill(_: Any) -> HTMLResponse:
            await later.many([send_mail(n) for n in range(3)])
            await later.many([sync(n) for n in range(3)])
            await later(send_mail(7), cron="30 2 * * *", timezone="Europe/Zurich", name="nightly")
            return HTMLResponse("<p>stored")

        async def evil(_: Any) -> HTMLResponse:
            await later(send_mail(7), cron="@daily", name=EVIL)
            await later(sync(7), concurrency_key=EVIL)
            await later.pause(key=EVIL)
            return HTMLResponse("<p>stored")

        dashboard = self.jobs.dashboard(**options)
        self.app = Starlette(
            routes=[Route("/fill", fill), Route("/evil", evil), Mount("/jobs", dashboard)],
            lifespan=self.jobs.lifespan(work=work),
        )

    def count(self, query: str) -> int:
        """What a query of one number says, asked by a thread: the browser's driver has a loop."""

        async def fetch() -> int:
            connection = await asyncpg.connect(self.dsn)
            try:
                return int(await connection.fetchval(query))
            finally:
                await connection.close()

        return apart(fetch())


def apart(work: Coroutine[Any, Any, T]) -> T:
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture
def open_mill(dsn: str) -> Iterator[Callable[..., Mill]]:
    """A function that opens a mill; it is closed before its database goes."""
    with ExitStack() as stack:

        def open_one(**options: Any) -> Mill:
            mill = Mill(dsn, **options)
            mill.address = stack.enter_context(served(mill.app))
            return mill

        yield open_one


@pytest.fixture
def mill(open_mill: Callable[..., Mill]) -> Mill:
    return open_mill()


@pytest.fixture
def still(open_mill: Callable[..., Mill]) -> Mill:
    """The same without workers."""
    return open_mill(work=False)


def test_schedules_tick_before_ones_eyes_and_are_switched(mill: Mill, page: Page) -> None:
    page.goto(f"{mill.address}/jobs/schedules")
    grind = page.locator("section", has=page.get_by_role("link", name="grind"))
    expect(grind).to_contain_text("Every second")
    expect(grind).to_contain_text("succeeded")
    page.get_by_role("link", name="grind").click()
    rows = page.locator("table.runs tbody tr")
    expect(rows.nth(3)).to_be_visible()  # more and more of them, without a reload
    page.get_by_role("button", name="Switch off…").click()
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("status").get_by_text("It is switched off.")).to_be_visible()
    assert mill.count("select count(*) from asyncjobs.schedules where not enabled") == 1
    assert "said" not in page.url
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("It is switched on.")).to_be_visible()
    assert mill.count("select count(*) from asyncjobs.schedules where not enabled") == 0


def test_one_that_gave_up_says_so_and_is_started_again(mill: Mill, page: Page) -> None:
    page.goto(f"{mill.address}/jobs/schedules")
    jam = page.locator("section", has=page.get_by_role("link", name="jam"))
    expect(jam).to_contain_text("mend the job, and start it again")
    before = mill.count("select count(*) from asyncjobs.jobs where schedule = 'jam'")
    jam.get_by_role("button", name="Start again").click()
    expect(page.get_by_text("It is switched on.")).to_be_visible()
    expect(jam).to_contain_text("mend the job, and start it again")  # it has failed once more
    assert mill.count("select count(*) from asyncjobs.jobs where schedule = 'jam'") > before


def test_a_run_is_asked_for_and_leads_to_its_job(still: Mill, page: Page) -> None:
    page.goto(f"{still.address}/fill")
    page.goto(f"{still.address}/jobs/schedules")
    page.get_by_role("button", name="Run now").click()
    page.get_by_role("link", name=re.compile(r"^job \d+$")).click()
    page.get_by_role("link", name="nightly").click()
    expect(page.get_by_text("Every day at 02:30, Europe/Zurich")).to_be_visible()
    page.get_by_role("link", name="All its runs that are stored").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "schedule%3Anightly" in page.url


def test_a_queue_is_paused_and_resumed(mill: Mill, page: Page) -> None:
    page.goto(f"{mill.address}/jobs/queues")
    email = page.locator("section.queue", has=page.get_by_role("heading", name="email"))
    email.get_by_role("button", name="Pause…").click()
    page.get_by_role("button", name="Pause").click()
    expect(email).to_contain_text("nothing of it starts until it is resumed")
    page.request.get(f"{mill.address}/fill")
    expect(email).to_contain_text("3 in its line")
    begun = "select count(*) from asyncjobs.jobs where attempt > 0 and queue = 'email'"
    assert mill.count(begun) == 0
    email.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("It is resumed.")).to_be_visible()
    expect(email).to_contain_text("3 ended")


def test_a_key_is_paused_and_a_limit_changed(still: Mill, page: Page) -> None:
    page.goto(f"{still.address}/fill")
    page.goto(f"{still.address}/jobs/queues")
    page.get_by_label("What to pause").select_option("key")
    page.get_by_label("Its name").fill("tenant:1")
    page.get_by_role("button", name="Pause…").last.click()
    expect(page.get_by_role("heading", name="Pause the key tenant:1?")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume tenant:1").first).to_be_visible()
    page.get_by_role("link", name="Change the limit of the queue email").click()
    page.get_by_label("At once").fill("none")
    page.get_by_role("button", name="Change the limit").click()
    expect(page.get_by_role("alert")).to_contain_text("whole number")
    page.get_by_label("At once").fill("7")
    page.get_by_label("Starts", exact=True).fill("30")
    page.get_by_label("Time").fill("1")
    page.get_by_label("Unit").select_option("minutes")
    page.get_by_role("button", name="Change the limit").click()
    expect(page.get_by_text("The limit is changed.")).to_be_visible()
    table = page.get_by_role("region", name="Table of limits")
    expect(table).to_contain_text("7 at once; 30 starts a minute")
    query = "select concurrency + burst from asyncjobs.limits where name = 'queue:email'"
    assert still.count(query) == 37


def test_all_of_it_goes_without_scripts(still: Mill, pages: Any) -> None:
    page = pages.open(java_script_enabled=False, viewport=DESK)
    page.goto(f"{still.address}/fill")
    page.goto(f"{still.address}/jobs/queues")
    page.locator("section.queue").first.get_by_role("button", name="Pause…").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("It is paused.")).to_be_visible()
    assert still.count("select count(*) from asyncjobs.lanes where paused_at is not null") == 1
    page.get_by_role("link", name="Search lanes").click()
    page.get_by_label("Search lanes").fill("tenant:2")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Schedules").click()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("A run is stored:")).to_be_visible()


def test_schedules_and_lanes_are_gone_through_by_keys(still: Mill, page: Page) -> None:
    page.goto(f"{still.address}/fill")
    page.goto(f"{still.address}/jobs/queues/lanes")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.current")).to_contain_text("tenant:1")
    page.goto(f"{still.address}/jobs/schedules")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"schedules/one\?name=nightly"))


def test_names_of_schedules_and_lanes_do_not_run(still: Mill, page: Page) -> None:
    page.goto(f"{still.address}/evil")
    for path in ("schedules", "queues", "queues/lanes"):
        page.goto(f"{still.address}/jobs/{path}")
        expect(page.get_by_text("onerror").first).to_be_visible()
        assert page.evaluate("window.hit") is None
    page.goto(f"{still.address}/jobs/schedules")
    page.get_by_role("link", name="onerror").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("onerror")
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_in_schedules_and_queues(
    mill: Mill, pages: Any, axe: str, scheme: str, size: dict[str, int]
) -> None:
    page = pages.open(color_scheme=scheme, viewport=size)
    page.goto(f"{mill.address}/jobs/schedules")
    jam = page.locator("section", has=page.get_by_role("link", name="jam"))
    expect(jam).to_contain_text("mend the job, and start it again")
    page.request.get(f"{mill.address}/evil")
    page.request.get(f"{mill.address}/fill")
    for path in (
        "schedules", "schedules?q=none", "schedules?said=run&n=7", "schedules/one?name=jam",
        "schedules/one?name=grind", "schedules/confirm?action=remove&name=nightly", "queues",
        "queues?said=pause", "queues/lanes", "queues/lanes?q=none", "queues/limit?name=queue:email",
        "queues/confirm?kind=queue&name=email",
    ):  # fmt: skip
        page.goto(f"{mill.address}/jobs/{path}")
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        told = [(broken["id"], broken["nodes"][0]["html"]) for broken in found["violations"]]
        assert not told, path
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0, path
