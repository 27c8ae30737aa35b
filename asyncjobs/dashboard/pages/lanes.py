"""The lanes: of each key, job and queue with a limit, who waits and whom it has let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import Route

from asyncjobs.dashboard.pages.forms import text_of, typed_text_of
from asyncjobs.dashboard.pages.queues import said
from asyncjobs.dashboard.render import desk_of, page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PAGE = 50
"""Lanes on a page."""
KINDS = ("key", "job", "queue")


async def show(request: Request) -> Response:
    """List the lanes."""
    given = request.query_params
    text, kind = typed_text_of(given, "q"), text_of(given, "kind") or None
    if kind not in {None, *KINDS}:
        raise HTTPException(400, f"A lane is of a key, a job or a queue, not of a {kind!r}.")
    found = await desk_of(request).storage.overview.lanes(
        after=text_of(given, "after") or None, kind=kind, containing=text or None, limit=PAGE
    )
    return page(
        request,
        "lanes.html",
        found=found,
        text=text,
        kind=kind,
        kinds=KINDS,
        is_first="after" not in given,
        said=said(given),
    )


ROUTES = [Route("/queues/lanes", show)]
