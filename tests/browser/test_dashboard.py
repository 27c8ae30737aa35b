"""The dashboard in a real browser, with workers that work."""

from __future__ import annotations

import asyncio
import json
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

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from asyncjobs.statistics import Tally
from tests.dashboard.sites import served

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from playwright.sync_api import Page

T = TypeVar("T")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
EVIL = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\'"`'


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* in a thread: the driver of the browser has its own loop in this one."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


class Shop:
    """An app with a dashboard, one of whose jobs fails."""

    def __init__(self, dsn: str, *, work: bool = True, **options: Any) -> None:
        self.dsn, self.address = dsn, ""
        self.jobs = JobManager(
            adapters={"main": PostgresAdapter(dsn)},
            queues=["default", "email"],
            workers=[WorkerGroup(adapter="main", delete_successful_jobs=False)],
        )
        self.later = self.jobs.create_scheduler(adapter="main")

        @self.jobs.job(queue="email")
        async def send_mail(user_id: int) -> None: ...

        @self.jobs.job(max_attempts=1)
        async def divide(a: int, b: int) -> float:
            return a / b

        self.send_mail, self.divide = send_mail, divide
        dashboard = self.jobs.dashboard(**options)
        self.app = Starlette(
            routes=[Route("/flow", self.flow), Mount("/jobs", dashboard)],
            lifespan=self.jobs.lifespan(work=work),
        )

    async def flow(self, _: Any) -> HTMLResponse:
        """Store some mails."""
        await self.later.many([self.send_mail(n) for n in range(10)])
        return HTMLResponse("<p>stored")

    def store(self, *rows: tuple[str, str, dict[str, Any]]) -> list[int]:
        """Store jobs by name, state and arguments, as if workers had left them so."""

        async def insert() -> list[int]:
            connection = await asyncpg.connect(self.dsn)
            ids = [
                await connection.fetchval(
                    "insert into asyncjobs.jobs"
                    " (position, run_at, state, name, queue, args, finished_at)"
                    " values (1, now(), $1::text::asyncjobs.job_state, $2, 'default', $3, case"
                    " when $1::text in ('failed', 'cancelled', 'succeeded') then now() end)"
                    " returning id",
                    state, name, json.dumps(args),
                )
                for name, state, args in rows
            ]  # fmt: skip
            await connection.close()
            return ids

        return apart(insert())

    def spoil(self) -> None:
        """Put scripts wherever a job, a worker and the counts hold texts of others."""
        errors = [
            {
                "attempt": 1, "at": "2030-01-01T00:00:00+00:00", "error": f"class{EVIL}",
                "message": f"message{EVIL}",
                "traceback": f'  File "{EVIL}.py", line 1, in f\n    frame{EVIL}',
            }
        ]  # fmt: skip

        async def change() -> None:
            connection = await asyncpg.connect(self.dsn)
            await connection.execute(
                "update asyncjobs.jobs set tags = array[$1::text], extra = $2::text::jsonb,"
                " errors = $3::text::jsonb, result = $4::text::jsonb, queue = $5",
                f"tag{EVIL}", json.dumps({"meta": {"meta": f"meta{EVIL}"}}), json.dumps(errors),
                json.dumps(f"result{EVIL}"), EVIL,
            )  # fmt: skip
            await connection.execute(
                "insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid,"
                " process_started, lease, version)"
                " values ($1, $1, array[$1], $1, $1, 1, 1, '1 hour', $1)",
                EVIL,
            )
            await connection.close()
            tally = Tally(succeeded=1, failed=1)
            async with JobManager(adapters={"main": PostgresAdapter(self.dsn)}) as jobs:
                await jobs.adapters["main"].statistics.record({(EVIL, EVIL): tally})

        apart(change())

    def states(self) -> dict[int, str]:
        """The state of each job, by the database's word."""

        async def fetch() -> dict[int, str]:
            connection = await asyncpg.connect(self.dsn)
            rows = await connection.fetch("select id, state::text from asyncjobs.jobs")
            await connection.close()
            return {row["id"]: row["state"] for row in rows}

        return apart(fetch())


