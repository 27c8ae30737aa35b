"""The jobs that follow a sign-up, and the manager that runs them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from app import avatar, mail, users
from app.database import connect
from app.settings import settings
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job

CRM_ANSWERS_AT_ATTEMPT = 3
PLACES = ("Lisbon", "Tbilisi", "Oaxaca", "Kyoto", "Bergen", "Valparaíso", "Luang Prabang", "Fes")

jobs = JobManager(
    adapters={"postgres": PostgresAdapter()},
    queues=["default", "email"],
    workers=[
        # Succeeded jobs are kept for a day, so that the page can show them.
        WorkerGroup(
            adapter="postgres",
            concurrency=20,
            delete_successful_jobs=False,
            retain=timedelta(days=1),
        )
    ],
    # Set by `name_request` in main.py: jobs have the id of the request that caused them.
    carry=["request_id"],
)
later = jobs.create_scheduler(adapter="postgres")


class UserGoneError(Exception):
    """The user of this job was deleted meanwhile."""


class CrmUnavailableError(Exception):
    """The CRM of this demo: it is out of order at first."""


@jobs.job(queue="email", priority=10)
async def send_welcome_email(user_id: int) -> None:
    """Greet the new user."""
    await mail.send(mail.welcome(await get_user(user_id)))


@jobs.job(queue="email")
async def send_tips(user_id: int) -> None:
    """Write again a while later."""
    await mail.send(mail.tips(await get_user(user_id)))


@jobs.job(max_attempts=5, backoff=lambda _attempt, _error: settings.crm_backoff)
async def sync_to_crm(user_id: int) -> None:
    """Tell the CRM. It fails twice; nobody has to do anything about it."""
    job = current_job()
    if job.attempt < CRM_ANSWERS_AT_ATTEMPT:
        raise CrmUnavailableError(f"503: come back later (this was attempt {job.attempt})")
    job.log.info("crm.synced", user=user_id)


@jobs.job
def make_avatar(user_id: int, email: str) -> None:
    """Draw a picture. This is work for the processor: a plain ``def`` runs in a thread."""
    avatar.save(settings.avatars, user_id, avatar.draw(seed=email.lower()))


@jobs.job(retain=timedelta(days=1))
async def gather_places(user_id: int) -> list[str]:
    """Ask for places to go, one by one, and say how far that is. The result is kept."""
    job = current_job()
    found: list[str] = []
    for place in PLACES:
        job.progress(len(found) / len(PLACES), f"asking about {place}")
        await asyncio.sleep(settings.place_pause)  # some slow service answers
        found.append(place)
    job.progress(1, f"{len(found)} places")
    return found


async def get_user(user_id: int) -> users.User:
    """Return the user from the database. Raises UserGoneError."""
    async with connect() as connection:
        user = await users.find_user(connection, user_id)
    if user is None:
        raise UserGoneError(user_id)
    return user
