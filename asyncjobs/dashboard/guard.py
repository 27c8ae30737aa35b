"""Lets nobody in who is not known, and nothing that a page of somebody else has sent."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from asyncjobs.auth import Identity, identify

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from asyncjobs.auth import Auth

IDENTITY, TOKEN = "asyncjobs.identity", "asyncjobs.token"
"""Keys of the scope: who asks, and what a form has to send along."""
COOKIE = "asyncjobs_token"
FIELD = "token"
API_HEADER = "x-asyncjobs"
UNSAID = (
    "This request does not say where it comes from, so nothing was done. "
    "A program sends the header X-Asyncjobs: api."
)
READING = ("GET", "HEAD")
OPEN = "/static/"
"""These files are the same for everybody, and the page that refuses needs them."""


class Guard:
    """Knows who asks, before any page does; see the module."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        auth: Auth | None,
        read_only: bool,
        refuse: Callable[[Request, int, str], Response],
    ) -> None:
        self._app, self._auth, self._read_only = app, auth, read_only
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        request = Request(scope, receive)
        if path_of(scope).startswith(OPEN):
            await self._app(scope, receive, send)
            return
        answer = await self._check(request)
        await (answer or self._app)(scope, receive, send)

    async def _check(self, request: Request) -> Response | None:
        found = await self._identify(request)
        if isinstance(found, Response):
            return found
        if found is None:
            return self._refused(request)
        may_act = found.may_act and not self._read_only
        request.scope[IDENTITY] = found._replace(may_act=may_act)
        request.scope[TOKEN] = request.cookies.get(cookie_name(request)) or secrets.token_urlsafe()
        if request.method in READING:
            return None
        if problem := foreign(request):
            return self._refuse(request, 403, problem)
        if not may_act:
            return self._refuse(request, 403, "You may look, but not change anything here.")
        return None

    async def _identify(self, request: Request) -> Any:
        try:
            return await identify(self._auth, request)
        except HTTPException as error:
            answer = self._refuse(request, error.status_code, error.detail)
            answer.headers.update(error.headers or {})
            return answer

    def _refused(self, request: Request) -> Response:
        if self._auth is None:
            return self._refuse(request, 403, "closed")
        challenge = getattr(self._auth, "challenge", None)
        if challenge is None:
            return self._refuse(request, 403, "You may not see this.")
        answer = self._refuse(request, 401, "Please say who you are.")
        answer.headers["WWW-Authenticate"] = challenge
        return answer


def path_of(scope: Scope) -> str:
    """Return the path below where the dashboard is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root + "/") else path


def tries(request: Request) -> bool:
    """Return whether *request* changes something, or says who asks: not only looks by."""
    return request.method not in READING or "authorization" in request.headers


def foreign(request: Request) -> str | None:
    """Return why *request* is not one of our own pages', or None.

    Browsers say where a request comes from, and no script can change that; of those that send
    no Sec-Fetch-Site, Origin tells as much. A program that is no browser sends a header of
    ours, which a page of somebody else cannot.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_ours = site == "same-origin"
    elif origin is not None:
        # Not taken apart as an address is, which fails for what is none.
        is_ours = origin.partition("://")[2] == request.headers.get("host")
    else:
        return None if API_HEADER in request.headers else UNSAID
    return None if is_ours else "This request came from another site, so nothing was done."


def check_token(request: Request, given: object) -> None:
    """Raise HTTPException unless the form was one of ours, sent to this very browser."""
    known = request.cookies.get(cookie_name(request), "")
    if not (known and isinstance(given, str) and _equal(known, given)):
        raise HTTPException(
            403, "The form was too old, or not one of this page, so nothing was done. Try again."
        )


def keep_token(request: Request, response: Response) -> None:
    """Send the token that the forms of a page have as a cookie as well."""
    name = cookie_name(request)
    if name not in request.cookies:
        response.set_cookie(
            name,
            request.scope[TOKEN],
            path="/",
            secure=name != COOKIE,
            httponly=True,
            samesite="strict",
        )


def cookie_name(request: Request) -> str:
    """Return the name of the cookie: one that no subdomain can set, where that can be had."""
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


def identity_of(request: Request) -> Identity:
    """Return who asks."""
    found: Identity = request.scope[IDENTITY]
    return found


def _equal(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
