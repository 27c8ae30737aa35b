"""The list of jobs, one job, and what can be done to them."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from html import unescape
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest
import structlog
from pydantic import BaseModel

from asyncjobs import current_job
from asyncjobs.dashboard import Identity
from asyncjobs.dashboard.literals import literal
from asyncjobs.dashboard.pages.jobs import PAGE
from asyncjobs.glance.redaction import HIDDEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.dashboard.sites import Site


class Colour(Enum):
    RED = "red"


class Flags(Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Address:
    town: str
    place: tuple[int, int]


class Parcel(BaseModel):
    grams: int
    to: list[Address]


async def report(
    at: datetime, amount: Decimal, key: UUID, colour: Colour, home: Address, parcel: Parcel,
    waits: dict[str, timedelta], days: set[date],
) -> None: ...  # fmt: skip


SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.asking() as client:
        yield client


async def token_of(browser: httpx.AsyncClient) -> str:
    """The token that the forms of a page hold; the cookie comes with it."""
    page = await browser.get("/jobs/confirm", params={"action": "delete", "all": "1"})
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    return found[1] if found else browser.cookies["asyncjobs_token"]


async def ask(browser: httpx.AsyncClient, **fields: Any) -> str:
    """The page that asks whether something is to be done."""
    answer = await browser.get("/jobs/confirm", params=fields)
    assert answer.status_code == 200, answer.text
    return answer.text


async def post(browser: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    """Send a form of the page of jobs."""
    data = {"token": await token_of(browser), **fields}
    return await browser.post(path, data=data, headers=SAME_ORIGIN)


def ids_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="job-(\d+)"', text)]


async def states(site: Site, ids: list[int]) -> list[str]:
    return [record.state for record in await site.jobs.adapters["main"].get(ids)]


# The list


async def test_an_empty_list_says_what_to_type(browser: httpx.AsyncClient) -> None:
    assert "There are no jobs. Store one:" in (await browser.get("/jobs")).text
    answer = await browser.get("/jobs?state=failed")
    assert answer.status_code == 200
    assert "No job matches." in answer.text
    assert "args.user_id:7" in answer.text


async def test_jobs_are_searched_for_and_the_address_holds_it(
    site: Site, browser: httpx.AsyncClient
) -> None:
    send, divide = site.jobs.registry["send_mail"], site.jobs.registry["divide"]
    seventh = await site.later(send(7), tags=["vip"])
    eighth = await site.later(send(8), wait=3600)
    half = await site.later(divide(1, 2), priority=3)
    for query, expected in {
        "": [half, eighth, seventh],
        "q=name:send_mail": [eighth, seventh],
        "q=mail": [eighth, seventh],
        "q=name:send*": [eighth, seventh],
        "q=args.user_id:7": [seventh],
        "q=tag:vip+queue:email": [seventh],
        "q=priority:<5": [half],
        "q=priority:>5+args.user_id:8": [eighth],
        f"q=%23{half.id}": [half],
        f"q=id:{half.id},{eighth.id}": [half, eighth],
        "state=scheduled": [eighth],
        "state=scheduled&q=args.user_id:7": [],
        "state=scheduled&q=state:available": [],
        "state=scheduled&q=state:available,scheduled": [eighth],
        "q=state:scheduled,available+mail": [eighth, seventh],
        "q=after:1h": [half, eighth, seventh],
        "q=before:1h": [],
        "q=attempt:>0": [],
    }.items():
        answer = await browser.get(f"/jobs?{query}")
        assert answer.status_code == 200, query
        assert set(ids_in(answer.text)) == {job.id for job in expected}, query
        how_many = await browser.get(f"/jobs/count?{query}")
        told = f"{len(expected)} job{' matches' if len(expected) == 1 else 's match'}"
        assert how_many.text.strip() == told, query
    page = (await browser.get("/jobs?state=scheduled&q=args.user_id:8")).text
    assert 'name="q" value="args.user_id:8"' in page
    assert re.search(r'href="[^"]*state=failed&amp;q=args.user_id%3A8"', page)


async def test_every_word_of_a_search_narrows_it_down(
    site: Site, browser: httpx.AsyncClient
) -> None:
    @site.jobs.job
    async def mail_report() -> None: ...

    send, divide = site.jobs.registry["send_mail"], site.jobs.registry["divide"]
    sent = await site.later(send(7), tags=["vip", "new"])
    half = await site.later(divide(1, 2), tags=["vip"])
    report = await site.later(mail_report(), wait=3600)
    for query, expected in {
        "mail report": [report],
        "report mail": [report],
        "mail name:divide": [],
        "name:send* name:*mail": [sent],
        "name:send* name:*report": [],
        "name:send*,divide": [sent, half],
        "name:send*,divide name:divide,mail_report": [half],
        "state:available,scheduled state:scheduled": [report],
        "state:available state:scheduled": [],
        "queue:email queue:default": [],
        "queue:email,default queue:email": [sent],
        "schedule:a,b schedule:c": [],
        "tag:vip tag:new": [sent],
        "tag:vip,new": [sent],
        f"{sent.id} #{half.id}": [sent, half],
        f"{sent.id} {half.id} mail": [sent],
        f"id:{sent.id} id:{half.id}": [],
        f"id:{sent.id},{half.id} {half.id}": [half],
    }.items():
        params = {"q": query}
        assert set(ids_in((await browser.get("/jobs", params=params)).text)) == {
            job.id for job in expected
        }, query
        counted = (await browser.get("/api/jobs/count", params=params)).json()
        assert counted["jobs"] == len(expected), query
    done = await post(browser, "/jobs/act", action="delete", all="1", q="queue:email queue:default")
    assert done.headers["location"].endswith("n=0")
    done = await post(browser, "/jobs/act", action="delete", all="1", q="mail report")
    assert done.headers["location"].endswith("n=1")
    assert len(await states(site, [sent.id, half.id, report.id])) == 2


async def test_what_a_search_does_not_understand_is_said(browser: httpx.AsyncClient) -> None:
    for query in (
        "nam:x", "attempt:many", "state:odd", 'error:"x', "args.:7", "zzz", "id:x",
        *(rf'{kind}:"\ud800"' for kind in ("name", "queue", "tag", "error", "schedule", "args.x")),
        "after:0001-01-01T00:00:00+10:00", "before:9999-12-31T23:59:59-12:00",
        "after:2030-01-01+02:00", "before:2030-01-01-02:00", "after:2030-01-01x12:30",
    ):  # fmt: skip
        answer = await browser.get("/jobs", params={"q": query})
        assert answer.status_code == 422, query
        assert 'role="alert"' in answer.text
        assert "Nothing was searched for." in answer.text


async def test_pages_follow_each_other(site: Site, browser: httpx.AsyncClient) -> None:
    send = site.jobs.registry["send_mail"]
    stored = await site.later.many([send(n) for n in range(2 * PAGE + 5)])
    seen: list[int] = []
    path: str | None = "/jobs?q=name:send_mail"
    while path:
        answer = await browser.get(path)
        seen += ids_in(answer.text)
        link = re.search(r'rel="next" href="([^"]+)"', answer.text)
        path = str(answer.url.join(unescape(link[1]))) if link else None
    assert seen == [job.id for job in reversed(stored)]
    assert (await browser.get("/jobs?after=nonsense")).status_code == 400


async def test_a_page_that_no_page_leads_to_is_refused(browser: httpx.AsyncClient) -> None:
    for after in ("[Infinity]", "[" * 15_000, f"[{2**63}]", '["a"]'):
        answer = await browser.get("/jobs", params={"after": after})
        assert answer.status_code == 400, after
        assert "after must be what the page before said" in answer.text
        assert len(answer.text) < 5_000
    answer = await browser.get("/api/jobs", params={"after": "[Infinity]"})
    assert answer.status_code == 400


async def test_words_to_complete_are_those_of_this_app(browser: httpx.AsyncClient) -> None:
    words = (await browser.get("/jobs/words.json")).json()
    assert words["name"] == ["divide", "plan", "send_mail", "weigh"]
    assert words["queue"] == ["default", "email"]
    assert {"state:", "parent:", "args.user_id:"} <= {*words["filters"]}


async def test_tags_of_stored_jobs_are_completed_beside_those_that_jobs_declare(
    site: Site, browser: httpx.AsyncClient
) -> None:
    @site.jobs.job(tags=["nightly"])
    async def tidy() -> None: ...

    send = site.jobs.registry["send_mail"]
    await site.later(send(7), tags=["vip", "tenant 7"])
    words = (await browser.get("/jobs/words.json")).json()
    assert words["tag"] == ["nightly", "tenant 7", "vip"]


async def test_hidden_arguments_are_not_completed(site: Site) -> None:
    async with site.asking(redact=["user_id"]) as browser:
        words = (await browser.get("/jobs/words.json")).json()
    assert "args.user_id:" not in words["filters"]
    assert "args.subject:" in words["filters"]


# One job


async def test_a_job_is_shown_with_its_failure(site: Site, browser: httpx.AsyncClient) -> None:
    job = await site.later(site.jobs.registry["divide"](1, 0), tags=["red"], meta={"why": "test"})
    await site.jobs.workoff()
    text = unescape((await browser.get(f"/jobs/{job.id}")).text)
    for part in (
        f"divide <span class=\"soft\">#{job.id}</span>", "ZeroDivisionError", "division by zero",
        '"a": 1', '"why": "test"', ">red</a>", "Failed for good", "return a / b",
        "await later(divide(a=1, b=0), queue='default', priority=50, tags=['red'],"
        " meta={'why': 'test'})",
    ):  # fmt: skip
        assert part in text, part


async def test_a_result_that_is_kept_is_shown(site: Site) -> None:
    job = await site.later(site.jobs.registry["divide"](1, 4), retain=600)
    secret = await site.later(site.jobs.registry["weigh"](7), retain=600)
    await site.jobs.workoff()
    async with site.asking(redact=["iban"]) as browser:
        text = unescape((await browser.get(f"/jobs/{job.id}")).text)
        assert "Result</h2>" in text
        assert "<code>0.25</code>" in text
        assert "retain=600.0)" in text
        text = unescape((await browser.get(f"/jobs/{secret.id}")).text)
        assert '"grams": 7' in text
        assert '"iban": "[hidden]"' in text
        answer = (await browser.get(f"/api/jobs/{secret.id}")).json()
        assert answer["result"] == {"grams": 7, "iban": "[hidden]"}
    async with site.asking(redact=lambda job, args: args) as browser:
        text = unescape((await browser.get(f"/jobs/{secret.id}")).text)
        assert '<code>"[hidden]"</code>' in text
    async with site.asking() as browser:
        kept_none = await site.later(site.jobs.registry["divide"](1, 4))
        assert "Result</h2>" not in (await browser.get(f"/jobs/{kept_none.id}")).text


async def test_a_job_leads_to_who_scheduled_it_and_to_what_it_scheduled(
    site: Site, browser: httpx.AsyncClient
) -> None:
    plan = await site.later(site.jobs.registry["plan"](12))
    await site.jobs.workoff()
    text = unescape((await browser.get(f"/jobs/{plan.id}")).text)
    assert "What it scheduled</h2>" in text
    children = ids_in(text)
    assert children == sorted(children, reverse=True)
    assert len(children) == 10
    assert f'jobs?q=parent%3A{plan.id}"' in text
    found = await browser.get("/jobs", params={"q": f"parent:{plan.id}"})
    assert len(ids_in(found.text)) == 12
    child = unescape((await browser.get(f"/jobs/{children[0]}")).text)
    assert f'<a href="../jobs/{plan.id}">plan</a>' in child
    assert "What it scheduled</h2>" not in child
    assert (await browser.get(f"/api/jobs/{children[0]}")).json()["parent_id"] == plan.id
    await site.later.delete(plan.id)
    child = unescape((await browser.get(f"/jobs/{children[0]}")).text)
    assert f'job #{plan.id} <span class="soft">of which nothing is stored any more' in child


async def test_how_far_a_job_is_is_shown_with_who_runs_it(
    site: Site, browser: httpx.AsyncClient
) -> None:
    told, end = asyncio.Event(), asyncio.Event()

    @site.jobs.job
    async def climb() -> None:
        current_job().progress(0.405, "camp 2 <of 5>")
        told.set()
        await end.wait()

    stop = asyncio.Event()
    working = asyncio.create_task(site.jobs.work(stop))
    job = await site.later(climb())
    await told.wait()
    async with asyncio.timeout(30):
        while "<strong>40%</strong> camp 2 &lt;of 5&gt;" not in (
            text := (await browser.get(f"/jobs/{job.id}")).text
        ):
            await asyncio.sleep(0.02)
    assert 'value="0.405"' in text
    assert "Runs on</dt>" in text
    answer = (await browser.get(f"/api/jobs/{job.id}")).json()
    assert answer["progress"] == {"done": 0.405, "message": "camp 2 <of 5>"}
    end.set()
    stop.set()
    await working
    assert "Progress</h2>" not in (await browser.get(f"/jobs/{job.id}")).text


@pytest.mark.parametrize("stored", ["7", "[]", '{"done": "x"}', '{"done": 2}', "{}"])
async def test_progress_of_somebody_elses_making_is_left_out(
    site: Site, browser: httpx.AsyncClient, dsn: str, stored: str
) -> None:
    job = await site.later(site.jobs.registry["divide"](1, 4), wait=600)
    connection = await asyncpg.connect(dsn)
    await connection.execute("update asyncjobs.jobs set progress = $1", stored)
    await connection.close()
    text = (await browser.get(f"/jobs/{job.id}")).text
    assert "Progress</h2>" not in text
    assert (await browser.get(f"/api/jobs/{job.id}")).json()["progress"] is None


async def test_the_line_that_is_copied_stores_a_job_like_it(
    site: Site, browser: httpx.AsyncClient
) -> None:
    job = await site.later(
        site.jobs.registry["send_mail"](7, subject="it's \"new\"\n"),
        tags=["red"], meta={"a": [1, None, True]}, concurrency_key="k'1", retain=60, priority=3,
    )  # fmt: skip
    page = (await browser.get(f"/jobs/{job.id}")).text
    [line] = re.findall(r'<code id="line">await (.*)</code>', page)
    names = {"later": site.later, "send_mail": site.jobs.registry["send_mail"]}
    copy = await eval(unescape(line), names)
    one, other = [await site.later.get(number) for number in (job.id, copy.id)]
    assert one is not None
    assert other is not None
    for fact in ("name", "args", "queue", "priority", "tags", "meta", "lane"):
        assert getattr(one, fact) == getattr(other, fact), fact
    assert "retain" in str(other.extra)


async def test_the_line_has_the_types_that_the_parameters_have(
    site: Site, browser: httpx.AsyncClient
) -> None:
    job_of = site.jobs.job(report)
    args = (
        datetime(2031, 1, 31, 12, 30, tzinfo=UTC), Decimal("1.50"), UUID(int=7), Colour.RED,
        Address("Sète", (1, 2)), Parcel(grams=3, to=[Address("Bern", (3, 4))]),
        {"a": timedelta(minutes=3)}, {date(2031, 2, 1)},
    )  # fmt: skip
    job = await site.later(job_of(*args))
    page = (await browser.get(f"/jobs/{job.id}")).text
    [line] = re.findall(r'<code id="line">await (.*)</code>', page)
    copy = await eval(unescape(line), {**globals(), "later": site.later, "report": job_of})
    [one, other] = await site.jobs.adapters["main"].get([job.id, copy.id])
    assert one.args == other.args
    async with site.asking(redact=["amount"]) as other_browser:
        page = unescape((await other_browser.get(f"/jobs/{job.id}")).text)
    assert "1.50" not in page
    assert "at=datetime.fromisoformat('2031-01-31T12:30:00+00:00')" in page
    assert f"amount={HIDDEN!r}" in page


async def test_a_line_of_what_the_job_does_not_take_any_more_has_what_is_stored(
    site: Site, browser: httpx.AsyncClient, dsn: str
) -> None:
    connection = await asyncpg.connect(dsn)
    number = await connection.fetchval(
        "insert into asyncjobs.jobs (position, run_at, state, name, queue, args)"
        " values (1, now(), 'available', 'divide', 'default', '{\"a\": \"x\"}') returning id"
    )
    await connection.close()
    page = unescape((await browser.get(f"/jobs/{number}")).text)
    assert "await later(divide(a='x'), queue='default', priority=50)" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), "()"), ((1,), "(1,)"), (set(), "set()"), (frozenset(), "frozenset()"),
        (frozenset({1}), "frozenset({1})"), (time(1, 2), "time.fromisoformat('01:02:00')"),
        (Flags.A | Flags.B, "Flags(3)"), (b"x", "b'x'"),
        ({"a": [None, True]}, "{'a': [None, True]}"),
        (Point(1, 2), "Point(x=1, y=2)"),
    ],
)  # fmt: skip
def test_values_are_told_as_they_are_written(value: Any, text: str) -> None:
    assert literal(value) == text
    assert eval(text) == value


async def test_a_job_that_is_not_there_is_explained(browser: httpx.AsyncClient) -> None:
    for number in (7, 2**63, 10**30):
        answer = await browser.get(f"/jobs/{number}")
        assert answer.status_code == 404
        assert "Jobs that succeed are removed" in answer.text
    assert (await browser.get("/jobs/x")).status_code == 404


async def test_numbers_that_are_none_or_too_long_are_of_no_job(browser: httpx.AsyncClient) -> None:
    for number in (2**63, "1" + "0" * 5_000, "\u00b2", "\u0663"):
        for path in (f"/jobs/{number}", f"/jobs/{number}/edit", f"/api/jobs/{number}"):
            assert (await browser.get(path)).status_code == 404, path
    for number in ("\u00b2", "x", "9" * 5_000):
        for path in ("/jobs?said=retry", "/schedules?said=run"):
            answer = await browser.get(f"{path}&n={number}")
            assert answer.status_code == 200
            assert 'class="said"' not in answer.text


async def test_a_job_of_somebody_elses_making_is_shown(
    site: Site, browser: httpx.AsyncClient, dsn: str
) -> None:
    connection = await asyncpg.connect(dsn)
    errors = [
        None,
        7,
        {},
        {"at": "yesterday"},
        {"traceback": 7, "message": ["x"]},
        {"at": "2030-01-01"},
    ]
    number = await connection.fetchval(
        "insert into asyncjobs.jobs (position, run_at, state, name, queue, args, errors)"
        " values (1, now(), 'failed', 'odd name', 'odd', '[1, 2]', $1) returning id",
        json.dumps(errors),
    )
    await connection.close()
    assert (await browser.get(f"/jobs/{number}")).status_code == 200
    assert ids_in((await browser.get("/jobs")).text) == [number]
    assert (await browser.get(f"/jobs/{number}/edit")).status_code == 200


DEEP = "[" * 3_000 + "]" * 3_000
ODD = {
    "huge": {"args": '{"x": 1e5000}'},
    "deep": {"args": f'{{"x": {"[" * 200 + "]" * 200}}}'},
    "deeper": {"args": f'{{"x": {DEEP}}}'},
    "tags": {"tags": ["vip", None]},
    "attempt": {"errors": '[{"error": "E", "attempt": 1e5000}]'},
    "late": {"errors": '[{"error": "E", "at": "9999-12-31T23:59:59-12:00"}]'},
    "early": {"errors": '[{"error": "E", "at": "0001-01-01T00:00:00+12:00"}]'},
    "errors": {"errors": DEEP},
    "extra": {"extra": '{"retain": 1e5000, "meta": {"n": 7}}'},
    "meta": {"extra": f'{{"meta": {{"x": {DEEP}}}}}'},
    "progress": {"progress": f'{{"done": 1e5000, "message": {DEEP}}}'},
    "result": {"result": DEEP},
}


@pytest.mark.parametrize("kind", ODD)
async def test_a_job_that_cannot_be_shown_as_it_is_hides_no_other_and_can_be_deleted(
    site: Site, dsn: str, kind: str
) -> None:
    values = {"args": "{}", "tags": [], "errors": "[]", "extra": None, "progress": None}
    values |= {"result": None, **ODD[kind]}
    connection = await asyncpg.connect(dsn)
    number = await connection.fetchval(
        "insert into asyncjobs.jobs"
        " (position, run_at, state, name, queue, args, tags, errors, extra, progress, result)"
        " values (1, now(), 'available', 'divide', 'odd', $1, $2, $3, $4, $5, $6) returning id",
        *values.values(),
    )
    await connection.close()
    other = await site.later(site.jobs.registry["divide"](1, 2))
    for redact in (["a"], lambda job, args: args):
        async with site.asking(redact=redact) as browser:
            assert ids_in((await browser.get("/jobs")).text) == [other.id, number]
            listed = (await browser.get("/api/jobs")).json()["jobs"]
            assert [job["id"] for job in listed] == [other.id, number]
            for path in (f"/jobs/{number}", f"/jobs/{number}/edit", f"/api/jobs/{number}"):
                assert (await browser.get(path)).status_code == 200, path
    async with site.asking() as browser:
        await post(browser, "/jobs/act", action="delete", id=str(number))
        assert ids_in((await browser.get("/jobs")).text) == [other.id]


async def test_what_cannot_be_shown_is_said_and_not_edited(
    site: Site, browser: httpx.AsyncClient, dsn: str
) -> None:
    connection = await asyncpg.connect(dsn)
    number = await connection.fetchval(
        "insert into asyncjobs.jobs (position, run_at, state, name, queue, args, tags, errors)"
        " values (1, now(), 'available', 'divide', 'odd', $1, array[null], $2) returning id",
        f'{{"a": -1e5000, "b": {"[" * 201 + "]" * 201}, "c": 7}}',
        '[{"attempt": 1e5000}]',
    )
    await connection.close()
    page = (await browser.get(f"/jobs/{number}")).text
    assert "[an integer of 5001 digits]" in page
    assert "[nested more than 200 deep]" in page
    assert "Attempt [an integer of 5001 digits] failed" in page
    assert "[no text]" in page
    assert '"c": 7' in unescape(page)
    assert "Edit and retry" not in page
    answer = await post(browser, f"/jobs/{number}/retry", args='{"a": 1, "b": 2}')
    assert answer.status_code == 422
    assert "its stored arguments cannot all be shown, so not be edited" in answer.text


async def test_a_function_that_fails_at_arguments_shows_none_of_them(site: Site) -> None:
    first, second = await site.later.many(
        [site.jobs.registry["divide"](1, 2), site.jobs.registry["send_mail"](7, subject="tuna")]
    )
    async with site.asking(redact=lambda _, args: {"a": args["a"]}) as browser:
        assert ids_in((await browser.get("/jobs")).text) == [second.id, first.id]
        text = (await browser.get(f"/jobs/{second.id}")).text
        assert "[hidden: redact raised KeyError]" in text
        assert "tuna" not in text


# Doing something


async def test_chosen_jobs_are_acted_on_after_a_question(
    site: Site, browser: httpx.AsyncClient
) -> None:
    divide = site.jobs.registry["divide"]
    failed = await site.later.many([divide(1, 0), divide(2, 0), divide(3, 0)])
    await site.jobs.workoff()
    ids = [job.id for job in failed]
    question = await ask(browser, action="retry", id=ids[:2], q="", state="failed")
    assert "Retry 2 jobs?" in question
    assert await states(site, ids) == ["failed"] * 3
    with structlog.testing.capture_logs() as lines:
        done = await post(browser, "/jobs/act", action="retry", id=ids[:2], state="failed")
    assert done.status_code == 303
    assert done.headers["location"] == "../jobs?state=failed&said=retry&n=2"
    assert await states(site, ids) == ["available", "available", "failed"]
    shown = await browser.get(done.url.join(done.headers["location"]))
    assert "2 jobs were retried." in shown.text
    [line] = [line for line in lines if line["event"] == "dashboard.acted"]
    assert (line["who"], line["action"], line["jobs"]) == ("local", "retry", 2)
    assert line["where"] == {"ids": ids[:2]}


async def test_all_that_match_are_acted_on(site: Site, browser: httpx.AsyncClient) -> None:
    send, divide = site.jobs.registry["send_mail"], site.jobs.registry["divide"]
    mails = await site.later.many([send(n % 2) for n in range(PAGE + 10)])
    other = await site.later(divide(1, 1))
    fields = {"all": "1", "q": "args.user_id:1", "state": "available"}
    question = await ask(browser, action="cancel", **fields)
    half = (PAGE + 10) // 2
    assert f"Cancel {half} jobs?" in question
    done = await post(browser, "/jobs/act", action="cancel", **fields)
    assert f"n={half}" in done.headers["location"]
    assert (await states(site, [job.id for job in mails])).count("cancelled") == half
    assert await states(site, [other.id]) == ["available"]
    done = await post(browser, "/jobs/act", action="delete", all="1", q="", state="cancelled")
    assert f"n={half}" in done.headers["location"]
    assert len(await site.jobs.adapters["main"].get([job.id for job in mails])) == half


async def test_jobs_are_rescheduled(site: Site, browser: httpx.AsyncClient) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    fields = {"action": "reschedule", "id": job.id}
    assert "Reschedule 1 job?" in await ask(browser, **fields)
    done = await post(browser, "/jobs/act", **fields, wait="2", unit="hours", at="")
    assert done.status_code == 303
    assert await states(site, [job.id]) == ["scheduled"]
    done = await post(browser, "/jobs/act", **fields, at="2040-01-31T12:00", zone="Europe/Zurich")
    assert done.status_code == 303
    [record] = await site.jobs.adapters["main"].get([job.id])
    assert record.run_at.isoformat() == "2040-01-31T11:00:00+00:00"
    for wrong in (
        {"at": "soon"},
        {"wait": "x", "at": ""},
        {"at": "2040-01-01+02:00"},
        {"at": "2040-01-01T00:00", "zone": "../x"},
        {"at": "0001-01-01T00:00", "zone": "Asia/Tokyo"},
        {"at": "9999-12-31T23:59", "zone": "America/New_York"},
    ):
        assert (await post(browser, "/jobs/act", **fields, **wrong)).status_code == 400, wrong
    assert (await post(browser, "/jobs/act", **fields, wait="-1")).status_code == 400


async def test_a_state_that_does_not_allow_it_is_respected(
    site: Site, browser: httpx.AsyncClient
) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    question = await ask(browser, action="retry", id=job.id)
    assert "The state of none of them allows it." in question
    done = await post(browser, "/jobs/act", action="retry", id=job.id)
    shown = await browser.get(done.url.join(done.headers["location"]))
    assert "Nothing was retried" in shown.text


async def test_a_search_that_is_not_understood_is_never_acted_on(
    site: Site, browser: httpx.AsyncClient
) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    for query in ("stat:failed", 'name:"x', "attempt:?"):
        answer = await post(browser, "/jobs/act", action="delete", all="1", q=query)
        assert answer.status_code == 400, query
    answer = await post(browser, "/jobs/act", action="delete", all="1", state="odd")
    assert answer.status_code == 400
    assert (await post(browser, "/jobs/act", action="delete")).status_code == 400
    assert (await post(browser, "/jobs/act", action="explode", id=job.id)).status_code == 400
    for number in ("x", "\u00b2", "\u0663", "9" * 5_000):
        answer = await post(browser, "/jobs/act", action="delete", id=number)
        assert answer.status_code == 400, number
        answer = await post(browser, "/jobs/act", action="delete", id=job.id, job=number)
        assert answer.status_code == 400, number
        params = {"action": "delete", "id": job.id, "job": number}
        assert (await browser.get("/jobs/confirm", params=params)).status_code == 400, number
    assert await states(site, [job.id]) == ["available"]


async def test_other_arguments_are_checked_and_used(site: Site, browser: httpx.AsyncClient) -> None:
    job = await site.later(site.jobs.registry["divide"](1, 0))
    await site.jobs.workoff()
    form = await browser.get(f"/jobs/{job.id}/edit")
    assert '"b": 0' in unescape(form.text)
    for wrong in ('{"a": 1, "b": "none"}', '{"a": 1}', "[1, 2]", "{"):
        answer = await post(browser, f"/jobs/{job.id}/retry", args=wrong)
        assert answer.status_code == 422, wrong
        assert 'role="alert"' in answer.text
        assert wrong in unescape(answer.text)
    answer = await post(browser, f"/jobs/{job.id}/retry", args='{"a": 1, "b": 2}')
    assert answer.status_code == 303
    await site.jobs.workoff()
    assert await states(site, [job.id]) == ["succeeded"]
    shown = await browser.get(answer.url.join(answer.headers["location"]))
    assert "1 job was retried." in shown.text


async def test_a_running_job_is_cancelled_from_its_page(
    site: Site, browser: httpx.AsyncClient
) -> None:
    begun = asyncio.Event()

    @site.jobs.job
    async def wait_for_ever() -> None:
        begun.set()
        await asyncio.Event().wait()

    job = await site.later(wait_for_ever())
    stop = asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(site.jobs.work(stop))
        await begun.wait()
        page = (await browser.get(f"/jobs/{job.id}")).text
        assert "Runs now" in page
        assert "Runs on</dt>" in page
        assert '<button name="action" value="cancel">Cancel…</button>' in page
        question = await ask(browser, action="cancel", id=job.id, job=job.id)
        assert "Cancel 1 job?" in question
        assert f'name="job" value="{job.id}"' in question
        assert f'href="../jobs/{job.id}">Back' in question
        answer = await post(browser, "/jobs/act", action="cancel", id=job.id, job=job.id)
        assert answer.headers["location"] == f"../jobs/{job.id}?said=cancel&n=1"
        while await states(site, [job.id]) != ["cancelled"]:
            await asyncio.sleep(0.02)
        stop.set()


# Who may


async def routes_that_act(site: Site) -> list[str]:
    found = []
    for route in site.jobs.dashboard().routes:
        methods = getattr(route, "methods", None) or set()
        if methods - {"GET", "HEAD"}:
            assert "GET" not in methods
            found.append(route.path.replace("{id:int}", "1"))
    return found


async def test_nothing_is_done_without_the_token_of_our_own_page(
    site: Site, browser: httpx.AsyncClient
) -> None:
    token = await token_of(browser)
    [cookie] = [cookie for cookie in browser.cookies.jar if cookie.name == "asyncjobs_token"]
    assert cookie.value == token
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    paths = await routes_that_act(site)
    assert "/jobs/act" in paths
    for path in paths:
        if path.startswith("/api/"):
            continue
        for data in ({}, {"token": ""}, {"token": "x" * 43}, {"token": token + "x"}):
            answer = await browser.post(path, data=data, headers=SAME_ORIGIN)
            assert answer.status_code == 403, path
        async with site.asking() as other:
            answer = await other.post(path, data={"token": token}, headers=SAME_ORIGIN)
            assert answer.status_code == 403, path


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "X-Asyncjobs": "1", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
    ],
)
async def test_nothing_is_done_for_another_site(
    site: Site, browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    token = await token_of(browser)
    for path in await routes_that_act(site):
        data = {"token": token, "action": "delete", "id": job.id}
        answer = await browser.post(path, data=data, headers=headers)
        assert answer.status_code == 403, path
        said = "came from another site" if headers else "does not say where it comes from"
        assert said in answer.text
    assert await states(site, [job.id]) == ["available"]


async def test_a_browser_without_sec_fetch_site_is_known_by_its_origin(
    site: Site, browser: httpx.AsyncClient
) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    data = {"token": await token_of(browser), "action": "delete", "id": job.id}
    answer = await browser.post("/jobs/act", data=data, headers={"Origin": "http://localhost"})
    assert answer.status_code == 303
    assert await states(site, [job.id]) == []


@pytest.mark.parametrize("options", [{"read_only": True}, {"auth": lambda _: Identity("Eve")}])
async def test_who_may_only_look_changes_nothing(site: Site, options: dict[str, Any]) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    async with site.asking(**options) as browser:
        for path in ("/", "/jobs", f"/jobs/{job.id}", "/workers"):
            answer = await browser.get(path)
            assert answer.status_code == 200
            assert not re.search(
                r'<form[^>]*method="post"[^>]*>(?:(?!</form>).)*<button', answer.text, re.S
            )
        assert (await browser.get(f"/jobs/{job.id}/edit")).status_code == 403
        token = browser.cookies["asyncjobs_token"]
        for path in await routes_that_act(site):
            data = {"token": token, "action": "delete", "id": job.id}
            answer = await browser.post(path, data=data, headers=SAME_ORIGIN)
            assert answer.status_code == 403, path
    assert await states(site, [job.id]) == ["available"]


# What somebody else wrote

EVIL = """<script>alert(1)</script><img src=x onerror=alert(1)>'"`{{7*7}}</textarea></title>"""


