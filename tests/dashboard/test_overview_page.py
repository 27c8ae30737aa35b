"""The first page and the page of workers."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from asyncjobs import PostgresAdapter
from asyncjobs.glance.overview import PERIODS, chart_of, pace_of, queue_lines_of
from asyncjobs.statistics import Span, Tally, bound_of, class_of
from tests.dashboard.sites import Site, make_manager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

PATIENCE = 30


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.asking() as client:
        yield client


async def eventually(browser: httpx.AsyncClient, path: str, *wanted: str) -> str:
    with anyio.fail_after(PATIENCE):
        while True:
            text = (await browser.get(path)).text
            if all(part in text for part in wanted):
                return text
            await anyio.sleep(0.05)


async def test_nothing_yet_is_said_in_words(browser: httpx.AsyncClient) -> None:
    text = (await browser.get("/")).text
    assert "Nothing has ended in this time" in text
    assert "No job waits for a worker" in text
    assert "No worker runs." in text
    assert "New jobs wake workers by NOTIFY" in text
    assert "The table of jobs" in text


async def test_what_workers_did_is_counted(site: Site, browser: httpx.AsyncClient) -> None:
    send, divide = site.jobs.registry["send_mail"], site.jobs.registry["divide"]
    await site.later.many([send(n) for n in range(3)] + [divide(1, 0)])
    assert await site.jobs.workoff() == 4
    for period in PERIODS:
        text = await eventually(browser, f"/?period={period}", ">send_mail</a>", ">divide</a>")
        assert "of 4 in the last" in text
        [chart] = re.findall(r"data-chart='([^']+)'", text)
        told = json.loads(chart)
        assert (sum(told["succeeded"]), sum(told["failed"])) == (3, 1)
        api = (await browser.get(f"/api/overview?period={period}")).json()
        assert [(line["queue"], line["ended"], line["failed"]) for line in api["queues"]] == [
            ("email", 3, 0), ("default", 1, 1),
        ]  # fmt: skip
        assert all(line["run_most"] > 0 for line in api["queues"])
        [table] = re.findall(r'id="queues-title".*?</table>', text, re.DOTALL)
        assert table.index(">email</a>") < table.index(">default</a>")


def test_a_queue_is_as_fast_as_its_jobs_together() -> None:
    quick, slow = Tally(succeeded=3), Tally(succeeded=1, failed=1)
    quick.runs[class_of(0.01)] += 3
    slow.runs[class_of(8.0)] += 2
    lines = queue_lines_of({("a", "quick"): quick, ("a", "slow"): slow, ("b", "slow"): slow})
    assert [(line.queue, line.ended, line.failed) for line in lines] == [("a", 5, 1), ("b", 2, 1)]
    assert lines[0].run_half == bound_of(class_of(0.01))
    assert lines[0].run_most == bound_of(class_of(8.0))


async def test_what_waits_and_what_runs_is_told(site: Site, browser: httpx.AsyncClient) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @site.jobs.job(name="long one")
    async def long_one() -> None:
        begun.set()
        await go_on.wait()

    await site.later(long_one())
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(site.jobs.work(stop))
        await begun.wait()
        await eventually(browser, "/", "long one", "on 1 worker")
        text = await eventually(browser, "/workers", "long one", ">running<", "default, email")
        assert "1 job" in text
        go_on.set()
        stop.set()
    await site.later(long_one())
    await eventually(browser, "/", "No worker runs.", ">default</a>")


async def test_the_stream_sends_the_part_that_changes(site: Site) -> None:
    app = site.jobs.dashboard()
    messages: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    gone = asyncio.Event()

    async def receive() -> dict[str, object]:
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "method": "GET", "path": "/events", "root_path": "", "scheme": "http",
        "query_string": b"period=now", "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1), "asgi": {"version": "3.0", "spec_version": "2.3"},
    }  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(app(scope, receive, messages.put))
        with anyio.fail_after(PATIENCE):
            start = await messages.get()
            assert start["status"] == 200
            headers = dict(start["headers"])  # type: ignore[call-overload]
            assert headers[b"content-type"].startswith(b"text/event-stream")
            assert b"content-encoding" not in headers
            text = b""
            while text.count(b"data: ") < 2:
                text += (await messages.get())["body"]  # type: ignore[operator]
        gone.set()
    first = json.loads(text.partition(b"data: ")[2].partition(b"\n")[0])
    assert first.startswith('<dl class="tiles">')
    assert "period.label" not in first


async def test_a_page_is_small_with_all_that_it_loads(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/")
    assert answer.headers["content-encoding"] == "gzip"
    total = int(answer.headers["content-length"])
    for link in set(re.findall(r'(?:href|src)="([^"]*static[^"]*)"', answer.text)):
        found = await browser.get(answer.url.join(link))
        total += int(found.headers["content-length"])
    assert total < 100_000


async def test_a_theme_that_was_chosen_is_kept(browser: httpx.AsyncClient) -> None:
    assert "data-theme=" not in (await browser.get("/")).text
    chosen = await browser.get("/", headers={"Cookie": "asyncjobs_theme=dark"})
    assert '<html lang="en" data-theme="dark">' in chosen.text
    odd = await browser.get("/", headers={"Cookie": 'asyncjobs_theme="><script>'})
    assert "data-theme=" not in odd.text


def test_a_chart_has_a_place_for_every_span() -> None:
    now = datetime(2030, 1, 1, 12, 0, 7, tzinfo=UTC)
    spans = [Span(now.replace(second=0) - timedelta(seconds=10), 5, 1, 2, 3)]
    chart = chart_of(spans, PERIODS["now"], now)
    assert len(chart.times) == len(chart.succeeded) == 90
    assert (chart.times[-1], chart.succeeded[-1]) == (int(now.timestamp()) - 7, 0)
    places = (chart.succeeded, chart.failed, chart.retried, chart.cancelled)
    assert [values[-2] for values in places] == [5, 1, 2, 3]
    assert pace_of(spans, now) == 11 / 60


async def test_a_storage_that_is_not_open_is_said_to_be_so(dsn: str) -> None:
    jobs, later = make_manager(PostgresAdapter(dsn))
    async with Site(jobs, later).asking() as browser:
        answer = await browser.get("/")
    assert answer.status_code == 503
    assert "The storage is not open" in answer.text
