"""The web app: a sign-up page, a page for each user, and the inbox of the demo's mail server."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import asyncpg
import structlog
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException as StarletteHTTPException

from app import inbox, users
from app.database import create_pool
from app.forms import SignUp
from app.jobs import (
    gather_places,
    later,
    make_avatar,
    send_tips,
    send_welcome_email,
    sync_to_crm,
)
from app.progress import load_steps
from app.settings import settings
from app.traffic import jobs
from app.users import User
from asyncjobs.integrations.starlette import job_events

HERE = Path(__file__).parent
REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
CONTENT_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

templates = Jinja2Templates(HERE / "templates")


@asynccontextmanager
async def open_database(app: FastAPI) -> AsyncIterator[None]:
    """Keep a pool open while the app runs."""
    async with create_pool() as app.state.pool:
        await users.create_table(app.state.pool)
        yield


app = FastAPI(lifespan=jobs.lifespan(open_database), openapi_url=None)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
# Without auth= it answers only on this machine.
app.mount("/dashboard", jobs.dashboard(title="Fernweh"), name="dashboard")


def get_pool(request: Request) -> asyncpg.Pool:
    """Return the app's pool."""
    pool: asyncpg.Pool = request.app.state.pool
    return pool


Pool = Annotated[asyncpg.Pool, Depends(get_pool)]

Id = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


async def get_user(user_id: Id, pool: Pool) -> User:
    """Return the user that the address names, or answer 404."""
    user = await users.find_user(pool, user_id)
    if user is None:
        raise HTTPException(404, "There is no such user.")
    return user


KnownUser = Annotated[User, Depends(get_user)]


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return the page made from the template *name*."""
    return templates.TemplateResponse(request, name, values, status_code=status)


@app.middleware("http")
async def send_content_policy(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Forbid browsers to run or load anything that is not a file of ours."""
    response = await call_next(request)
    response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@app.middleware("http")
async def name_request(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Give each request an id, or keep the one it came with. The jobs that it causes carry it."""
    given = request.headers.get("X-Request-ID", "")
    request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        response = await call_next(request)
    response.headers["X-Request-ID"] = request_id
    return response


@app.exception_handler(StarletteHTTPException)
async def show_error(request: Request, error: StarletteHTTPException) -> HTMLResponse:
    """Answer a person, who has followed a wrong or old link."""
    return page(
        request, "error.html", error.status_code, code=error.status_code, problem=error.detail
    )


@app.get("/")
async def show_form(request: Request) -> HTMLResponse:
    """Ask for a name and an address."""
    return page(request, "sign_up.html", form=SignUp("", ""), problems={})


@app.post("/users")
async def sign_up(
    request: Request,
    pool: Pool,
    name: Annotated[str, Form()] = "",
    email: Annotated[str, Form()] = "",
) -> Response:
    """Store the user with all that is to follow, or say what is wrong with the form."""
    form = SignUp.clean(name, email)
    if problems := form.problems():
        return page(request, "sign_up.html", 422, form=form, problems=problems)
    try:
        user = await create_user(pool, form)
    except users.EmailTakenError:
        problems = {"email": "Somebody has signed up with this address already."}
        return page(request, "sign_up.html", 409, form=form, problems=problems)
    return RedirectResponse(f"/users/{user.id}", status_code=303)


async def create_user(pool: asyncpg.Pool, form: SignUp) -> User:
    """Store the user and schedule the jobs: one transaction, so all of it or nothing."""
    async with pool.acquire() as conn, conn.transaction():
        user = await users.insert_user(conn, form)
        scheduled = [
            await later(send_welcome_email(user.id), connection=conn),
            await later(make_avatar(user.id, user.email), connection=conn),
            await later(sync_to_crm(user.id), connection=conn),
            await later(gather_places(user.id), connection=conn),
            await later(send_tips(user.id), wait=settings.tips_wait, connection=conn),
        ]
        await users.remember_jobs(conn, user, [job.id for job in scheduled])
    return user


@app.get("/users/{user_id}")
async def show_user(request: Request, user: KnownUser) -> HTMLResponse:
    """Show a user and what becomes of the jobs."""
    return page(request, "user.html", user=user, steps=await load_steps(user.job_ids))


@app.get("/users/{user_id}/jobs")
async def show_jobs(request: Request, user: KnownUser) -> HTMLResponse:
    """Return the part of the user's page that changes; the page's script asks for it."""
    return page(request, "jobs.html", user=user, steps=await load_steps(user.job_ids))


@app.post("/users/{user_id}/jobs/{job_id}/cancel")
async def cancel_job(job_id: Id, user: KnownUser) -> RedirectResponse:
    """Drop a job that has not started yet."""
    if job_id not in user.job_ids:
        raise HTTPException(404, "This user has no such job.")
    await later.cancel(job_id)
    return RedirectResponse(f"/users/{user.id}", status_code=303)


async def may_follow(request: Request, job_id: int) -> bool:
    """Whether the page that asks is that of the job's own user."""
    user_id = request.path_params["user_id"]
    user = await users.find_user(get_pool(request), user_id) if user_id < 2**63 else None
    return user is not None and job_id in user.job_ids


app.add_route("/users/{user_id:int}/jobs/{id}/events", job_events(later, authorize=may_follow))


@app.get("/users/{user_id}/avatar.svg")
async def show_avatar(user: KnownUser) -> FileResponse:
    """Return the picture that make_avatar has drawn."""
    picture = settings.avatars / f"{user.id}.svg"
    if not picture.exists():
        raise HTTPException(404, "The picture is not drawn yet.")
    return FileResponse(picture, media_type="image/svg+xml")


@app.get("/inbox")
async def show_inbox(request: Request) -> HTMLResponse:
    """List the mails that the mail server has received."""
    return page(request, "inbox.html", mails=inbox.list_mails(settings.mails))


@app.get("/mails")
async def show_mails(request: Request) -> HTMLResponse:
    """Return the part of the inbox that changes; the page's script asks for it."""
    return page(request, "mails.html", mails=inbox.list_mails(settings.mails))


@app.get("/inbox/{name}")
async def show_mail(request: Request, name: str) -> HTMLResponse:
    """Show a mail with its headers."""
    return page(request, "mail.html", mail=get_mail(name))


@app.get("/inbox/{name}/raw")
async def show_raw_mail(name: str) -> Response:
    """Return a mail byte for byte as the mail server has received it."""
    return Response(get_mail(name).raw, media_type="text/plain")


def get_mail(name: str) -> inbox.Received:
    """Return the mail that the address names, or answer 404."""
    mail = inbox.find_mail(settings.mails, name)
    if mail is None:
        raise HTTPException(404, "There is no such mail.")
    return mail