async def test_scripts_in_names_arguments_errors_and_tags_are_only_text(
    site: Site, dsn: str
) -> None:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    error = {
        "attempt": EVIL,
        "at": EVIL,
        "error": EVIL,
        "message": EVIL,
        "worker": EVIL,
        "traceback": EVIL,
    }
    number = await connection.fetchval(
        "insert into asyncjobs.jobs"
        " (position, run_at, state, name, queue, args, errors, tags, extra, finished_at)"
        " values (1, now(), 'failed', $1, $1, $2, $3, array[$1], $4, now()) returning id",
        EVIL,
        json.dumps({EVIL: EVIL}),
        json.dumps([error]),
        json.dumps({"meta": {EVIL: EVIL}, "schedule": {"name": EVIL, "tick": EVIL}}),
    )
    await connection.execute(
        "insert into asyncjobs.jobs (position, run_at, state, name, queue, args)"
        " values (1, now(), 'available', $1, $1, $2)",
        EVIL, json.dumps({EVIL: EVIL}),
    )  # fmt: skip
    await connection.execute(
        "insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid,"
        " process_started, lease) values ($1, $1, array[$1], $1, $1, 1, 1, '1 hour')",
        EVIL,
    )
    await connection.close()
    async with site.asking(title=EVIL, auth=lambda _: Identity(EVIL, may_act=True)) as browser:
        for path in (
            "/", "/jobs", f"/jobs/{number}", f"/jobs/{number}/edit", "/workers", "/nothing",
        ):  # fmt: skip
            text = (await browser.get(path)).text
            assert not re.search(
                r"<script>|<img|<title>.*<script|&lt;/textarea&gt;<script", text
            ), path
            assert "&lt;script&gt;alert(1)" in text, path
        for query in (EVIL, f"name:{EVIL}", f"state:{EVIL}", f"args.{EVIL}:{EVIL}"):
            text = (await browser.get("/jobs", params={"q": query, "state": EVIL})).text
            assert not re.search(r"<script>|<img", text)
