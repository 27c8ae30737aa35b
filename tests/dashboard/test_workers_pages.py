"""The page of workers, and what can be wished of them there."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from html import unescape
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import structlog

from asyncjobs.dashboard import Identity
from asyncjobs.version import installed_version
from tests.dashboard.test_overview_page import eventually
from tests.dashboard.test_schedules_pages import EVIL, HEADERS, SAME_ORIGIN, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from asyncjobs.storage.overview import WorkerStatus
    from tests.dashboard.sites import Site

PATIENCE = 60.0


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.asking() as client:
        yield client


@asynccontextmanager
async def working(site: Site) -> AsyncIterator[WorkerStatus]:
    """Run a worker meanwhile; it may have ended by then."""
    stop = asyncio.Event()
    task = asyncio.create_task(site.jobs.work(stop))
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := await site.later.workers.list()):
                await asyncio.sleep(0.005)
            yield found[0]
    finally:
        stop.set()
        await task


async def until(site: Site, state: str, *, heard: bool = True) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            [worker] = await site.later.workers.list()
            if worker.state == state and worker.is_unheard is not heard:
                return
            await asyncio.sleep(0.005)


async def act(browser: httpx.AsyncClient, action: str, number: Any) -> httpx.Response:
    data = {"token": await token_of(browser), "action": action, "id": str(number)}
    return await browser.post("/workers/act", data=data, headers=SAME_ORIGIN)


async def told_after(browser: httpx.AsyncClient, done: httpx.Response) -> str:
    """The page that an action leads to."""
    assert done.status_code == 303, done.text
    return (await browser.get(done.url.join(done.headers["location"]))).text


def plain(text: str) -> str:
    """The words of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(text)))


async def test_a_worker_is_told_with_what_it_runs(site: Site, browser: httpx.AsyncClient) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @site.jobs.job
    async def long() -> None:
        begun.set()
        await go_on.wait()

    job = await site.later(long())
    async with working(site) as worker:
        await begun.wait()
        text = (await browser.get("/workers")).text
        words = plain(text)
        for fact in (
            f"{worker.name} running", f"{worker.host}, process {worker.pid}", "default, email",
            "1 job, of 10 at once", f"Version {installed_version() or 'unknown'}",
            f"Id {worker.id}",
        ):  # fmt: skip
            assert fact in words
        assert re.search(r"Last heartbeat \d[\d.]* \w+ ago", words)
        assert f'href="./jobs/{job.id}">long</a>' in text
        go_on.set()
    await eventually(browser, "/workers", "No worker runs.")


async def test_a_worker_is_quieted_after_a_question_and_resumed(
    site: Site, browser: httpx.AsyncClient
) -> None:
    async with working(site) as worker:
        asked = await browser.get("/workers/confirm", params={"action": "quiet", "id": worker.id})
        assert f"Quiet the worker {worker.name} on {worker.host}?" in unescape(asked.text)
        assert (await site.later.workers.list())[0].state == "running"
        with structlog.testing.capture_logs() as lines:
            done = await act(browser, "quiet", worker.id)
        [line] = [line for line in lines if line["event"] == "dashboard.acted"]
        where = {"worker": worker.id, "name": worker.name, "host": worker.host}
        assert (line["who"], line["action"], line["where"], line["changed"]) == (
            "local", "quiet", where, True,
        )  # fmt: skip
        assert "It is told to claim nothing more." in await told_after(browser, done)
        await until(site, "quiet")
        text = await eventually(browser, "/workers", "It claims nothing until it is resumed")
        assert f"{worker.name} quiet" in plain(text)
        await eventually(browser, "/", "Every worker is quiet or stops")
        await eventually(browser, "/queues", "one is resumed")
        again = await act(browser, "quiet", worker.id)
        assert "It was quiet already." in await told_after(browser, again)
        done = await act(browser, "resume", worker.id)
        assert "It may claim again." in await told_after(browser, done)
        again = await act(browser, "resume", worker.id)
        assert "It was not quiet any more." in await told_after(browser, again)
        await until(site, "running")


