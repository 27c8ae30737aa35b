"""The pages of schedules, what can be done to them, and how it is said how they stand."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import structlog

from asyncjobs.dashboard import Identity
from asyncjobs.dashboard.pages.schedules import PAGE
from asyncjobs.glance.standings import paused_lane, told_of
from asyncjobs.schedule_types import Schedule
from tests.dashboard.test_timetable import NOW, a_schedule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.dashboard.sites import Site

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
HEADERS = {"X-Asyncjobs": "api"}
EVIL = "<script>window.hit=1</script>'\""


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.asking() as client:
        yield client


async def store(site: Site, name: str = "nightly", **options: Any) -> None:
    await site.later(
        site.jobs.registry["send_mail"](7), cron="30 2 * * *", timezone="Europe/Zurich",
        name=name, **options,
    )  # fmt: skip


async def standing(site: Site, name: str = "nightly") -> str:
    [schedule] = await site.jobs.adapters["main"].schedules.get([name])
    return schedule.standing


async def token_of(browser: httpx.AsyncClient) -> str:
    page = await browser.get("/queues")
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    return found[1] if found else browser.cookies["asyncjobs_token"]


async def act(browser: httpx.AsyncClient, action: str, name: str, **fields: str) -> httpx.Response:
    data = {"token": await token_of(browser), "action": action, "name": name, **fields}
    return await browser.post("/schedules/act", data=data, headers=SAME_ORIGIN)


async def told_after(browser: httpx.AsyncClient, done: httpx.Response) -> str:
    """The page that an action leads to."""
    assert done.status_code == 303, done.text
    return unescape((await browser.get(done.url.join(done.headers["location"]))).text)


# How they stand

UNIQUE = '{"unique": ["6b6579", ["scheduled", "available"], null, "ignore"]}'


@pytest.mark.parametrize(
    ("facts", "word", "level", "parts"),
    [
        ({}, "on", "good", ["runs as it should"]),
        ({"enabled": False}, "off", "", ["switched off", "Switch it on"]),
        ({"retired_at": NOW - timedelta(hours=2)}, "retired", "", ["2 h ago", "remove it here"]),
        (
            {"gave_up_at": NOW - timedelta(hours=1), "failures": 24},
            "gave up", "bad", ["24 failed attempts", "1 h ago", "start it again"],
        ),
        (
            {"problem": "no worker knows the job tidy_up"},
            "problem", "bad", ["No worker knows", "Start a worker whose code"],
        ),
        ({"problem": "cron is odd"}, "problem", "bad", ["Cron is odd.", "Correct when it runs"]),
        ({"next_at": NOW - timedelta(minutes=9)}, "late", "warning", ["9 min ago", "tidy_up"]),
        (
            {"next_at": None, "after_at": NOW - timedelta(minutes=9)},
            "late", "warning", ["not been planned since 9 min ago"],
        ),
        ({"next_at": None, "after_at": NOW}, "on", "good", []),
        ({"last_result": "failed", "failures": 3}, "failing", "warning", ["3 attempts"]),
        (
            {"last_at": NOW - timedelta(hours=9), "skipped_at": NOW - timedelta(hours=1)},
            "skipped", "warning", ["1 h ago made no run", "had not ended", "allow"],
        ),
        ({"last_at": NOW, "skipped_at": NOW - timedelta(hours=1)}, "on", "good", []),
        (
            {"skipped_at": NOW - timedelta(hours=1), "overlap": "allow", "extras": UNIQUE},
            "skipped", "warning", ["run: an equal unique job existed, or it", "without unique"],
        ),
        (
            {"skipped_at": NOW - timedelta(hours=1), "overlap": "allow"},
            "skipped", "warning", ["made no run: it came too late.", "while no worker"],
        ),
        (
            {"next_at": NOW - timedelta(minutes=9), "extras": UNIQUE},
            "late", "warning", ["schedule.in_doubt, end the transaction"],
        ),
        ({"extras": "[odd"}, "on", "good", []),
    ],
)  # fmt: skip
def test_how_a_schedule_stands_is_said_with_what_to_do(
    facts: dict[str, Any], word: str, level: str, parts: list[str]
) -> None:
    told = told_of(a_schedule(**facts), NOW)
    assert (told.word, told.level) == (word, level)
    for part in parts:
        assert part in f"{told.what} {told.advice}"
    assert bool(told.advice) == (word != "on")


def test_what_is_paused_of_a_schedule_is_named() -> None:
    assert paused_lane(a_schedule(), {"queue:other", "key:tidy_up"}) is None
    assert paused_lane(a_schedule(), {"queue:default"}) == "queue default"
    assert paused_lane(a_schedule(job="a:b"), {"job:a:b", "queue:default"}) == "job a:b"


# The pages


async def test_without_schedules_it_is_said_what_to_type(browser: httpx.AsyncClient) -> None:
    text = unescape((await browser.get("/schedules")).text)
    assert "There are no schedules." in text
    assert '@jobs.job(cron="30 2 * * *", timezone="Europe/Zurich")' in text
    assert (await browser.get("/schedules/one?name=none")).status_code == 404
    assert (await browser.get("/schedules?standing=odd")).status_code == 400
    for name in ("q", "after"):
        assert (await browser.get("/schedules", params={name: "a\0b"})).status_code == 400


async def test_schedules_are_told_in_plain_words(site: Site, browser: httpx.AsyncClient) -> None:
    await store(site)
    await site.later(site.jobs.registry["divide"](1, 2), every=30, name="often")
    text = (await browser.get("/schedules")).text
    assert "Every day at 02:30, Europe/Zurich" in text
    assert "Every 30 s" in text
    assert text.count("none yet") == 2
    text = (await browser.get("/schedules/one?name=nightly")).text
    ticks = re.findall(r'<time data-exact datetime="([^"]+)"', text)
    assert len(ticks) == 5
    assert {tick[11:16] for tick in ticks} <= {"01:30", "00:30"}  # winter, summer
    assert '"user_id": 7' in unescape(text)
    assert "None. Runs that succeed are removed" in text


async def test_schedules_are_searched_and_come_page_by_page(
    site: Site, browser: httpx.AsyncClient
) -> None:
    names = [f"s{number:02}" for number in range(PAGE + 3)]
    for name in names:
        await store(site, name)
    await site.later.schedules.disable("s07")
    seen: list[str] = []
    path: str | None = "/schedules"
    while path:
        answer = await browser.get(path)
        seen += re.findall(r"schedules/one\?name=([^\"]+)", answer.text)
        link = re.search(r'rel="next" href="([^"]+)"', answer.text)
        path = str(answer.url.join(unescape(link[1]))) if link else None
    assert seen == names
    for query, expected in (
        ("q=S1", [name for name in names if "s1" in name]),
        ("q=send_mail&standing=off", ["s07"]),
        ("standing=gave+up", []),
    ):
        text = (await browser.get(f"/schedules?{query}")).text
        assert re.findall(r"schedules/one\?name=([^\"]+)", text) == expected, query
    assert "No schedule is like this." in text
    assert re.search(r'Off <span class="soft">1<', text)


async def test_names_with_spaces_around_lead_to_their_schedules(
    site: Site, browser: httpx.AsyncClient
) -> None:
    names = [" early", "nightly", "nightly "]
    for name in names:
        await store(site, name)
    listed = await browser.get("/schedules", params={"q": " nightly "})
    links = re.findall(r'href="([^"]*schedules/one[^"]*)"', listed.text)
    shown = [await browser.get(listed.url.join(unescape(link))) for link in links]
    assert [one.status_code for one in shown] == [200] * 2
    after = await browser.get("/schedules", params={"after": "nightly"})
    assert len(re.findall(r"schedules/one", after.text)) == 1
    assert (await act(browser, "disable", "nightly ")).status_code == 303
    assert [await standing(site, name) for name in names] == ["active", "active", "off"]
    assert (await browser.get("/schedules/one", params={"name": " early"})).status_code == 200
    assert (await browser.get("/schedules/one", params={"name": "early"})).status_code == 404


async def test_runs_are_told_and_lead_to_their_jobs(site: Site, browser: httpx.AsyncClient) -> None:
    await site.later(site.jobs.registry["divide"](1, 0), cron="@daily", name="half a")
    run = await site.later.schedules.run_now("half a")
    assert run is not None
    await site.jobs.workoff()
    text = (await browser.get("/schedules/one?name=half%20a")).text
    assert re.search(rf'href="../jobs/{run.id}">#{run.id}</a>', text)
    assert '<span class="state failed">failed</span>' in text
    link = re.search(r'href="([^"]+)">All its runs that are stored', text)
    assert link
    found = await browser.get(f"/schedules/{unescape(link[1])}")
    assert found.status_code == 200
    assert re.findall(r'id="job-(\d+)"', found.text) == [str(run.id)]
    job = (await browser.get(f"/jobs/{run.id}")).text
    back = re.search(r'href="([^"]+)">half a</a>', job)
    assert back
    assert (await browser.get(f"/jobs/{unescape(back[1])}")).status_code == 200
    # The week tells of it too, which does not need the row.
    await site.later.delete(run.id)
    text = (await browser.get("/schedules")).text
    assert 'aria-label="divide in the last week: 0 succeeded, 1 failed, 0 retried"' in text


async def test_what_is_paused_is_said_of_its_schedules(
    site: Site, browser: httpx.AsyncClient
) -> None:
    await store(site)
    assert "is paused" not in (await browser.get("/schedules")).text
    await site.later.pause(job="send_mail")
    async with site.asking() as fresh:
        for path in ("/schedules", "/schedules/one?name=nightly"):
            assert "The job send_mail is paused:" in (await fresh.get(path)).text


# What can be done


async def test_a_schedule_is_run_now(site: Site, browser: httpx.AsyncClient) -> None:
    await store(site)
    with structlog.testing.capture_logs() as lines:
        text = await told_after(browser, await act(browser, "run", "nightly"))
    [job] = (await site.later.find(schedule="nightly")).jobs
    assert f'A run is stored: <a href="../jobs/{job.id}">job {job.id}</a>' in text
    [line] = [line for line in lines if line["event"] == "dashboard.acted"]
    assert (line["who"], line["action"], line["where"], line["job"]) == (
        "local", "run", {"schedule": "nightly"}, job.id,
    )  # fmt: skip
    done = await act(browser, "run", "nightly", **{"from": "list", "q": "night"})
    assert done.headers["location"] == "../schedules?q=night&said=busy"
    assert "a run has not ended" in await told_after(browser, done)
    assert len((await site.later.find(schedule="nightly")).jobs) == 1


async def test_a_schedule_is_switched_off_after_a_question_and_on(
    site: Site, browser: httpx.AsyncClient
) -> None:
    await store(site)
    asked = await browser.get("/schedules/confirm?action=disable&name=nightly")
    assert "Switch off the schedule nightly?" in asked.text
    assert "not made up for" in asked.text
    assert await standing(site) == "active"
    text = await told_after(browser, await act(browser, "disable", "nightly"))
    assert "It is switched off." in text
    assert ">Switch on</button>" in text
    assert await standing(site) == "off"
    text = await told_after(browser, await act(browser, "enable", "nightly"))
    assert "It is switched on." in text
    assert await standing(site) == "active"


async def test_one_that_gave_up_is_started_again(site: Site, browser: httpx.AsyncClient) -> None:
    await site.later(site.jobs.registry["divide"](1, 0), cron="@daily", name="half")
    await site.later.schedules.run_now("half")
    await site.jobs.workoff()
    text = (await browser.get("/schedules")).text
    assert "after 1 failed attempt since one succeeded" in text
    assert ">Start again</button>" in text
    assert await standing(site, "half") == "gave up"
    await told_after(browser, await act(browser, "enable", "half"))
    assert await standing(site, "half") == "active"


async def test_only_what_no_code_declares_is_removed(
    site: Site, browser: httpx.AsyncClient
) -> None:
    @site.jobs.job(cron="@daily")
    async def tidy_up() -> None: ...

    await site.jobs.workoff()
    await store(site)
    declared = (await browser.get("/schedules/one?name=tidy_up")).text
    assert "Remove…" not in declared
    assert (await act(browser, "remove", "tidy_up")).status_code == 400
    assert "Remove…" in (await browser.get("/schedules/one?name=nightly")).text
    asked = await browser.get("/schedules/confirm?action=remove&name=nightly")
    assert "cannot be undone" in asked.text
    text = await told_after(browser, await act(browser, "remove", "nightly"))
    assert "The schedule is removed." in text
    assert [schedule.name for schedule in await site.later.schedules.list()] == ["tidy_up"]


async def test_nothing_else_is_done_to_schedules(site: Site, browser: httpx.AsyncClient) -> None:
    await store(site)
    assert (await act(browser, "explode", "nightly")).status_code == 400
    assert (await act(browser, "run", "none")).status_code == 404
    assert (await browser.get("/schedules/confirm?action=run&name=nightly")).status_code == 400
    data = {"token": "wrong", "action": "run", "name": "nightly"}
    for headers in (SAME_ORIGIN, {"Sec-Fetch-Site": "cross-site"}):
        answer = await browser.post("/schedules/act", data=data, headers=headers)
        assert answer.status_code == 403
    assert (await site.later.count()).jobs == 0


@pytest.mark.parametrize(
    "options", [{"read_only": True}, {"auth": lambda _: Identity("Eve")}], ids=["all", "Eve"]
)
async def test_who_may_only_look_sees_schedules_without_buttons(
    site: Site, options: dict[str, Any]
) -> None:
    await store(site)
    async with site.asking(**options) as browser:
        for path in ("/schedules", "/schedules/one?name=nightly"):
            text = (await browser.get(path)).text
            assert "nightly" in text
            assert ">Run now</button>" not in text
            assert "Switch off" not in text
        path = "/schedules/confirm?action=disable&name=nightly"
        assert (await browser.get(path)).status_code == 403
        assert (await act(browser, "run", "nightly")).status_code == 403
    assert (await site.later.count()).jobs == 0


async def test_names_and_arguments_of_schedules_are_only_text(
    site: Site, browser: httpx.AsyncClient
) -> None:
    await store(site, EVIL)
    await site.later.schedules.run_now(EVIL)
    params = {"name": EVIL}
    for answer in (
        await browser.get("/schedules"),
        await browser.get("/schedules/one", params=params),
        await browser.get("/schedules/confirm", params=params | {"action": "disable"}),
        await browser.get("/schedules", params={"said": EVIL, "n": EVIL, "q": EVIL}),
        await browser.get("/schedules/one", params=params | {"said": "run", "n": EVIL}),
    ):
        assert answer.status_code == 200
        assert "<script>window" not in answer.text
        assert EVIL in unescape(answer.text)
    async with site.asking(redact=["user_id"]) as hiding:
        text = (await hiding.get("/schedules/one", params=params)).text
        assert "[hidden]" in text


# The JSON API


async def test_programs_read_and_act_on_schedules(site: Site, browser: httpx.AsyncClient) -> None:
    for name in ("a", "b"):
        await store(site, name)
    page = (await browser.get("/api/schedules?limit=1")).json()
    [first] = page["schedules"]
    assert (first["name"], first["when"], first["standing"]) == (
        "a", "Every day at 02:30, Europe/Zurich", "active",
    )  # fmt: skip
    assert first["args"]["user_id"] == 7
    page = (await browser.get("/api/schedules", params={"after": page["after"]})).json()
    assert [one["name"] for one in page["schedules"]] == ["b"]
    assert page["after"] is None

    async def post(what: str, name: str = "a") -> Any:
        body = {"name": name}
        answer = await browser.post(f"/api/schedules/{what}", json=body, headers=HEADERS)
        return answer.json() if answer.status_code == 200 else answer.status_code

    run = (await post("run"))["job"]
    assert isinstance(run, int)
    assert await post("run") == {"job": None}
    one = (await browser.get("/api/schedules/one?name=a")).json()
    assert [told["id"] for told in one["runs"]] == [run]
    assert len(one["ticks"]) == 5
    assert [await post("disable"), await post("disable")] == [{"changed": True}, {"changed": False}]
    page = (await browser.get("/api/schedules?standing=off&q=SEND")).json()
    assert [(one["name"], one["advice"] != "") for one in page["schedules"]] == [("a", True)]
    assert [await post("enable"), await post("enable")] == [{"changed": True}, {"changed": False}]
    assert await post("remove") == {"changed": True}
    assert await post("remove") == 404
    async with site.asking(read_only=True) as looking:
        answer = await looking.post("/api/schedules/run", json={"name": "b"}, headers=HEADERS)
        assert answer.status_code == 403


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "4000-01-01 BC", "20000-01-01"])
async def test_moments_that_python_does_not_know_hide_no_schedule(
    site: Site, browser: httpx.AsyncClient, dsn: str, moment: str
) -> None:
    columns = [name for name in Schedule._fields if name.endswith("_at")]
    for column in columns:
        await store(site, column)
    connection = await asyncpg.connect(dsn)
    for column in columns:
        await connection.execute(
            f"update asyncjobs.schedules set {column} = '{moment}' where name = '{column}'"
        )
    await connection.close()
    page = await browser.get("/schedules")
    told = await browser.get("/api/schedules", headers=HEADERS)
    assert (page.status_code, told.status_code) == (200, 200)
    for column in columns:
        assert column in page.text
        for path in ("/schedules/one", "/api/schedules/one"):
            answer = await browser.get(path, params={"name": column}, headers=HEADERS)
            assert answer.status_code == 200
