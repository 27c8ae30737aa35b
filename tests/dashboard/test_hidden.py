"""What `redact=` hides: it is shown nowhere, found out by nothing, and survives being edited."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from pydantic import BaseModel, field_validator

from asyncjobs.glance.redaction import HIDDEN

if TYPE_CHECKING:
    import httpx

    from tests.dashboard.sites import Site

API = {"X-Asyncjobs": "api"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
LOOP: list[Any] = []
LOOP.append(LOOP)


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


async def send(browser: httpx.AsyncClient, number: int, args: dict[str, Any]) -> httpx.Response:
    """Send what a program sends to retry a job with other arguments."""
    return await browser.post(f"/api/jobs/{number}/retry", json={"args": args}, headers=API)


async def args_of(site: Site, number: int) -> Any:
    record = await site.later.get(number)
    assert record is not None
    return json.loads(record.args)


class Login(BaseModel):
    user: str
    password: str

    @field_validator("password")
    @classmethod
    def check(cls, value: str) -> str:
        if not value.isalpha():
            raise ValueError(f"{value} has other letters")
        return value


async def test_an_error_tells_no_hidden_value_that_was_put_back(site: Site) -> None:
    @site.jobs.job
    async def log_in(login: Login, note: str = "") -> None: ...

    job = await site.later(log_in(Login(user="ada", password="swordfish")))
    typed = await site.later(log_in(Login(user="ada", password="swordfish"), "first"))
    async with site.asking(redact=["password"]) as browser:
        with structlog.testing.capture_logs() as lines:
            for edited in ({"password": HIDDEN}, {"user": 7, "password": HIDDEN}):
                args = {"login": edited}
                page = await retry(browser, job.id, json.dumps(args))
                answer = await send(browser, job.id, args)
                assert (page.status_code, answer.status_code) == (422, 400)
                assert "something is hidden here of argument 'login'" in unescape(page.text)
                assert "something is hidden here of argument 'login'" in answer.text
                assert "swordfish" not in page.text + answer.text
        assert {line["event"] for line in lines} == {"dashboard.refused"}
        assert "swordfish" not in str(lines)
        # What is wrong elsewhere, or was typed, is told as ever.
        edited = (await form_of(browser, typed.id)).replace('"first"', "7")
        page = await retry(browser, typed.id, edited)
        assert "argument 'note': input should be a valid string, got 7" in unescape(page.text)
        page = await retry(browser, typed.id, edited.replace(HIDDEN, "x7").replace("7\n", '""\n'))
        assert "x7 has other letters" in unescape(page.text)


async def test_an_error_about_what_is_no_number_is_told_where_nothing_of_it_is_hidden(
    site: Site,
) -> None:
    @site.jobs.job
    async def log_in(user: Any, password: str) -> None: ...

    job = await site.later(log_in("ada", "swordfish"))
    for redact in ([], ["password"]):
        async with site.asking(redact=redact) as browser:
            args = json.loads(await form_of(browser, job.id))
            page = await retry(browser, job.id, json.dumps({**args, "user": math.nan}))
            assert page.status_code == 422
            assert "hidden here of" not in page.text
            assert "argument 'user'" in unescape(page.text)


async def test_an_argument_that_a_function_leaves_out_stays(site: Site) -> None:
    @site.jobs.job
    async def ship(name: str, address: str = "", n: int = 0, to: Any = None) -> None: ...

    def without_addresses(job: str, args: dict[str, Any]) -> dict[str, Any]:
        args["to"].pop("address", None)
        return {"job": job, **{name: value for name, value in args.items() if name != "address"}}

    job = await site.later(ship("x", "Secret Road 7", 1, {"a": 1, "address": "Road 8"}))
    async with site.asking(redact=without_addresses) as browser:
        edited = json.loads(await form_of(browser, job.id))
        assert edited == {"job": "ship", "name": "x", "n": 1, "to": {"a": 1}}
        answer = await retry(browser, job.id, json.dumps({**edited, "n": 2, "to": {"a": 3}}))
        assert answer.status_code == 303
        assert await args_of(site, job.id) == {
            "name": "x", "address": "Secret Road 7", "n": 2, "to": {"a": 3, "address": "Road 8"},
        }  # fmt: skip
        assert (await send(browser, job.id, {"name": "x", "address": "there"})).status_code == 200
        assert (await args_of(site, job.id))["address"] == "there"


async def test_a_function_may_change_what_it_is_given(site: Site) -> None:
    @site.jobs.job
    async def pay(account: dict[str, str], amount: int) -> None: ...

    def mask(job: str, args: dict[str, Any]) -> dict[str, Any]:
        args["account"]["iban"] = "***"
        return args

    job = await site.later(pay({"iban": "CH93"}, 5))
    async with site.asking(redact=mask) as browser:
        edited = (await form_of(browser, job.id)).replace("5", "6")
        assert (await retry(browser, job.id, edited)).status_code == 303
    assert await args_of(site, job.id) == {"account": {"iban": "CH93"}, "amount": 6}


@pytest.mark.parametrize(
    "found",
    [object(), b"x", "\ud800", {"\ud800": 1}, {(1, 2): 3}, 10**5_000, LOOP],
    ids=["object", "bytes", "text", "name", "tuple", "integer", "loop"],
)
async def test_what_a_function_returns_is_shown_only_if_it_is_json(site: Site, found: Any) -> None:
    job = await site.later(site.jobs.registry["weigh"](4711))
    async with site.asking(redact=lambda _, args: {**args, "more": [found]}) as browser:
        for path in (f"/jobs/{job.id}", f"/jobs/{job.id}/edit", f"/api/jobs/{job.id}"):
            answer = await browser.get(path)
            assert answer.status_code == 200, path
            assert "[hidden: redact returned what is no JSON]" in answer.text
            assert "4711" not in answer.text
        for path in ("/jobs", "/api/jobs"):
            assert (await browser.get(path)).status_code == 200, path


async def test_what_a_function_returns_is_json_afterwards(site: Site) -> None:
    @site.jobs.job
    async def pay(amount: int, card: list[int]) -> None: ...

    job = await site.later(pay(5, [4, 7]))

    def redact(job: str, args: dict[str, Any]) -> dict[Any, Any]:
        return {1: {None: True}, "amount": args["amount"], "card": (4, "*")}

    async with site.asking(redact=redact) as browser:
        shown = (await browser.get(f"/api/jobs/{job.id}")).json()["args"]
        assert shown == {"1": {"null": True}, "amount": 5, "card": [4, "*"]}
        assert (await retry(browser, job.id, json.dumps({**shown, "amount": 6}))).status_code == 303
    assert await args_of(site, job.id) == {"amount": 6, "card": [4, 7]}


ANN, BOB = {"user": "ann", "password": "a"}, {"user": "bob", "password": "b"}
SEEN = [{"user": "ann", "password": HIDDEN}, {"user": "bob", "password": HIDDEN}]


@pytest.mark.parametrize(
    ("edited", "stored"),
    [
        (SEEN, [ANN, BOB]),
        ([SEEN[0], {"user": "bob", "password": "new"}], [ANN, {"user": "bob", "password": "new"}]),
        ([{"user": "eve", "password": "e"}], [{"user": "eve", "password": "e"}]),
        ([], []),
        (SEEN[1:], None),
        (SEEN[::-1], None),
        ([*SEEN, {"user": "eve", "password": "e"}], None),
        ([SEEN[0], {"user": "eve", "password": "e"}], None),
        ([{"user": "anna", "password": HIDDEN}, SEEN[1]], None),
        ([SEEN[0], SEEN[0]], None),
    ],
)
async def test_hidden_values_of_a_list_stay_with_whom_they_belong_to(
    site: Site, edited: Any, stored: Any
) -> None:
    @site.jobs.job
    async def sync(logins: list[dict[str, str]], n: int = 0) -> None: ...

    job = await site.later(sync([ANN, BOB]))
    async with site.asking(redact=["password"]) as browser:
        page = await retry(browser, job.id, json.dumps({"logins": edited, "n": 1}))
        if stored is None:
            assert page.status_code == 422
            assert "argument 'logins': of a list with something hidden in it" in unescape(page.text)
            assert await args_of(site, job.id) == {"logins": [ANN, BOB]}
        else:
            assert page.status_code == 303
            assert await args_of(site, job.id) == {"logins": stored, "n": 1}


async def test_parts_of_lists_that_a_function_leaves_out_are_not_mixed_up(site: Site) -> None:
    @site.jobs.job
    async def sync(logins: list[dict[str, str]]) -> None: ...

    def users(job: str, args: dict[str, Any]) -> dict[str, Any]:
        return {"logins": [{"user": login["user"]} for login in args["logins"]]}

    job = await site.later(sync([ANN, BOB]))
    async with site.asking(redact=users) as browser:
        assert (await retry(browser, job.id, '{"logins": [{"user": "bob"}]}')).status_code == 422
        assert await args_of(site, job.id) == {"logins": [ANN, BOB]}


async def test_a_program_may_send_back_what_it_was_told(site: Site) -> None:
    @site.jobs.job
    async def log_in(login: dict[str, str], note: str = "") -> None: ...

    job = await site.later(log_in(ANN))
    async with site.asking(redact=["password"]) as api:
        args = (await api.get(f"/api/jobs/{job.id}")).json()["args"]
        assert (await send(api, job.id, args)).json() == {"jobs": 1}
        assert await args_of(site, job.id) == {"login": ANN}
        assert (await send(api, job.id, {**args, "note": "new"})).json() == {"jobs": 1}
        assert await args_of(site, job.id) == {"login": ANN, "note": "new"}
        answer = await send(api, job.id, {"login": {**ANN, "password2": HIDDEN}})
        assert answer.status_code == 400
        assert "argument 'login' at password2: '[hidden]' is there" in answer.json()["error"]


async def test_an_edit_that_python_would_call_equal_is_made(site: Site) -> None:
    @site.jobs.job
    async def log_in(password: str, flag: Any, more: Any) -> None: ...

    job = await site.later(log_in("swordfish", 1, {"a": 1, "b": [0], "password": "trout"}))
    edits: list[tuple[Any, dict[str, Any]]] = [
        (True, {"a": 1.0, "b": [False]}),
        (1.0, {"a": True, "b": [0]}),
        (1, {"a": 1, "b": [0.0]}),
    ]
    async with site.asking(redact=["password"]) as browser:
        for flag, more in edits * 2:
            edited = {"password": HIDDEN, "flag": flag, "more": {**more, "password": HIDDEN}}
            await retry(browser, job.id, json.dumps(edited))
            kept = {"password": "swordfish", "flag": flag, "more": {**more, "password": "trout"}}
            found = await args_of(site, job.id)
            assert json.dumps(found, sort_keys=True) == json.dumps(kept, sort_keys=True)


async def test_a_program_that_writes_whole_numbers_without_a_point_may_send_back_a_list(
    site: Site,
) -> None:
    @site.jobs.job
    async def pay(cards: list[Any]) -> None: ...

    card = {"amount": 1.0, "pin": "4711"}
    job = await site.later(pay([card]))
    async with site.asking(redact=["pin"]) as api:
        answer = await send(api, job.id, {"cards": [{"amount": 1, "pin": HIDDEN}]})
        assert answer.json() == {"jobs": 1}
        assert await args_of(site, job.id) == {"cards": [card]}
        answer = await send(api, job.id, {"cards": [{"amount": True, "pin": HIDDEN}]})
        assert answer.status_code == 400


async def test_arguments_that_are_nested_too_deep_are_refused(site: Site) -> None:
    @site.jobs.job
    async def keep(password: str, more: Any = None) -> None: ...

    job = await site.later(keep("swordfish"))
    async with site.asking(redact=["password"]) as browser:
        for depth in (300, 3_000, 60_000):
            more = "[" * depth + "]" * depth
            args = f'{{"password": "{HIDDEN}", "more": {more}}}'
            page = await retry(browser, job.id, args)
            assert page.status_code == 422
            assert "swordfish" not in page.text
