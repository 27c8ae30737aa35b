"""What ``demo.py --check`` does in place of a person: sign up, watch, and say what happened."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx
from visitor import PATIENCE, Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    Say = Callable[[str], None]


class CheckFailedError(Exception):
    """The demo does not do what it promises."""


async def check(address: str, say: Say) -> None:
    """Sign up at *address* and see all jobs through. Raises CheckFailedError."""
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        visitor = Visitor(client)
        try:
            await _check_as(visitor, f"ada.{secrets.token_hex(4)}@example.org", say)
        except (httpx.HTTPError, LookupError, TimeoutError) as error:
            raise CheckFailedError(f"{type(error).__name__}: {error}") from error


async def _check_as(visitor: Visitor, email: str, say: Say) -> None:
    began = time.monotonic()
    user_page = await visitor.sign_up("Ada Lovelace", email)
    waiting = await visitor.jobs(user_page)
    expect(len(waiting) == 5, f"the page lists 5 jobs, not {list(waiting)}")
    say(f"signed up as {email}: {len(waiting)} jobs stored in the user's transaction")
    following = asyncio.create_task(visitor.follow(user_page, "gather_places"))
    await _check_welcome(visitor, user_page, email, say)
    await _check_avatar(visitor, user_page, say)
    await _check_duplicate(visitor, email, say)
    await _check_retries(visitor, user_page, say)
    _check_progress(await following, say)
    await _check_delay(visitor, user_page, email, began, say)


async def _check_welcome(visitor: Visitor, user_page: str, email: str, say: Say) -> None:
    mail = await visitor.wait_for_mail(email)
    expect(mail["Subject"] == "Welcome, Ada Lovelace", f"a welcome, not {mail['Subject']!r}")
    await visitor.wait_for_job(user_page, "send_welcome_email")
    say(f"send_welcome_email succeeded: {str(mail['Subject'])!r} is in the inbox")


def _check_progress(events: list[dict[str, Any]], say: Say) -> None:
    steps = [event["progress"] for event in events if event["progress"]]
    expect(len(set(steps)) > 2, f"the bar moves several times, not {steps}")
    expect(steps == sorted(steps), f"the bar only grows, not {steps}")
    expect(events[-1]["state"] == "succeeded", f"success at the end, not {events[-1]}")
    say(f"gather_places told its progress {len(steps)} times, from {steps[0]:g} to {steps[-1]:g}")


async def _check_avatar(visitor: Visitor, user_page: str, say: Say) -> None:
    await visitor.wait_for_job(user_page, "make_avatar")
    picture = await visitor.read(f"{user_page}/avatar.svg")
    expect(picture.startswith("<svg"), "the avatar is a picture")
    say(f"make_avatar, a plain def, succeeded: an SVG of {len(picture)} characters")


async def _check_duplicate(visitor: Visitor, email: str, say: Say) -> None:
    answer = await visitor.send_form("Ada again", email.upper())
    expect(answer.status_code == 409, f"a second sign-up is refused, not {answer.status_code}")
    say("a second sign-up with the same address was refused")


async def _check_retries(visitor: Visitor, user_page: str, say: Say) -> None:
    job = await visitor.wait_for_job(user_page, "sync_to_crm")
    expect((job.attempt, job.errors) == (3, 2), f"2 errors, then success, not {job}")
    say(f"sync_to_crm succeeded at attempt {job.attempt}, after {job.errors} recorded errors")


async def _check_delay(
    visitor: Visitor, user_page: str, email: str, began: float, say: Say
) -> None:
    wait = float(os.environ.get("TIPS_WAIT", "10"))
    mail = await visitor.wait_for_mail(email, count=2)
    took = time.monotonic() - began
    expect(took >= wait, f"the tips come after {wait:g} s, not {took:.2f} s")
    job = await visitor.wait_for_job(user_page, "send_tips")
    expect(job.attempt == 1, f"the tips need one attempt, not {job.attempt}")
    subject = str(mail["Subject"])
    say(f"send_tips succeeded: {subject!r} came {took:.2f} s after the sign-up, due at {wait:g} s")


def expect(truth: bool, what: str) -> None:
    """Raise CheckFailedError unless *truth*."""
    if not truth:
        raise CheckFailedError(f"expected that {what}")
