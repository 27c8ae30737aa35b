"""Who is let in, and what is let through."""

from __future__ import annotations

import asyncio
import re
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
import fastapi
import httpx
import pytest
import structlog
from fastapi.responses import RedirectResponse
from starlette.routing import Route

from asyncjobs import ConfigError, JobManager, MemoryAdapter, UnknownAdapterError
from asyncjobs.dashboard import Identity, by_dependency, hash_password, password, passwords
from asyncjobs.dashboard.actions import Actions
from tests.dashboard.sites import Site, make_manager

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


# Without auth=


async def test_without_auth_this_machine_is_let_in(site: Site) -> None:
    app = site.jobs.dashboard()
    for client, host in (
        (("127.0.0.1", 1), "localhost:8000"),
        (("127.0.0.1", 1), "127.0.0.1:8000"),
        (("::1", 1), "[::1]:8000"),
        (("::ffff:127.0.0.1", 1), "localhost"),
    ):
        async with site.browser(app, client, host) as browser:
            answer = await browser.get("/")
            assert answer.status_code == 200, (client, host)
            assert "You are <strong>local</strong>" in answer.text


@pytest.mark.parametrize(
    ("client", "host", "headers"),
    [
        (("10.0.0.7", 1), "localhost", {}),
        (("127.0.0.1", 1), "jobs.example.org", {}),
        (("127.0.0.1", 1), "localhost.example.org", {}),
        (("127.0.0.1", 1), "10.0.0.1", {}),
        *(
            (("127.0.0.1", 1), "localhost", {header: "127.0.0.1"})
            for header in (
                "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
                "X-Forwarded-Prefix", "X-Original-Forwarded-For", "X-Real-IP", "X-Client-IP",
                "True-Client-IP", "CF-Connecting-IP", "CF-Ray", "X-Amzn-Trace-Id",
            )
        ),
    ],
)  # fmt: skip
async def test_without_auth_nobody_else_is_let_in(
    site: Site, client: tuple[str, int], host: str, headers: dict[str, str]
) -> None:
    app = site.jobs.dashboard()
    async with site.browser(app, client, host, headers=headers) as browser:
        for path in ("/", "/workers", "/schedules", "/queues", "/events", "/nothing-here"):
            answer = await browser.get(path)
            assert answer.status_code == 403
            assert "This dashboard is closed" in answer.text
            assert "auth=password(" in answer.text
        assert (await browser.get("/static/dashboard.css")).status_code == 200


async def test_without_auth_a_proxy_that_only_speaks_an_old_http_is_not_let_in(site: Site) -> None:
    app = site.jobs.dashboard()
    for version, status in (("1.0", 403), ("1.1", 200), ("2", 200)):

        async def passed_on(
            scope: Scope, receive: Receive, send: Send, version: str = version
        ) -> None:
            await app({**scope, "http_version": version}, receive, send)

        async with site.browser(passed_on, host="127.0.0.1:8000") as browser:
            assert (await browser.get("/jobs")).status_code == status, version


# With auth=


async def test_an_identity_is_let_in_wherever_it_comes_from(site: Site) -> None:
    async def auth(request: Request) -> Identity | None:
        return Identity("Ada") if request.headers.get("x-user") == "ada" else None

    app = site.jobs.dashboard(auth=auth)
    async with site.browser(app, ("10.0.0.7", 1), "jobs.example.org") as browser:
        assert (await browser.get("/")).status_code == 403
        answer = await browser.get("/", headers={"X-User": "ada"})
        assert answer.status_code == 200
        assert "<strong>Ada</strong>, and may only look" in answer.text


async def test_auth_may_be_a_plain_function_and_may_answer_itself(site: Site) -> None:
    def auth(request: Request) -> Any:
        return RedirectResponse("/login") if "session" not in request.cookies else Identity("Ada")

    async with site.asking(auth=auth) as browser:
        answer = await browser.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/login")
        assert (await browser.get("/", headers={"Cookie": "session=1"})).status_code == 200


