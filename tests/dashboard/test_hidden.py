"""What `redact=` hides: it is shown nowhere, found out by nothing, and survives being edited."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs.glance.redaction import HIDDEN

if TYPE_CHECKING:
    import httpx

    from tests.dashboard.sites import Site

API = {"X-Asyncjobs": "api"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def without_address(job: str, args: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in args.items() if name != "address"}


async def retry(browser: httpx.AsyncClient, number: int, edited: str) -> httpx.Response:
    """Send the form of 'Edit and retry'."""
    form = await browser.get(f"/jobs/{number}/edit")
    found = re.search(r'name="token" value="([^"]+)"', form.text)
    data = {"token": found[1] if found else "", "args": edited}
    return await browser.post(f"/jobs/{number}/retry", data=data, headers=SAME_ORIGIN)


async def form_of(browser: httpx.AsyncClient, number: int) -> str:
    """What the form of 'Edit and retry' holds."""
    form = await browser.get(f"/jobs/{number}/edit")
    return unescape(re.findall(r"<textarea[^>]*>(.*?)</textarea>", form.text, re.S)[0])


# Shown


async def test_hidden_arguments_are_shown_nowhere(site: Site) -> None:
    @site.jobs.job
    async def log_in(user: str, password: str, more: dict[str, Any]) -> None: ...

    call = log_in(
        "ada", password="swordfish", more={"Password": "trout", "list": [{"password": 1}]}
    )
    job = await site.later(call, meta={"password": "salmon"})

    def hide(name: str, args: dict[str, Any]) -> dict[str, Any]:
        return {"user": args["user"], "job": name}

    for redact in (["password"], ("PASSWORD",), hide):
        async with site.asking(redact=redact) as browser:
            for path in ("/jobs", f"/jobs/{job.id}", f"/jobs/{job.id}/edit"):
                text = (await browser.get(path)).text
                assert "ada" in text, path
                assert "swordfish" not in text
                assert "trout" not in text
                if not callable(redact):
                    assert "salmon" not in text
            answer = await browser.get("/jobs", params={"q": "args.password:swordfish"})
            assert answer.status_code == 422
            answer = await browser.get("/jobs", params={"q": "args.more.Password:trout"})
            assert answer.status_code == 422


# Found out


@pytest.mark.parametrize(
    "inside",
    [
        '{"password":"swordfish"}',
        '[{"password":"swordfish"}]',
        '{"deep":[[{"PassWord":null}]]}',
        "[" * 900 + '{"password":1}' + "]" * 900,
    ],
)
async def test_nobody_searches_by_a_hidden_name_inside_a_value(site: Site, inside: str) -> None:
    @site.jobs.job
    async def log_in(more: Any) -> None: ...

    await site.later(log_in({"password": "swordfish"}))
    async with site.asking(redact=["password"]) as browser:
        for path, status in (("/jobs", 422), ("/api/jobs", 400)):
            answer = await browser.get(path, params={"q": f"args.more:{inside}"})
            assert answer.status_code == status
            assert "' is hidden here, so nobody searches by it." in unescape(answer.text)
        answer = await browser.get("/api/jobs", params={"q": 'args.more:{"user":"password"}'})
        assert answer.json()["jobs"] == []


@pytest.mark.parametrize("redact", [["pin"], lambda job, args: {**args, "pin": "****"}])
async def test_a_hash_of_hidden_arguments_is_not_shown(site: Site, redact: Any) -> None:
    @site.jobs.job(unique=True)
    async def unlock(door: int, pin: str = "") -> None: ...

    hidden, shown = await site.later(unlock(7, "4711")), await site.later(unlock(7))
    record = await site.later.get(hidden.id)
    assert record is not None
    assert record.unique_key
    async with site.asking(redact=redact) as browser:
        for path in ("/api/jobs", f"/api/jobs/{hidden.id}", f"/jobs/{hidden.id}"):
            assert record.unique_key not in (await browser.get(path)).text
        assert (await browser.get(f"/api/jobs/{hidden.id}")).json()["unique_key"] == HIDDEN
        assert '<dd class="mono">[hidden]</dd>' in (await browser.get(f"/jobs/{hidden.id}")).text
    async with site.asking(redact=["pin"]) as browser:
        record = await site.later.get(shown.id)
        answer = (await browser.get(f"/api/jobs/{shown.id}")).json()
        assert answer["unique_key"] == (record and record.unique_key)


# Edited


async def test_hidden_arguments_survive_being_edited(site: Site) -> None:
    got: list[tuple[str, str]] = []

    @site.jobs.job
    async def log_in(user: str, password: str) -> None:
        got.append((user, password))

    job = await site.later(log_in("ada", password="swordfish"), wait=3600)
    async with site.asking(redact=["password"]) as browser:
        edited = (await form_of(browser, job.id)).replace("ada", "bob")
        assert (await retry(browser, job.id, edited)).status_code == 303
    await site.jobs.workoff()
    assert got == [("bob", "swordfish")]
