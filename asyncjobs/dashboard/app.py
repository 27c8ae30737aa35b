"""Puts the dashboard together."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from asyncjobs.auth import check_auth
from asyncjobs.config import check_flag
from asyncjobs.dashboard import api
from asyncjobs.dashboard.dependency import PARENT
from asyncjobs.dashboard.desk import Desk
from asyncjobs.dashboard.guard import IDENTITY, Guard, path_of, tries
from asyncjobs.dashboard.headers import SafeHeaders
from asyncjobs.dashboard.pages import job, jobs, lanes, overview, queues, schedules, workers
from asyncjobs.dashboard.render import STATIC, desk_of, page
from asyncjobs.dashboard.roots import root_within
from asyncjobs.errors import AsyncJobsError, ConfigError, NotOpenError, StorageError
from asyncjobs.glance.redaction import Redact, Redaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from asyncjobs.auth import Auth
    from asyncjobs.manager import JobManager

SMALL = 1_000
"""Bytes that are not worth compressing."""
PLAINLY = {
    "closed": "The dashboard has no auth=, so it answers only on this machine.",
    "closed storage": "The app that this is mounted in has not opened its JobManager.",
}
"""What the page of refusal says at length."""
DENIED = (401, 403)
FOR_EVER = "public, max-age=31536000, immutable"


def create_dashboard(
    manager: JobManager,
    *,
    adapter: str | None = None,
    auth: Auth | None = None,
    read_only: bool = False,
    redact: Redact | None = None,
    title: str = "Jobs",
) -> Dashboard:
    """Return the dashboard of *manager* as an ASGI app; see `JobManager.dashboard`."""
    check_auth(auth)
    check_flag("read_only", read_only)
    desk = Desk(
        manager,
        _adapter(manager, adapter),
        title=title,
        read_only=read_only,
        redaction=Redaction(manager.redact if redact is None else redact),
    )
    return Dashboard(desk, auth)


def _adapter(manager: JobManager, name: str | None) -> str:
    if name is not None:
        return name
    if len(manager.adapters) != 1:
        names = ", ".join(manager.adapters) or "none"
        raise ConfigError(f"dashboard(adapter=…) must say which one to show, of: {names}")
    [only] = manager.adapters
    return only


class Dashboard(Starlette):
    """The ASGI app. Served alone, it opens the manager; mounted, the app around it does."""

    def __init__(self, desk: Desk, auth: Auth | None) -> None:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with desk.manager:
                yield

        super().__init__(
            routes=[
                *overview.ROUTES,
                *jobs.ROUTES,
                *job.ROUTES,
                *workers.ROUTES,
                *schedules.ROUTES,
                *queues.ROUTES,
                *lanes.ROUTES,
                *api.ROUTES,
                Mount("/static", Files(directory=STATIC)),
            ],
            middleware=[
                Middleware(SafeHeaders),
                Middleware(GZipMiddleware, minimum_size=SMALL, compresslevel=6),
                Middleware(Guard, auth=auth, read_only=desk.read_only, refuse=refuse),
            ],
            exception_handlers={
                HTTPException: explain_http,
                AsyncJobsError: explain,
                Exception: explain_nothing,
            },
            lifespan=lifespan,
        )
        self.state.desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; see `by_dependency` for the app around this one."""
        scope[PARENT] = scope.get("app")
        if scope["type"] == "http":
            scope["root_path"] = root_within(scope)
        await super().__call__(scope, receive, send)


class Files(StaticFiles):
    """Our own files. Their addresses change with their content."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file that browsers may keep."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = FOR_EVER
        return response


def refuse(request: Request, status: int, problem: str) -> Response:
    """Return the page that says why there is no other; programs get it as JSON."""
    if status in DENIED and tries(request):
        known = request.scope.get(IDENTITY)
        desk_of(request).manager.logger.warning(
            "dashboard.denied",
            who=known and known.name,
            client=request.client and request.client.host,
            method=request.method,
            path=path_of(request.scope),
            error=PLAINLY.get(problem, problem),
        )
    if path_of(request.scope).startswith("/api/"):
        return JSONResponse({"error": PLAINLY.get(problem, problem)}, status)
    return page(request, "refused.html", status, problem=problem)


async def explain_http(request: Request, error: Exception) -> Response:
    """Say what an HTTPException does."""
    assert isinstance(error, HTTPException)
    response = refuse(request, error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def explain(request: Request, error: Exception) -> Response:
    """Say what an error of this package does."""
    if isinstance(error, NotOpenError):
        return refuse(request, 503, "closed storage")
    return refuse(request, 503 if isinstance(error, StorageError) else 400, str(error))


async def explain_nothing(_: Request, __: Exception) -> Response:
    """Say only that there was an error; the server's log has it."""
    headers = {"Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store"}
    return PlainTextResponse("The dashboard failed; the log says how.", 500, headers)