async def test_an_auth_that_returns_something_else_lets_nobody_in(site: Site) -> None:
    async with site.asking(auth=lambda _: True) as browser:
        assert (await browser.get("/")).status_code == 500


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"auth": 3}, "auth must be a function from a request to an Identity, got: int"),
        ({"auth": "swordfish"}, "auth must be a function .*, got: str"),
        ({"read_only": "no"}, "read_only must be True or False, got 'no'"),
    ],
    ids=repr,
)
async def test_options_of_another_kind_are_refused(
    site: Site, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        site.jobs.dashboard(**options)


def test_whether_a_password_lets_act_is_true_or_false() -> None:
    no: Any = "no"
    with pytest.raises(ConfigError, match="may_act must be True or False, got 'no'"):
        password("ada", "open sesame", may_act=no)


@pytest.mark.parametrize("secret", ["open sesame", hash_password("open sesame")])
async def test_a_password_is_asked_for(site: Site, secret: str) -> None:
    app = site.jobs.dashboard(auth=password("ada", secret))
    async with site.browser(app, ("10.0.0.7", 1), "jobs.example.org") as browser:
        answer = await browser.get("/")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Basic realm="asyncjobs"')
        for wrong in (("ada", "open"), ("eve", "open sesame"), ("ada", ""), ("", "")):
            assert (await browser.get("/", auth=wrong)).status_code == 401
        for nonsense in ("Basic", "Basic %%%", "Basic YQ==", "Bearer abc", "Basic ÿ"):
            headers = {"Authorization": nonsense.encode("latin-1")}
            assert (await browser.get("/", headers=headers)).status_code == 401
        for _ in range(2):
            answer = await browser.get("/", auth=("ada", "open sesame"))
            assert answer.status_code == 200
            assert "<strong>ada</strong>" in answer.text


async def test_wrong_passwords_leave_the_threads_to_the_rest_of_the_app(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = password("ada", "open sesame")
    derive, begun, go_on = passwords._derive, Semaphore(0), Event()

    def derive_slowly(secret: bytes, salt: bytes) -> bytes:
        begun.release()
        go_on.wait()
        return derive(secret, salt)

    async def guess(browser: httpx.AsyncClient, secret: str) -> None:
        assert (await browser.get("/", auth=("ada", secret))).status_code == 401

    async with site.asking(auth=auth) as browser, site.asking(auth=auth) as other:
        assert (await other.get("/", auth=("ada", "open sesame"))).status_code == 200
        monkeypatch.setattr(passwords, "_derive", derive_slowly)
        try:
            async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
                for number in range(50):
                    tasks.create_task(guess(browser, f"guess {number}"))
                for _ in range(2):
                    await asyncio.to_thread(begun.acquire)
                await anyio.to_thread.run_sync(str)
                assert not begun.acquire(blocking=False)
                assert (await other.get("/", auth=("ada", "open sesame"))).status_code == 200
                go_on.set()
        finally:
            go_on.set()


def test_a_password_that_cannot_be_is_refused() -> None:
    for user, secret in (("", "x"), ("a:b", "x"), ("ada", ""), ("ada", "scrypt$zz$1")):
        with pytest.raises(ConfigError):
            password(user, secret)
    assert hash_password("x") != hash_password("x")


async def test_the_apps_own_dependency_decides(site: Site) -> None:
    app = fastapi.FastAPI()

    def user_name(x_user: Annotated[str | None, fastapi.Header()] = None) -> str:
        if x_user is None:
            raise fastapi.HTTPException(401, "log in first", {"WWW-Authenticate": "Custom"})
        return x_user

    async def current_user(name: str = fastapi.Depends(user_name)) -> dict[str, Any]:
        return {"name": name, "admin": name == "ada"}

    def identify(user: dict[str, Any]) -> Identity | None:
        return Identity(user["name"], may_act=True) if user["admin"] else None

    app.mount("/jobs", site.jobs.dashboard(auth=by_dependency(current_user, identify)))
    async with site.browser(app, ("10.0.0.7", 1), "jobs.example.org") as browser:
        answer = await browser.get("/jobs/")
        assert (answer.status_code, answer.json()) == (401, {"detail": "log in first"})
        assert answer.headers["www-authenticate"] == "Custom"
        assert (await browser.get("/jobs/", headers={"X-User": "bob"})).status_code == 403
        answer = await browser.get("/jobs/", headers={"X-User": "ada"})
        assert answer.status_code == 200
        assert "<strong>ada</strong>" in answer.text
        app.dependency_overrides[user_name] = lambda: "ada"
        assert (await browser.get("/jobs/workers")).status_code == 200


# What is said of those who try


async def test_whoever_tries_what_they_may_not_is_in_the_log(site: Site) -> None:
    def auth(request: Request) -> Identity | None:
        return Identity(name) if (name := request.headers.get("x-user")) else None

    cases: list[tuple[dict[str, str], str | None, str]] = [
        ({}, None, "may not see this"),
        ({"X-User": "bob", "Sec-Fetch-Site": "cross-site"}, "bob", "another site"),
        ({"X-User": "bob"}, "bob", "where it comes from"),
        ({"X-User": "bob", **SAME_ORIGIN}, "bob", "not change anything"),
    ]
    app = site.jobs.dashboard(auth=auth)
    async with site.browser(app, ("10.0.0.7", 1), "jobs.example.org") as browser:
        for headers, who, why in cases:
            with structlog.testing.capture_logs() as lines:
                answer = await browser.post("/jobs/act", headers=headers)
            assert answer.status_code == 403
            [line] = lines
            assert (line["event"], line["log_level"]) == ("dashboard.denied", "warning")
            assert (line["who"], line["client"]) == (who, "10.0.0.7")
            assert (line["method"], line["path"]) == ("POST", "/jobs/act")
            assert why in line["error"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 303), ("https://localhost", 303), ("http://localhost:81", 403),
        ("http://evil.example", 403), ("http://evil@localhost", 403), ("null", 403), ("", 403),
        ("http://[", 403), ("http://[evil]", 403), ("http://localhost:x", 403), ("\xff", 403),
    ],
)  # fmt: skip
async def test_an_older_browser_says_by_its_origin_where_a_form_comes_from(
    site: Site, origin: str, status: int
) -> None:
    job = await site.later(site.jobs.registry["weigh"](1), wait=3600)
    async with site.asking() as browser:
        page = await browser.get(f"/jobs/{job.id}/edit")
        token = re.findall(r'name="token" value="([^"]+)"', page.text)[0]
        fields = {"token": token, "action": "cancel", "id": job.id}
        headers = {"Origin": origin.encode("latin-1")}
        answer = await browser.post("/jobs/act", data=fields, headers=headers)
        assert answer.status_code == status


