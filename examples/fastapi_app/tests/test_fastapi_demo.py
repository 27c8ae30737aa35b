"""What a visitor of the demo sees."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from visitor import look_until

if TYPE_CHECKING:
    from visitor import Visitor

pytestmark = pytest.mark.anyio

JOBS = ("send_welcome_email", "make_avatar", "sync_to_crm", "gather_places", "send_tips")
HOSTILE = "Eve <script>alert(1)</script>, \"the\" & '1'"


async def test_a_sign_up_brings_a_mail_as_the_server_received_it(
    visitor: Visitor, email: str
) -> None:
    await visitor.sign_up("Ada Lovelace", email)

    mail = await visitor.wait_for_mail(email)

    assert mail["Subject"] == "Welcome, Ada Lovelace"
    assert mail["To"] == f"Ada Lovelace <{email}>"
    assert mail["From"].addresses[0].domain == mail["Message-ID"].strip("<>").partition("@")[2]
    assert mail["Date"].datetime is not None
    assert "Hello Ada Lovelace," in mail.get_content()


async def test_both_mails_name_the_request_that_caused_them(visitor: Visitor, email: str) -> None:
    visitor.client.headers["X-Request-ID"] = f"request-of-{email.partition('@')[0]}"
    await visitor.sign_up("Ada", email)

    welcome = await visitor.wait_for_mail(email)
    tips = await visitor.wait_for_mail(email, count=2)

    wanted = visitor.client.headers["X-Request-ID"]
    assert [welcome["X-Request-ID"], tips["X-Request-ID"]] == [wanted, wanted]


async def test_a_request_id_that_makes_no_sense_is_replaced(visitor: Visitor) -> None:
    answer = await visitor.client.get("/", headers={"X-Request-ID": "a b\tc"})

    assert len(answer.headers["X-Request-ID"]) == 32


async def test_the_page_follows_each_job_to_its_end(visitor: Visitor, email: str) -> None:
    user_page = await visitor.sign_up("Ada", email)

    for name in JOBS:
        await visitor.wait_for_job(user_page, name)

    assert "data-unfinished" not in await visitor.read(user_page)


async def test_the_dashboard_shows_the_jobs_of_the_demo(visitor: Visitor, email: str) -> None:
    user_page = await visitor.sign_up("Ada", email)
    await visitor.wait_for_job(user_page, "sync_to_crm")

    assert ">sync_to_crm</a>" in await visitor.read("/dashboard/jobs?q=name:sync_to_crm")


async def test_the_dashboard_is_full_of_what_goes_on_by_itself(visitor: Visitor) -> None:
    async def look() -> tuple[list[str], bool]:
        schedules, queues, workers, failed = [
            await visitor.read(f"/dashboard/{path}")
            for path in ("schedules", "queues", "workers", "jobs?q=attempt:>1%20name:price_trip")
        ]
        missing = [
            what
            for what, is_there in (
                ("the schedules", ">let_travellers_ask</a>" in schedules),
                ("when one runs", "Monday through Friday" in schedules),
                ("the limits", "2 starts a second" in queues),
                ("a lane", "partner:" in queues),
                ("both workers", workers.count('class="card worker"') == 2),
                ("what failed", "PartnerError" in failed),
            )
            if not is_there
        ]
        return missing, not missing

    await look_until("the dashboard shows all that it can", look)


async def test_a_job_that_fails_twice_shows_both_errors_and_then_success(
    visitor: Visitor, email: str
) -> None:
    user_page = await visitor.sign_up("Ada", email)

    job = await visitor.wait_for_job(user_page, "sync_to_crm")

    assert (job.attempt, job.errors) == (3, 2)
    html = await visitor.read(f"{user_page}/jobs")
    assert "CrmUnavailableError: 503: come back later (this was attempt 1)" in html
    assert "CrmUnavailableError: 503: come back later (this was attempt 2)" in html


async def test_the_page_can_show_a_bar_that_moves(visitor: Visitor, email: str) -> None:
    user_page = await visitor.sign_up("Ada", email)

    events = await visitor.follow(user_page, "gather_places")

    told = [event["progress"] for event in events if event["progress"] is not None]
    assert told == sorted(told)
    assert len(set(told)) > 2
    assert (events[-1]["state"], events[-1]["message"]) == ("succeeded", "8 places")
    html = await visitor.read(user_page)
    assert '<progress max="1" value="1.0"' in html
    assert "Lisbon, Tbilisi" in html


async def test_the_bar_of_somebody_else_is_not_shown(visitor: Visitor, email: str) -> None:
    pages = [await visitor.sign_up("Ada", f"{n}.{email}") for n in range(2)]
    _, _, item = (await visitor.read(pages[0])).partition('data-job="gather_places"')
    address = item.partition('data-events="')[2].partition('"')[0]

    answer = await visitor.client.get(address.replace(pages[0], pages[1]))

    assert answer.status_code == 403
    huge = await visitor.client.get(address.replace(pages[0], f"/users/{2**70}"))
    assert huge.status_code == 403


async def test_the_tips_come_when_they_are_due_and_not_before(
    visitor: Visitor, email: str, demo_environment: dict[str, str]
) -> None:
    began = time.monotonic()
    user_page = await visitor.sign_up("Ada", email)
    assert (await visitor.jobs(user_page))["send_tips"].state == "scheduled"

    mail = await visitor.wait_for_mail(email, count=2)

    assert time.monotonic() - began >= float(demo_environment["TIPS_WAIT"])
    assert mail["Subject"] == "Three things to try next"


async def test_a_cancelled_mail_never_comes(visitor: Visitor, email: str) -> None:
    user_page = await visitor.sign_up("Ada", email)
    _, _, item = (await visitor.read(user_page)).partition('data-job="send_tips"')
    action, _, _ = item.partition('action="')[2].partition('"')

    answer = await visitor.client.post(action)

    assert answer.status_code == 303
    await visitor.wait_for_job(user_page, "send_tips", "cancelled")
    other = f"later.{email}"  # whose tips are due after the cancelled ones
    await visitor.sign_up("Ben", other)
    await visitor.wait_for_mail(other, count=2)
    assert len(await visitor.mails_to(email)) == 1


async def test_a_job_of_somebody_else_cannot_be_cancelled(visitor: Visitor, email: str) -> None:
    user_page = await visitor.sign_up("Ada", email)

    answer = await visitor.client.post(f"{user_page}/jobs/999999/cancel")

    assert answer.status_code == 404


async def test_an_address_signs_up_once_whatever_its_case(visitor: Visitor, email: str) -> None:
    await visitor.sign_up("Ada", email)

    answer = await visitor.send_form("Ada again", email.upper())

    assert answer.status_code == 409
    assert "Somebody has signed up with this address already." in answer.text
    await visitor.wait_for_mail(email)
    assert await visitor.mails_to(email.upper()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "nobody",
        "two@at@example.org",
        "a..b@example.org",
        "nobody@localhost",
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org, b@example.org",
        "jürgen@example.org",
        "a" * 250 + "@example.org",
    ],
)
async def test_what_is_no_address_is_refused_with_the_form_kept(
    visitor: Visitor, wrong: str
) -> None:
    answer = await visitor.send_form("Ada Kept", wrong)

    assert answer.status_code == 422
    assert 'id="email-problem"' in answer.text
    assert 'value="Ada Kept"' in answer.text


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 81, "Ada\r\nBcc: b@example.org", "A\0da"])
async def test_what_is_no_name_is_refused(visitor: Visitor, email: str, wrong: str) -> None:
    answer = await visitor.send_form(wrong, email)

    assert answer.status_code == 422
    assert 'id="name-problem"' in answer.text


async def test_a_hostile_name_is_shown_and_mailed_as_text(visitor: Visitor, email: str) -> None:
    user_page = await visitor.sign_up(HOSTILE, email)

    mail = await visitor.wait_for_mail(email)

    assert mail["To"].addresses[0].display_name == HOSTILE
    assert f"Hello {HOSTILE}," in mail.get_content()
    for address in (user_page, "/inbox"):
        assert "<script>alert" not in await visitor.read(address)


async def test_a_name_in_any_script_arrives_whole(visitor: Visitor, email: str) -> None:
    await visitor.sign_up("Zoë 山田", email)

    mail = await visitor.wait_for_mail(email)

    assert mail["Subject"] == "Welcome, Zoë 山田"
    assert "Welcome, Zoë 山田" in await visitor.read("/inbox")


async def test_the_avatar_of_the_demo_is_there_once_it_is_drawn(
    visitor: Visitor, email: str
) -> None:
    user_page = await visitor.sign_up("Ada", email)

    await visitor.wait_for_job(user_page, "make_avatar")

    answer = await visitor.client.get(f"{user_page}/avatar.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert f'src="{user_page}/avatar.svg"' in await visitor.read(user_page)


@pytest.mark.parametrize("address", ["/", "/inbox", "/static/live.js", "/users/0", "/nothing"])
async def test_every_answer_of_the_demo_forbids_foreign_scripts(
    visitor: Visitor, address: str
) -> None:
    answer = await visitor.client.get(address)

    assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "address",
    [
        "/users/999999",
        "/users/999999/avatar.svg",
        "/inbox/1-1",
        "/inbox/..%2f..%2fdemo",
        "/inbox/x",
    ],
)
async def test_what_the_demo_does_not_have_is_not_found(visitor: Visitor, address: str) -> None:
    answer = await visitor.client.get(address)

    assert answer.status_code == 404