@pytest.fixture
def open_shop(dsn: str) -> Iterator[Callable[..., Shop]]:
    """A function that opens a shop; it is closed before its database goes."""
    with ExitStack() as stack:

        def open_one(**options: Any) -> Shop:
            shop = Shop(dsn, **options)
            shop.address = stack.enter_context(served(shop.app))
            return shop

        yield open_one


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop()


@pytest.fixture
def idle(open_shop: Callable[..., Shop]) -> Shop:
    """The same without workers."""
    return open_shop(work=False)


def has_no_scroll(page: Page) -> bool:
    wide: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wide <= 0


# It moves


def test_the_overview_moves_while_jobs_flow(shop: Shop, page: Page) -> None:
    address = shop.address
    page.goto(f"{address}/jobs/")
    failed = page.locator(".tile", has_text="Failed")
    expect(failed).to_contain_text("of 0 in the last hour")
    expect(page.locator("#live-state")).to_have_text("Live")
    for total in (10, 20):
        page.request.get(f"{address}/flow")
        expect(failed).to_contain_text(f"of {total} in the last hour")
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.get_by_role("link", name="send_mail").first).to_be_visible()


def test_the_overview_moves_by_asking_again_where_streams_do_not_pass(
    shop: Shop, pages: Any
) -> None:
    page = pages.open(viewport=DESK)
    page.route("**/events?*", lambda route: route.abort())
    address = shop.address
    page.goto(f"{address}/jobs/")
    page.request.get(f"{address}/flow")
    expect(page.locator(".tile", has_text="Failed")).to_contain_text("of 10 in the last hour")
    assert all("ERR_FAILED" in problem for problem in pages.problems)
    pages.problems.clear()


def test_pages_are_useful_without_scripts(idle: Shop, pages: Any) -> None:
    idle.store(("send_mail", "failed", {"user_id": 7}), ("divide", "available", {"a": 1, "b": 2}))
    page = pages.open(java_script_enabled=False, viewport=DESK)
    address = idle.address
    page.goto(f"{address}/jobs/")
    expect(page.get_by_text("No worker runs.").first).to_be_visible()
    page.get_by_role("link", name="Jobs", exact=True).last.click()
    page.get_by_label("Search jobs").fill("args.user_id:7")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("checkbox", name="Choose send_mail").check()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 1 job").click()
    expect(page.get_by_text("1 job was deleted.")).to_be_visible()
    assert list(idle.states().values()) == ["available"]


# Searching and acting


def test_some_that_were_found_are_retried(idle: Shop, page: Page) -> None:
    ids = idle.store(*[("divide", "failed", {"a": n, "b": 0}) for n in range(3)])
    page.goto(f"{idle.address}/jobs/jobs")
    box = page.get_by_label("Search jobs")
    box.click()
    box.press_sequentially("sta")
    page.get_by_role("option", name="state:").click()
    box.press_sequentially("fai")
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("state:failed ")
    box.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert "q=state%3Afailed" in page.url
    retry = page.get_by_role("button", name="Retry…")
    expect(retry).to_be_disabled()
    page.get_by_role("checkbox", name=f"Choose divide #{ids[0]}").check()
    page.get_by_role("checkbox", name=f"Choose divide #{ids[2]}").check()
    expect(page.get_by_text("2 jobs chosen")).to_be_visible()
    retry.click()
    page.get_by_role("button", name="Retry 2 jobs").click()
    expect(page.get_by_text("2 jobs were retried.")).to_be_visible()
    assert idle.states() == {ids[0]: "available", ids[1]: "failed", ids[2]: "available"}
    expect(page).not_to_have_url(re.compile("said"))
    page.go_back()
    page.go_back()
    expect(page.get_by_label("Search jobs")).to_have_value("state:failed")


