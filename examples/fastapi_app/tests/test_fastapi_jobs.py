"""The jobs of the example, tested as users test theirs: in memory, without waiting."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from app import avatar, mail, main, traffic, users
from app import jobs as app_jobs
from app.forms import SignUp
from app.jobs import gather_places, later, make_avatar, send_tips, send_welcome_email, sync_to_crm
from app.settings import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import EmailMessage
    from pathlib import Path

    from asyncjobs import JobManager
    from asyncjobs.testing import JobsKit

pytestmark = pytest.mark.anyio


class People:
    """Stands in for the table of users, and for its pool and connections."""

    def __init__(self) -> None:
        self.known: dict[int, users.User] = {}

    async def insert_user(self, connection: object, form: SignUp) -> users.User:
        """Store a new user."""
        user = users.User(len(self.known) + 1, form.name, form.email, [])
        self.known[user.id] = user
        return user

    async def find_user(self, connection: object, user_id: int) -> users.User | None:
        """Return a user."""
        return self.known.get(user_id)

    async def remember_jobs(self, connection: object, user: users.User, ids: list[int]) -> None:
        """Store which jobs follow from a user."""
        user.job_ids.extend(ids)

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[People]:
        """Give a connection, which is this."""
        yield self

    transaction = acquire


@pytest.fixture
def jobs_kit_manager() -> JobManager:
    return app_jobs.jobs


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    people = People()
    for name in ("insert_user", "find_user", "remember_jobs"):
        monkeypatch.setattr(users, name, getattr(people, name))
    monkeypatch.setattr(app_jobs, "connect", people.acquire)
    return people


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[EmailMessage]:
    """The mails that were sent."""
    sent: list[EmailMessage] = []

    async def send(message: EmailMessage) -> None:
        sent.append(message)

    monkeypatch.setattr(mail, "send", send)
    return sent


@pytest.fixture(autouse=True)
def partners_who_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the chance out of the traffic that goes on by itself."""
    monkeypatch.setattr(traffic.dice, "random", lambda: 0.5)


async def sign_up(people: People) -> users.User:
    pool: Any = people
    return await main.create_user(pool, SignUp("Ada", "ada@example.org"))


async def test_five_jobs_follow_a_sign_up(jobs_kit: JobsKit, people: People) -> None:
    user = await sign_up(people)

    stored = [
        await jobs_kit.assert_enqueued(send_welcome_email, {"user_id": user.id}, queue="email"),
        await jobs_kit.assert_enqueued(make_avatar(user.id, user.email), within=0),
        await jobs_kit.assert_enqueued(sync_to_crm, [user.id]),
        await jobs_kit.assert_enqueued(gather_places, [user.id]),
        await jobs_kit.assert_enqueued(send_tips, [user.id], within=settings.tips_wait),
    ]
    assert user.job_ids == [record.id for record in stored]
    await jobs_kit.refute_enqueued(send_tips, within=settings.tips_wait / 2)


async def test_the_tips_come_when_their_time_has_come(
    jobs_kit: JobsKit, people: People, sent: list[EmailMessage]
) -> None:
    user = await sign_up(people)
    for job_id in user.job_ids[1:4]:
        await later.cancel(job_id)

    assert await jobs_kit.drain() == {"succeeded": 1}
    assert [message["Subject"] for message in sent] == ["Welcome, Ada"]
    jobs_kit.clock.move(settings.tips_wait)
    await jobs_kit.drain()

    assert [message["Subject"] for message in sent] == ["Welcome, Ada", "Three things to try next"]


async def test_the_crm_is_tried_until_it_answers(jobs_kit: JobsKit) -> None:
    await later(sync_to_crm(7))

    ends = await jobs_kit.drain(scheduled=True, raises=False)

    assert ends == {"retried": 2, "succeeded": 1}


async def test_a_user_who_is_gone_gets_no_mail(
    jobs_kit: JobsKit, people: People, sent: list[EmailMessage]
) -> None:
    await later(send_welcome_email(7))

    with pytest.raises(app_jobs.UserGoneError):
        await jobs_kit.drain()
    assert sent == []


async def test_an_avatar_is_drawn_where_it_is_asked_for(
    jobs_kit: JobsKit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(app_jobs, "settings", dataclasses.replace(settings, folder=tmp_path))

    with jobs_kit.perform_inline():
        await later(make_avatar(7, "ada@example.org"))

    drawn = (tmp_path / "avatars" / "7.svg").read_text()
    assert drawn == avatar.draw(seed="ada@example.org")