async def test_a_worker_is_stopped_and_shows_that_it_waits(
    site: Site, browser: httpx.AsyncClient
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @site.jobs.job
    async def long() -> None:
        begun.set()
        await go_on.wait()

    await site.later(long())
    async with working(site) as worker:
        await begun.wait()
        asked = await browser.get("/workers/confirm", params={"action": "stop", "id": worker.id})
        assert "It runs 1 now." in asked.text
        done = await act(browser, "stop", worker.id)
        assert "It is told to stop." in await told_after(browser, done)
        await until(site, "stopping")
        again = await act(browser, "stop", worker.id)
        assert "It was told to stop already." in await told_after(browser, again)
        text = await eventually(browser, "/workers", "Began to stop")
        assert f"{worker.name} stopping" in plain(text)
        assert "Quiet…" not in text
        go_on.set()
        while await site.later.workers.list():
            await asyncio.sleep(0.005)
        assert (await act(browser, "stop", worker.id)).status_code == 404


async def test_what_is_no_worker_or_no_wish_is_refused(
    site: Site, browser: httpx.AsyncClient
) -> None:
    async with working(site) as worker:
        assert (await act(browser, "explode", worker.id)).status_code == 400
        for number in ("", "x", "-1", "1e3", "9" * 19, "\u0661"):
            assert (await act(browser, "stop", number)).status_code == 400
            answer = await browser.get("/workers/confirm", params={"action": "stop", "id": number})
            assert answer.status_code == 400
        assert (await act(browser, "stop", worker.id + 1_000)).status_code == 404
        for query in (f"action=resume&id={worker.id}", f"id={worker.id}"):
            assert (await browser.get(f"/workers/confirm?{query}")).status_code == 400
        answer = await browser.get("/workers/confirm?action=stop&id=999999")
        assert answer.status_code == 404
        assert "There is no worker 999999" in answer.text
        [status] = await site.later.workers.list()
        assert (status.state, status.stop_at) == ("running", None)


async def test_a_worker_of_an_earlier_version_has_no_buttons_and_hears_nothing(
    site: Site, browser: httpx.AsyncClient, dsn: str
) -> None:
    number = await insert_worker(dsn, "old")
    text = (await browser.get("/workers")).text
    assert "hears nothing from here" in text
    assert "Stop…" not in text
    answer = await act(browser, "stop", number)
    assert answer.status_code == 400
    assert "runs an earlier version" in answer.text


@pytest.mark.parametrize(
    "options", [{"read_only": True}, {"auth": lambda _: Identity("Eve")}], ids=["all", "Eve"]
)
async def test_who_may_only_look_wishes_nothing(site: Site, options: dict[str, Any]) -> None:
    async with working(site) as worker, site.asking(**options) as browser:
        text = (await browser.get("/workers")).text
        assert worker.name in text
        assert "<button" not in text.partition("<main")[2].partition("</main>")[0]
        for action in ("quiet", "stop"):
            answer = await browser.get(f"/workers/confirm?action={action}&id={worker.id}")
            assert answer.status_code == 403
        for action in ("quiet", "resume", "stop"):
            assert (await act(browser, action, worker.id)).status_code == 403
            answer = await browser.post(
                f"/api/workers/{action}", json={"id": worker.id}, headers=HEADERS
            )
            assert answer.status_code == 403
        [status] = await site.later.workers.list()
        assert status.state == "running"


async def test_nothing_is_wished_without_our_token(site: Site, browser: httpx.AsyncClient) -> None:
    async with working(site) as worker:
        data = {"token": "wrong", "action": "stop", "id": str(worker.id)}
        for headers in (SAME_ORIGIN, {"Sec-Fetch-Site": "cross-site"}):
            answer = await browser.post("/workers/act", data=data, headers=headers)
            assert answer.status_code == 403
        [status] = await site.later.workers.list()
        assert status.stop_at is None


async def test_what_a_worker_calls_itself_is_only_text(
    site: Site, browser: httpx.AsyncClient, dsn: str
) -> None:
    number = await insert_worker(dsn, EVIL, version=EVIL)
    for path in ("/workers", f"/workers/confirm?action=stop&id={number}", f"/workers?said={EVIL}"):
        text = (await browser.get(path)).text
        assert "<script>window" not in text
        assert EVIL in unescape(text)


async def test_programs_read_workers_and_wish(site: Site, browser: httpx.AsyncClient) -> None:
    async def post(path: str, **body: Any) -> Any:
        answer = await browser.post(f"/api/workers/{path}", json=body, headers=HEADERS)
        return answer.json() if answer.status_code == 200 else answer.status_code

    async with working(site) as worker:
        assert await post("quiet", id=worker.id) == {"changed": True}
        assert await post("quiet", id=worker.id) == {"changed": False}
        await until(site, "quiet")
        await eventually(browser, "/api/workers", '"is_unheard":false')
        [told] = (await browser.get("/api/workers")).json()["workers"]
        assert (told["id"], told["state"], told["is_alive"], told["is_unheard"]) == (
            worker.id, "quiet", True, False,
        )  # fmt: skip
        assert (told["version"], told["concurrency"]) == (worker.version, 10)
        assert await post("resume", id=worker.id) == {"changed": True}
        assert await post("resume", id=worker.id + 1_000) == 404
        for body in ({}, {"id": 0}, {"id": "x"}, {"id": worker.id, "name": "x"}):
            assert await post("stop", **body) == 422
        assert await post("stop", id=worker.id) == {"changed": True}


async def insert_worker(dsn: str, name: str, version: str | None = None) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        number = await connection.fetchval(
            "insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid,"
            " process_started, lease, version)"
            " values ($1, $1, array[$1], $1, $1, 1, 1, '1 hour', $2) returning id",
            name, version,
        )  # fmt: skip
    finally:
        await connection.close()
    return int(number)


CREW = """
with crew as (
    insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid,
        process_started, lease, version, concurrency, quiet_at)
    select 'w.' || lpad(n::text, 3, '0'), 'crew', array['email'], 'web-' || n % 7, 'h', n, 1,
        '1 hour', '1.0', 20, case when n % 100 = 0 then now() end
    from generate_series(1, 300) as n
    returning id
)
insert into asyncjobs.jobs (position, run_at, state, name, queue, args, attempt, attempted_at,
    locked_by)
select 1, now(), 'running', 'send_mail', 'email', '{}', 1, now(), crew.id
from crew, generate_series(1, 20)
"""
"""Three hundred workers with all hands full; three of them are quiet."""


async def test_hundreds_of_busy_workers_come_page_by_page(
    site: Site, browser: httpx.AsyncClient, dsn: str
) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(CREW)
    ids = [row["id"] for row in await connection.fetch(
        "select id from asyncjobs.workers order by name"
    )]  # fmt: skip
    await connection.close()
    seen, path = [], "/workers"
    while path:
        answer = await browser.get(path)
        seen += [int(number) for number in re.findall(r'id="worker-(\d+)"', answer.text)]
        links = re.findall(r'rel="next" href="([^"]+)"', answer.text)
        path = str(answer.url.join(unescape(links[0]))) if links else ""
    assert seen == ids
    for page in ("/", "/workers", "/workers?page=2"):
        answer = await browser.get(page)
        total = int(answer.headers["content-length"])
        for link in set(re.findall(r'(?:href|src)="([^"]*static[^"]*)"', answer.text)):
            total += int((await browser.get(answer.url.join(link))).headers["content-length"])
        assert total < 100_000, page
    assert "and 280 more workers" in plain((await browser.get("/")).text)

    async def shown(query: str) -> list[int]:
        text = (await browser.get(f"/workers?{query}")).text
        return [int(number) for number in re.findall(r'id="worker-(\d+)"', text)]

    assert await shown("state=quiet") == [ids[99], ids[199], ids[299]]
    assert await shown("q=W.30") == [ids[299]]
    assert len(await shown("q=web-3")) == 25
    assert await shown("q=web-3&state=silent") == []
    assert ids[151] in await shown(f"worker={ids[151]}")
    assert (await shown("page=99"))[-1] == ids[-1]
    for wrong in ("page=x", "page=-1", "worker=x", "state=odd", "q=%00"):
        assert (await browser.get(f"/workers?{wrong}")).status_code == 400
    done = await act(browser, "quiet", ids[151])
    assert f'id="worker-{ids[151]}"' in await told_after(browser, done)
