"""Somebody who signs up and looks around, over HTTP, as a browser does without its script."""

from __future__ import annotations

import json
import re
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from email.message import EmailMessage

    import httpx

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds to wait for what must happen; only a failure takes that long."""
LOOK_AGAIN = 0.05
"""Seconds between two looks at a page."""

JOB = re.compile(r'data-job="(\w+)" data-state="(\w+)" data-attempt="(\d+)"')
ERROR = re.compile(r'data-error-of="(\w+)"')
EVENTS = re.compile(r'data-events="([^"]+)"')
MAIL = re.compile(r'data-mail="([^"]+)"')


class ShownJob(NamedTuple):
    """What a page says of one job."""

    state: str
    attempt: int
    errors: int
    """The number of recorded errors."""


class Visitor:
    """Uses the app through *client*, whose base_url is the app's address."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def send_form(self, name: str, email: str) -> httpx.Response:
        """Fill in the form, and return the answer."""
        return await self.client.post("/users", data={"name": name, "email": email})

    async def sign_up(self, name: str, email: str) -> str:
        """Fill in the form, and return the address of the page that follows."""
        answer = await self.send_form(name, email)
        if answer.status_code != 303:
            raise LookupError(f"the sign-up was answered {answer.status_code}: {answer.text}")
        return answer.headers["location"]

    async def read(self, address: str) -> str:
        """Return the page at *address*."""
        answer = await self.client.get(address)
        return answer.raise_for_status().text

    async def jobs(self, user_page: str) -> dict[str, ShownJob]:
        """Return what the user's page says of each job."""
        html = await self.read(user_page)
        errors = ERROR.findall(html)
        return {
            name: ShownJob(state, int(attempt), errors.count(name))
            for name, state, attempt in JOB.findall(html)
        }

    async def wait_for_job(self, user_page: str, name: str, state: str = "succeeded") -> ShownJob:
        """Return the job once the user's page shows it in *state*. Raises TimeoutError."""

        async def look() -> tuple[ShownJob, bool]:
            job = (await self.jobs(user_page))[name]
            return job, job.state == state

        return await look_until(f"{name} is {state}", look)

    async def follow(self, user_page: str, name: str) -> list[dict[str, Any]]:
        """Return the events of a job to its end, as its page's script is told them."""
        html = await self.read(user_page)
        _, _, item = html.partition(f'data-job="{name}"')
        address = EVENTS.findall(item)[0]
        events = []
        async with self.client.stream("GET", address) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line.removeprefix("data: ")))
        return events

    async def mails_to(self, email: str) -> list[EmailMessage]:
        """Return the mails in the inbox that are for *email*, the newest first."""
        names = MAIL.findall(await self.read("/inbox"))
        mails = [await self._mail(name) for name in names]
        return [mail for mail in mails if mail["To"].addresses[0].addr_spec == email]

    async def wait_for_mail(self, email: str, *, count: int = 1) -> EmailMessage:
        """Return the newest of *count* mails for *email*. Raises TimeoutError."""

        async def look() -> tuple[list[EmailMessage], bool]:
            mails = await self.mails_to(email)
            return mails, len(mails) >= count

        return (await look_until(f"{email} has {count} mails", look))[0]

    async def _mail(self, name: str) -> EmailMessage:
        answer = await self.client.get(f"/inbox/{name}/raw")
        return BytesParser(policy=policy.default).parsebytes(answer.raise_for_status().content)


async def look_until(hope: str, look: Callable[[], Awaitable[tuple[T, bool]]]) -> T:
    """Return what *look* sees once it says that it is enough. Raises TimeoutError."""
    seen: T | None = None
    with anyio.move_on_after(PATIENCE):
        while True:
            seen, enough = await look()
            if enough:
                return seen
            await anyio.sleep(LOOK_AGAIN)
    raise TimeoutError(f"waited {PATIENCE:g} s in vain until {hope}; last seen: {seen}")