async def test_a_form_too_old_and_a_wrong_password_are_in_the_log(site: Site) -> None:
    ada = ("ada", "open sesame")
    async with site.asking(auth=password(*ada)) as browser:
        with structlog.testing.capture_logs() as lines:
            await browser.get("/")
            await browser.get("/workers", auth=("ada", "swordfish"))
            await browser.get("/", auth=ada)
            await browser.post("/jobs/act", auth=ada, headers=SAME_ORIGIN, data={"token": "old"})
    said = [(line["event"], line["who"], line["path"]) for line in lines]
    assert said == [
        ("dashboard.denied", None, "/workers"),
        ("dashboard.denied", "ada", "/jobs/act"),
    ]
    assert "swordfish" not in str(lines)


async def test_an_error_that_nobody_foresaw_is_in_the_log_with_who(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run_now(name: str) -> None:
        raise ZeroDivisionError(name)

    monkeypatch.setattr(type(site.later.schedules), "run_now", lambda _, name: run_now(name))
    desk = site.jobs.dashboard().state.desk
    with structlog.testing.capture_logs() as lines, pytest.raises(ZeroDivisionError):
        await Actions(desk, Identity("Ada", may_act=True)).run_schedule("nightly")
    [line] = lines
    assert (line["event"], line["log_level"], line["who"]) == ("dashboard.failed", "error", "Ada")
    assert line["exc_info"]


# What comes from elsewhere


def all_routes(site: Site) -> list[Route]:
    return [route for route in site.jobs.dashboard().routes if isinstance(route, Route)]


async def test_headers_forbid_whatever_a_page_does_not_need(site: Site) -> None:
    async with site.asking() as browser:
        for path in ("/", "/workers", "/queues", "/nothing-here", "/static/dashboard.js"):
            answer = await browser.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            is_static = path.startswith("/static/")
            kept = "public, max-age=31536000, immutable" if is_static else "no-store"
            assert answer.headers["cache-control"] == kept


async def test_every_script_knows_the_nonce_of_its_page_and_none_is_inline(site: Site) -> None:
    async with site.asking() as browser:
        pages = [await browser.get("/") for _ in range(2)]
    nonces = set()
    for answer in pages:
        [nonce] = re.findall(
            r"script-src 'nonce-([\w-]+)'", answer.headers["content-security-policy"]
        )
        nonces.add(nonce)
        scripts = re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.DOTALL)
        assert scripts
        assert not "".join(scripts).strip()
        assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}" src=')
        assert not re.search(r"\son\w+=|\sstyle=|javascript:|<style", answer.text)
        assert "//" not in re.sub(r"<code>.*?</code>", "", answer.text).replace("<!doctype", "")
    assert len(nonces) == 2


