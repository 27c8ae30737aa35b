"""An operation of the JSON API: its route, and the checks before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from asyncjobs.dashboard.actions import Actions
from asyncjobs.dashboard.guard import API_HEADER, identity_of
from asyncjobs.dashboard.job_route import JobRoute
from asyncjobs.dashboard.models import Nothing
from asyncjobs.dashboard.render import desk_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.routing import Route

    from asyncjobs.dashboard.desk import Desk

MAX_BODY = 1_000_000
"""Bytes."""


class Call(NamedTuple):
    """A request whose parameters were checked."""

    desk: Desk
    request: Request
    query: Any
    body: Any

    @property
    def actions(self) -> Actions:
        """What changes something. Raises HTTPException for one who may only look."""
        return Actions(self.desk, identity_of(self.request))


class Operation(NamedTuple):
    """One line of the table."""

    method: Literal["GET", "POST"]
    path: str
    summary: str
    handler: Callable[[Call], Awaitable[BaseModel]]
    answer: type[BaseModel]
    query: type[BaseModel] = Nothing
    body: type[BaseModel] | None = None

    @property
    def route(self) -> Route:
        """What answers it."""

        async def endpoint(request: Request) -> Response:
            query = _checked(self.query, dict(request.query_params))
            body = None if self.body is None else await _body(request, self.body)
            answer = await self.handler(Call(desk_of(request), request, query, body))
            return JSONResponse(answer.model_dump(mode="json"))

        return JobRoute(f"/api{self.path}", endpoint, methods=[self.method])


async def _body(request: Request, model: type[BaseModel]) -> BaseModel:
    if API_HEADER not in request.headers:
        raise HTTPException(403, "Send the header X-Asyncjobs: api, so that no form can do this.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(422, "Send JSON, and say so: Content-Type: application/json.")
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            raise HTTPException(422, f"A body has at most {MAX_BODY} bytes.")
    return _checked(model, raw)


def _checked(model: type[BaseModel], given: dict[str, Any] | bytes) -> BaseModel:
    try:
        if isinstance(given, bytes):
            return model.model_validate_json(given)
        return model.model_validate_strings(given)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise HTTPException(422, "; ".join(problems)) from None