def test_what_was_chosen_stays_chosen_while_the_list_moves(idle: Shop, page: Page) -> None:
    [first] = idle.store(("divide", "failed", {"a": 1, "b": 0}))
    page.goto(f"{idle.address}/jobs/jobs?state=failed")
    box = page.get_by_role("checkbox", name=f"Choose divide #{first}")
    box.check()
    idle.store(("divide", "failed", {"a": 2, "b": 0}))
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(box).to_be_checked()
    expect(page.get_by_text("1 job chosen")).to_be_visible()
    assert page.evaluate("[history.length, history.state]") == [2, None]  # with about:blank


def test_all_that_match_stay_chosen_while_the_list_moves(idle: Shop, page: Page) -> None:
    [first] = idle.store(("divide", "failed", {"a": 1, "b": 0}))
    page.goto(f"{idle.address}/jobs/jobs?state=failed")
    page.get_by_role("checkbox", name=f"Choose divide #{first}").check()
    page.get_by_role("checkbox", name="All that match").check()
    idle.store(("divide", "failed", {"a": 2, "b": 0}))
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_role("checkbox", name="All that match")).to_be_checked()
    expect(page.locator("#chosen")).to_have_text("All that match")
    page.get_by_role("button", name="Retry…").click()
    expect(page.get_by_role("heading", name="Retry 2 jobs?")).to_be_visible()


def test_all_that_match_are_cancelled(idle: Shop, page: Page) -> None:
    idle.store(*[("send_mail", "available", {"user_id": n % 2}) for n in range(120)])
    page.goto(f"{idle.address}/jobs/jobs?q=args.user_id:1")
    expect(page.get_by_text("60 jobs match")).to_be_visible()
    page.get_by_role("checkbox", name="All that match").check()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel 60 jobs").click()
    expect(page.get_by_text("60 jobs were cancelled.")).to_be_visible()
    assert sorted(idle.states().values()) == ["available"] * 60 + ["cancelled"] * 60


def test_a_job_is_edited_and_runs(shop: Shop, page: Page) -> None:
    address = shop.address
    page.goto(f"{address}/jobs/")
    [job] = shop.store(("divide", "failed", {"a": 1, "b": 0}))
    page.goto(f"{address}/jobs/jobs/{job}")
    page.get_by_role("link", name="Edit and retry").click()
    page.get_by_label("Arguments, as JSON").fill('{"a": 1, "b": "nothing"}')
    page.get_by_role("button", name="Retry with these").click()
    expect(page.get_by_role("alert")).to_contain_text("b")
    page.get_by_label("Arguments, as JSON").fill('{"a": 1, "b": 4}')
    page.get_by_role("button", name="Retry with these").click()
    expect(page.get_by_role("heading", name="divide")).to_contain_text("succeeded")
    assert shop.states() == {job: "succeeded"}


# Keys, themes and sizes


def test_everything_can_be_done_by_keys(idle: Shop, page: Page) -> None:
    ids = idle.store(*[("divide", "failed", {"a": n, "b": 0}) for n in range(3)])
    page.goto(f"{idle.address}/jobs/workers")
    page.keyboard.press("/")
    page.wait_for_url(re.compile(r"/jobs/jobs#search$"))
    expect(page.get_by_label("Search jobs")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_role("checkbox", name=f"Choose divide #{ids[1]}")).to_be_checked()
    page.keyboard.press("k")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="divide").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/jobs/jobs/{ids[2]}$"))


def test_the_theme_that_is_chosen_stays(idle: Shop, pages: Any) -> None:
    page = pages.open(color_scheme="light", viewport=DESK)
    address = idle.address
    page.goto(f"{address}/jobs/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch between dark and light").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.goto(f"{address}/jobs/jobs")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_moments_are_in_the_readers_zone(idle: Shop, pages: Any) -> None:
    [job] = idle.store(("divide", "failed", {"a": 1, "b": 0}))
    page = pages.open(timezone_id="Asia/Tokyo", locale="en-GB", viewport=DESK)
    page.goto(f"{idle.address}/jobs/jobs/{job}")
    expect(page.locator("time").first).to_have_attribute("title", re.compile(r"GMT\+9|JST"))