# Where it is mounted


@pytest.mark.parametrize("prefix", ["", "/jobs", "/a/b/jobs"])
async def test_links_lead_to_our_own_pages_wherever_it_is_mounted(site: Site, prefix: str) -> None:
    app: Any = site.jobs.dashboard()
    if prefix:
        outer = fastapi.FastAPI()
        outer.mount(prefix, app)
        app = outer
    async with site.browser(app) as browser:
        for path in ("/", "/workers", "/schedules", "/queues", "/queues/lanes"):
            answer = await browser.get(prefix + path)
            for link in set(re.findall(r'(?:href|src|data-events)="([^"#]+)"', answer.text)):
                url = answer.url.join(link.replace("&amp;", "&"))
                assert url.path.startswith(prefix + "/"), link
                if "/events" not in url.path:
                    assert (await browser.get(url)).status_code == 200, link


async def test_links_hold_behind_a_proxy_that_takes_a_prefix_away(site: Site) -> None:
    async with site.asking(auth=lambda _: Identity("Ada")) as browser:
        for path, up in (("/", "./"), ("/workers", "./")):
            text = (await browser.get(path)).text
            assert f'href="{up}workers"' in text
            assert 'href="/' not in text


@pytest.mark.parametrize("prefix", ["/jobs", "/a/b/jobs"])
@pytest.mark.parametrize("root", ["/x", "/x/y"])
@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "whole"])
async def test_links_hold_under_a_root_path(
    site: Site, prefix: str, root: str, is_cut: bool
) -> None:
    app = fastapi.FastAPI()
    app.mount(prefix, site.jobs.dashboard(auth=lambda _: Identity("Ada")))
    transport = httpx.ASGITransport(app, root_path=root)
    below = prefix if is_cut else root + prefix
    async with httpx.AsyncClient(transport=transport, base_url="http://example.org") as browser:
        for path in ("/", "/workers", "/queues/lanes", "/api/workers"):
            answer = await browser.get(below + path)
            assert answer.status_code == 200, path
            for link in set(re.findall(r'(?:href|src)="([^"#]+)"', answer.text)):
                url = answer.url.join(link.replace("&amp;", "&"))
                assert (await browser.get(url)).status_code == 200, link
        assert (await browser.get(below + "/nothing")).status_code == 404


def test_a_manager_with_several_adapters_has_to_say_which() -> None:
    jobs, _ = make_manager(MemoryAdapter())
    jobs.adapters["other"] = MemoryAdapter()
    with pytest.raises(ConfigError, match="main, other"):
        jobs.dashboard()
    with pytest.raises(UnknownAdapterError):
        jobs.dashboard(adapter="another")
    with pytest.raises(ConfigError, match="list of names"):
        jobs.dashboard(adapter="main", redact="password")


async def test_jobs_in_memory_are_shown_as_well() -> None:
    jobs, later = make_manager(MemoryAdapter())
    async with jobs, Site(jobs, later).asking() as browser:
        await later(jobs.registry["send_mail"](7))
        assert ">email</a>" in (await browser.get("/")).text


async def test_what_the_manager_hides_is_hidden_by_each_dashboard_that_says_nothing_else() -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()}, redact=["secret"])
    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def keep(secret: str, other: str) -> None: ...

    site = Site(jobs, later)
    async with jobs:
        job = await later(keep("swordfish", "haddock"))
        for options, hidden, shown in (
            ({}, "swordfish", "haddock"),
            ({"redact": ["other"]}, "haddock", "swordfish"),
        ):
            async with site.asking(**options) as browser:
                text = (await browser.get(f"/jobs/{job.id}")).text
            assert hidden not in text
            assert shown in text
