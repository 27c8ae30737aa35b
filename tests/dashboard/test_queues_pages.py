"""The pages of queues, limits and lanes, and what can be done there."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from asyncjobs import RateLimit
from asyncjobs.dashboard import Identity
from asyncjobs.dashboard.pages.lanes import PAGE
from asyncjobs.glance.queues import limit_in_words
from asyncjobs.limits import make_limit
from asyncjobs.types import Limit
from tests.dashboard.test_schedules_pages import EVIL, HEADERS, SAME_ORIGIN, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from asyncjobs.job import Job
    from tests.dashboard.sites import Site


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.asking() as client:
        yield client


@pytest.fixture
def sync(site: Site) -> Job[[int], None]:
    @site.jobs.job(concurrency_key="tenant:{tenant}", concurrency=2)
    async def sync_tenant(tenant: int) -> None: ...

    return sync_tenant


async def act(browser: httpx.AsyncClient, action: str, kind: str, name: str) -> httpx.Response:
    data = {"token": await token_of(browser), "action": action, "kind": kind, "name": name}
    return await browser.post("/queues/act", data=data, headers=SAME_ORIGIN)


async def change(browser: httpx.AsyncClient, name: str, **fields: str) -> httpx.Response:
    data = {"token": await token_of(browser), "name": name, **fields}
    return await browser.post("/queues/limit", data=data, headers=SAME_ORIGIN)


async def limits(site: Site) -> dict[str, Limit]:
    known = await site.jobs.adapters["main"].limits.known()
    return {limit.limit.name: limit.limit for limit in known}


def card(text: str, queue: str) -> str:
    """What is said of a queue, without its tags."""
    [found] = re.findall(rf"<section[^>]*>(?:(?!</section>).)*?>{queue} .*?</section>", text, re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found))


# The words


@pytest.mark.parametrize(
    ("concurrency", "rate", "words"),
    [
        (None, None, "no limit"),
        (5, None, "5 at once"),
        (None, RateLimit(300, 60), "5 starts a second, and up to 300 starts together after a rest"),
        (None, RateLimit(1, 60), "1 start a minute, one by one"),
        (None, RateLimit(10, 60, smooth=True), "10 starts a minute, one by one"),
        (2, RateLimit(1, 7_200), "2 at once; 12 starts a day, one by one"),
        (None, RateLimit(1, 200_000), "1 start every 2 d 7 h, one by one"),
        (None, RateLimit(5, 2), "2.5 starts a second, and up to 5 starts together after a rest"),
    ],
)
def test_limits_are_told_in_words(
    concurrency: int | None, rate: RateLimit | None, words: str
) -> None:
    assert limit_in_words(make_limit("job:x", concurrency, rate) or Limit("job:x")) == words


# The pages


async def test_queues_are_told_with_what_is_in_them(site: Site, browser: httpx.AsyncClient) -> None:
    send, divide = site.jobs.registry["send_mail"], site.jobs.registry["divide"]
    await site.later.many([divide(1, 0), divide(1, 2)])
    assert await site.jobs.workoff() == 2
    await site.later.many([send(n) for n in range(3)])
    await site.later(send(9), wait=3_600)
    text = (await browser.get("/queues")).text
    email = card(text, "email")
    assert "Could run 3 For later 1 Running 0 Failed 0" in email
    assert "No worker that lives works on it." in email
    default = card(text, "default")
    assert "Failed 1 Succeeded 1" in default
    assert "nothing waits" in default
    assert "2 ended, 1 failed in the last hour" in default
    assert "Nothing is limited." in text
    assert "No limited job is stored" in text
    link = re.search(r'href="([^"]*state=available[^"]*)">3</a>', text)
    assert link
    found = await browser.get(unescape(link[1]))
    assert len(re.findall(r'id="job-\d+"', found.text)) == 3


async def test_lanes_are_told_with_their_limit(
    site: Site, browser: httpx.AsyncClient, sync: Job[[int], None]
) -> None:
    await site.later.many([sync(7) for _ in range(3)])
    await site.later.pause(queue="email")
    text = re.sub(r"\s+", " ", (await browser.get("/queues")).text)
    assert "2 at once" in text
    assert "for each key of sync_tenant" in text
    assert "tenant:7" in text
    assert '<span class="state waiting">paused</span>' in text
    for query, expected in (
        ("", ["tenant:7"]), ("kind=key", ["tenant:7"]), ("kind=job", []),
        ("q=TENANT", ["tenant:7"]), ("q=nobody", []),
    ):  # fmt: skip
        answer = await browser.get(f"/queues/lanes?{query}")
        assert answer.status_code == 200
        assert re.findall(r"<strong>(tenant:\d+)</strong>", answer.text) == expected, query
    assert "No lane is like this." in answer.text
    assert (await browser.get("/queues/lanes?kind=odd")).status_code == 400


async def test_lanes_come_page_by_page(site: Site, browser: httpx.AsyncClient) -> None:
    names = [f"k{number:03}" for number in range(PAGE + 5)]
    for name in names:
        await site.later.pause(key=name)
    seen: list[str] = []
    path: str | None = "/queues/lanes?kind=key"
    while path:
        answer = await browser.get(path)
        seen += re.findall(r"<strong>(k\d+)</strong>", answer.text)
        link = re.search(r'rel="next" href="([^"]+)"', answer.text)
        path = str(answer.url.join(unescape(link[1]))) if link else None
    assert seen == names


# Pauses


@pytest.mark.parametrize(
    ("kind", "name"), [("queue", "email"), ("job", "send_mail"), ("key", "tenant:7")]
)
async def test_things_are_paused_after_a_question_and_resumed(
    site: Site, browser: httpx.AsyncClient, kind: str, name: str
) -> None:
    asked = await browser.get("/queues/confirm", params={"kind": kind, "name": name})
    assert f"Pause the {kind} {name}?" in asked.text
    assert await site.later.pauses() == []
    with structlog.testing.capture_logs() as lines:
        done = await act(browser, "pause", kind, name)
    [pause] = await site.later.pauses()
    assert (pause.kind, pause.name) == (kind, name)
    [line] = [line for line in lines if line["event"] == "dashboard.acted"]
    assert (line["who"], line["action"], line["where"], line["changed"]) == (
        "local", "pause", {kind: name}, True,
    )  # fmt: skip
    text = (await browser.get(done.url.join(done.headers["location"]))).text
    assert "It is paused." in text
    assert ">Resume" in text
    assert (await act(browser, "pause", kind, name)).headers["location"].endswith("said=paused")
    assert (await act(browser, "resume", kind, name)).headers["location"].endswith("said=resume")
    assert (await act(browser, "resume", kind, name)).headers["location"].endswith("said=resumed")
    assert await site.later.pauses() == []


async def test_a_key_that_ends_with_a_space_is_paused_itself(
    site: Site, browser: httpx.AsyncClient
) -> None:
    await site.later.pause(key="tenant 7 ")
    await site.later.pause(key="tenant 7")
    done = await act(browser, "resume", "key", "tenant 7 ")
    assert done.headers["location"].endswith("said=resume")
    assert [pause.name for pause in await site.later.pauses()] == ["tenant 7"]
    asked = await browser.get("/queues/confirm", params={"kind": "key", "name": "tenant 7 "})
    assert 'name="name" value="tenant 7 "' in asked.text
    assert (await act(browser, "pause", "key", "tenant 7 ")).status_code == 303
    assert len(await site.later.pauses()) == 2
    after = await browser.get("/queues/lanes", params={"kind": "key", "after": "key:tenant 7"})
    assert re.findall(r"<strong>(tenant.*?)</strong>", after.text) == ["tenant 7 "]


async def test_spaces_around_a_key_that_was_typed_are_left_out(browser: httpx.AsyncClient) -> None:
    form = (await browser.get("/queues")).text
    assert 'type="text" name="typed"' in form
    asked = await browser.get("/queues/confirm", params={"kind": "key", "typed": " tenant:7 "})
    assert "Pause the key tenant:7?" in asked.text
    assert 'name="name" value="tenant:7"' in asked.text
    assert (await browser.get("/queues/confirm?kind=key&typed=+")).status_code == 400


async def test_what_this_program_does_not_know_is_not_paused_but_resumed(
    site: Site, browser: httpx.AsyncClient
) -> None:
    for kind, name in (("queue", "other"), ("job", "other"), ("key", "x" * 201), ("odd", "email")):
        assert (await act(browser, "pause", kind, name)).status_code == 400
    assert (await browser.get("/queues/confirm?kind=odd&name=x")).status_code == 400
    assert (await browser.get("/queues/confirm?kind=key&name=")).status_code == 400
    assert (await act(browser, "explode", "queue", "email")).status_code == 400
    assert await site.later.pauses() == []
    await site.jobs.adapters["main"].limits.pause("queue:another app's")
    text = unescape((await browser.get("/queues")).text)
    assert "another app's" in text
    assert (await act(browser, "resume", "queue", "another app's")).status_code == 303
    assert await site.later.pauses() == []


# Limits


async def test_a_limit_is_changed(
    site: Site, browser: httpx.AsyncClient, sync: Job[[int], None]
) -> None:
    await site.later(sync(7))
    form = (await browser.get("/queues/limit?name=job:sync_tenant")).text
    assert 'name="concurrency" value="2"' in form
    assert "To change it for good, change the code." in form
    with structlog.testing.capture_logs() as lines:
        fields = {"concurrency": "5", "count": "10", "per": "2", "unit": "minutes"}
        done = await change(browser, "job:sync_tenant", **fields)
    assert done.headers["location"] == "../queues?said=limit"
    assert await limits(site) == {"job:sync_tenant": Limit("job:sync_tenant", 5, 10, 12.0)}
    [line] = [line for line in lines if line["event"] == "dashboard.acted"]
    assert (line["who"], line["before"]["concurrency"], line["after"]["concurrency"]) == (
        "local", 2, 5,
    )  # fmt: skip
    form = (await browser.get("/queues/limit?name=job:sync_tenant")).text
    assert 'name="count" value="10"' in form
    assert 'name="per" value="120"' in form
    await change(browser, "job:sync_tenant", count="10", per="1", smooth="1")
    assert (await limits(site))["job:sync_tenant"][1:] == (None, 1, 0.1)
    await change(browser, "job:sync_tenant")
    assert (await limits(site))["job:sync_tenant"] == Limit("job:sync_tenant")


async def test_what_limits_nothing_sensible_is_refused_with_the_form(
    site: Site, browser: httpx.AsyncClient, sync: Job[[int], None]
) -> None:
    await site.later(sync(7))
    for fields, problem in (
        ({"concurrency": "0"}, "concurrency"), ({"concurrency": "many"}, "many"),
        ({"concurrency": "9" * 12}, "whole number"), ({"concurrency": "-1"}, "whole number"),
        ({"count": "3"}, "give both"), ({"per": "3"}, "give both"),
        ({"count": "3", "per": "soon"}, "soon"), ({"count": "3", "per": "nan"}, "per"),
        ({"count": "3", "per": "0"}, "per"), ({"count": "3", "per": "1e99"}, "per"),
        ({"count": "0", "per": "1"}, "count"),
    ):  # fmt: skip
        answer = await change(browser, "job:sync_tenant", **fields)
        assert answer.status_code == 422, fields
        assert problem in answer.text
        assert 'role="alert"' in answer.text
        for name, value in fields.items():
            assert f'name="{name}" value="{value}"' in answer.text
    assert (await change(browser, "job:other", concurrency="3")).status_code == 404
    assert (await browser.get("/queues/limit?name=job:other")).status_code == 404
    assert await limits(site) == {"job:sync_tenant": Limit("job:sync_tenant", 2)}


# Safety


@pytest.mark.parametrize(
    "options", [{"read_only": True}, {"auth": lambda _: Identity("Eve")}], ids=["all", "Eve"]
)
async def test_who_may_only_look_changes_no_queue(
    site: Site, options: dict[str, Any], sync: Job[[int], None]
) -> None:
    await site.later(sync(7))
    await site.later.pause(key="held")
    async with site.asking(**options) as browser:
        for path in ("/queues", "/queues/lanes"):
            text = (await browser.get(path)).text
            assert "tenant:7" in text
            for word in ("<button", "Change…"):
                main = text.partition("<main")[2].partition("</main>")[0]
                assert word not in main.replace("<button>Search</button>", "")
        for path in ("confirm?kind=queue&name=email", "limit?name=job:sync_tenant"):
            assert (await browser.get(f"/queues/{path}")).status_code == 403
        assert (await act(browser, "resume", "key", "held")).status_code == 403
        assert (await change(browser, "job:sync_tenant", concurrency="9")).status_code == 403
    assert len(await site.later.pauses()) == 1
    assert await limits(site) == {"job:sync_tenant": Limit("job:sync_tenant", 2)}


async def test_nothing_of_a_queue_is_changed_without_our_token(
    site: Site, browser: httpx.AsyncClient, sync: Job[[int], None]
) -> None:
    await site.later(sync(7))
    data = {
        "token": "wrong", "action": "pause", "kind": "queue", "name": "email",
    }  # fmt: skip
    limit = {"token": "wrong", "name": "job:sync_tenant", "concurrency": "9"}
    for headers in (SAME_ORIGIN, {"Sec-Fetch-Site": "cross-site"}):
        for path, fields in (("act", data), ("limit", limit)):
            answer = await browser.post(f"/queues/{path}", data=fields, headers=headers)
            assert answer.status_code == 403
    assert await site.later.pauses() == []
    assert (await limits(site))["job:sync_tenant"].concurrency == 2


async def test_names_of_lanes_are_only_text(
    site: Site, browser: httpx.AsyncClient, sync: Job[[int], None]
) -> None:
    await site.later(sync(1), concurrency_key=EVIL)
    await site.later.pause(key=EVIL)
    storage = site.jobs.adapters["main"]
    await storage.limits.pause(f"queue:{EVIL}")
    await storage.limits.declare([Limit(f"queue:{EVIL}", 1)])
    for path, params in (
        ("/queues", {"said": EVIL}), ("/queues/lanes", {"q": EVIL}),
        ("/queues/limit", {"name": f"queue:{EVIL}"}),
        ("/queues/confirm", {"kind": "key", "name": EVIL}),
    ):  # fmt: skip
        answer = await browser.get(path, params=params)
        assert answer.status_code == 200
        assert "<script>window" not in answer.text
        assert EVIL in unescape(answer.text)


# The JSON API


async def test_programs_read_queues_and_lanes_and_act_on_them(
    site: Site, browser: httpx.AsyncClient, sync: Job[[int], None]
) -> None:
    await site.later.many([sync(7), sync(8)])
    await site.later(site.jobs.registry["send_mail"](7))

    async def post(path: str, **body: Any) -> Any:
        answer = await browser.post(f"/api/{path}", json=body, headers=HEADERS)
        return answer.json() if answer.status_code == 200 else answer.status_code

    queues = (await browser.get("/api/queues")).json()["queues"]
    told = {queue["name"]: queue for queue in queues}
    assert told["email"]["states"] == [{"state": "available", "jobs": 1, "is_exact": True}]
    assert told["default"]["states"] == [{"state": "waiting", "jobs": 2, "is_exact": True}]
    page = (await browser.get("/api/lanes?limit=1")).json()
    [lane] = page["lanes"]
    assert (lane["name"], lane["waiting"], lane["limit"]["words"]) == (
        "key:tenant:7", 1, "2 at once",
    )  # fmt: skip
    page = (await browser.get("/api/lanes", params={"after": page["after"], "kind": "key"})).json()
    assert [lane["name"] for lane in page["lanes"]] == ["key:tenant:8"]
    assert await post("pauses/pause", kind="queue", name="email") == {"changed": True}
    assert await post("pauses/pause", kind="queue", name="email") == {"changed": False}
    assert await post("pauses/pause", kind="queue", name="other") == 400
    [pause] = (await browser.get("/api/pauses")).json()["pauses"]
    assert (pause["kind"], pause["name"]) == ("queue", "email")
    queues = (await browser.get("/api/queues")).json()["queues"]
    assert [queue["name"] for queue in queues if queue["paused_at"]] == ["email"]
    assert await post("pauses/resume", kind="queue", name="email") == {"changed": True}
    changed = await post("limits/change", name="job:sync_tenant", count=6, per=60, smooth=True)
    assert (changed["concurrency"], changed["burst"], changed["gap"]) == (None, 1, 10.0)
    [limit] = (await browser.get("/api/limits")).json()["limits"]
    assert limit == changed
    assert await post("limits/change", name="job:sync_tenant", count=6) == 422
    assert await post("limits/change", name="job:sync_tenant", smooth=True) == 422
    assert await post("limits/change", name="job:other", concurrency=6) == 404
    async with site.asking(read_only=True) as looking:
        for path, body in (
            ("pauses/pause", {"kind": "queue", "name": "email"}),
            ("limits/change", {"name": "job:sync_tenant"}),
        ):
            answer = await looking.post(f"/api/{path}", json=body, headers=HEADERS)
            assert answer.status_code == 403