# Safety


def test_scripts_that_others_stored_do_not_run(idle: Shop, page: Page) -> None:
    ids = idle.store((EVIL, "failed", {EVIL: EVIL}), (EVIL, "available", {"a": EVIL}))
    idle.spoil()
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    address = idle.address
    for path in (
        "", "jobs", *[f"jobs/{number}" for number in ids], f"jobs/{ids[0]}/edit", "workers",
        "schedules", "queues", "queues/lanes",
    ):  # fmt: skip
        page.goto(f"{address}/jobs/{path}")
        if path not in {"schedules", "queues/lanes"}:
            expect(page.get_by_text("onerror").first).to_be_attached()
        assert page.evaluate("window.hit") is None
    page.goto(f"{address}/jobs/jobs/{ids[0]}")
    main = page.locator("main")
    for what in ("tag", "message", "class", "frame", "result", "meta"):
        expect(main).to_contain_text(f"{what}<img src=x onerror=")
    page.goto(f"{address}/jobs/jobs")
    box = page.get_by_label("Search jobs")
    box.press_sequentially("name:")
    expect(page.get_by_role("option").first).to_contain_text("onerror")
    page.get_by_role("link", name="tag<img").first.click()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.evaluate("window.hit") is None


def test_a_page_of_somebody_else_can_do_nothing(idle: Shop, page: Page) -> None:
    [job] = idle.store(("divide", "failed", {"a": 1, "b": 0}))
    address = idle.address
    page.goto(f"{address}/jobs/jobs/{job}")
    token = page.locator("input[name=token]").first.get_attribute("value")
    form = (
        f'<form method="post" action="{address}/jobs/jobs/act"><input name="token" value="{token}">'
        f'<input name="action" value="delete"><input name="id" value="{job}">'
        "<button>Win a prize</button></form>"
    )

    async def show(_: Any) -> HTMLResponse:
        return HTMLResponse(form)

    with served(Starlette(routes=[Route("/", show)])) as elsewhere:
        page.goto(elsewhere)
        page.get_by_role("button", name="Win a prize").click()
        expect(page.get_by_text("came from another site")).to_be_visible()
    assert idle.states() == {job: "failed"}


def test_who_may_only_look_sees_no_button(open_shop: Any, page: Page) -> None:
    shop = open_shop(work=False, read_only=True)
    [job] = shop.store(("divide", "failed", {"a": 1, "b": 0}))
    address = shop.address
    for path in ("jobs", f"jobs/{job}", "workers"):
        page.goto(f"{address}/jobs/{path}")
        expect(page.get_by_text("This dashboard is read-only.")).to_be_visible()
        for name in ("Retry", "Delete", "Cancel", "Choose"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)


# Everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(
    shop: Shop, pages: Any, axe: str, scheme: str, size: dict[str, int]
) -> None:
    address = shop.address
    page = pages.open(color_scheme=scheme, viewport=size)
    page.goto(f"{address}/flow")
    page.goto(f"{address}/jobs/")
    expect(page.get_by_role("link", name="send_mail").first).to_be_visible()
    [failed, future] = shop.store(
        ("divide", "failed", {"a": 1, "b": 0}), ("divide", "scheduled", {"a": 1, "b": 1})
    )
    for path in (
        "", "?period=now", "jobs", "jobs?state=failed", "jobs?q=name:nobody", "jobs?q=odd:word",
        f"jobs/{failed}", f"jobs/{future}", f"jobs/{failed}/edit", "workers", "nothing-here",
    ):  # fmt: skip
        page.goto(f"{address}/jobs/{path}")
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        told = [(broken["id"], broken["nodes"][0]["html"]) for broken in found["violations"]]
        assert not told, path
        assert has_no_scroll(page), path
    page.goto(f"{address}/jobs/jobs?state=failed")
    page.get_by_role("checkbox", name="All that match").check()
    page.get_by_role("button", name="Delete…").click()
    page.evaluate(axe)
    assert not page.evaluate("axe.run()")["violations"]
