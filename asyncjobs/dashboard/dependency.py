"""The app's own FastAPI dependency as the way into the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Message, Scope

    from asyncjobs.auth import Auth, Identity, Verdict

PARENT = "asyncjobs.parent"
"""Where the scope has the app that the dashboard is mounted in."""


def by_dependency(
    dependency: Callable[..., Any], identify: Callable[[Any], Identity | None] | None = None
) -> Auth:
    """Return an `Auth` that solves *dependency* of the FastAPI app the dashboard is mounted in.

    It is solved as for a route of that app, with its own dependencies and overrides; when it
    raises, as an HTTPException, the app's answer is sent. *identify* makes an `Identity` of
    what it returns, or None to refuse; without one it has to return an Identity or None.
    """

    async def solve(request: Request) -> Verdict:
        from fastapi import APIRouter, Depends  # noqa: PLC0415 - only who has it calls this

        found: list[Any] = []

        solved = Depends(dependency)

        async def remember(value: Any = solved) -> Response:
            found.append(value)
            return Response()

        parent = request.scope.get(PARENT)
        router = APIRouter(dependency_overrides_provider=parent)
        router.add_api_route("/", remember)
        answer = await _answer_of(router, _as_request_for_root(request, parent))
        if not found:
            return answer
        return found[0] if identify is None else identify(found[0])

    return solve


def _as_request_for_root(request: Request, parent: Any) -> Scope:
    # The dependency sees the request as it is, but for its path, by which no route would be
    # found, and its body, which is for the page.
    scope = {**request.scope, "method": "GET", "path": "/", "raw_path": b"/", "root_path": ""}
    return {**scope, "app": parent} if parent is not None else scope


async def _answer_of(router: Any, scope: Scope) -> Response:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    await router(scope, receive, send)
    start, *rest = messages
    answer = Response(b"".join(part.get("body", b"") for part in rest), start["status"])
    answer.raw_headers = list(start["headers"])
    return answer
