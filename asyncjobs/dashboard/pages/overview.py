"""The first page, and the stream that keeps it up to date."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from asyncjobs.dashboard.render import desk_of, page, text
from asyncjobs.errors import AsyncJobsError
from asyncjobs.glance.overview import PERIODS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

PAUSE = 1.0
"""Seconds between two events."""
EVENTS = 30
"""Then the stream ends and the browser takes it up again: servers wait for streams at their
end."""


async def show(request: Request) -> Response:
    """Show how things stand."""
    key = _period(request)
    overview = await desk_of(request).glance.overview(key)
    return page(request, "overview.html", overview=overview, key=key, periods=PERIODS)


async def stream(request: Request) -> Response:
    """Send the part of the page that changes, about once a second."""
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_events(request), media_type="text/event-stream", headers=headers)


async def _events(request: Request) -> AsyncIterator[str]:
    desk, key = desk_of(request), _period(request)
    yield "retry: 1000\n\n"
    for _ in range(EVENTS):
        try:
            overview = await desk.glance.overview(key)
        except AsyncJobsError:
            return  # the page says so itself when it asks next
        html = text(request, "overview_live.html", overview=overview, key=key, periods=PERIODS)
        yield f"data: {json.dumps(html)}\n\n"
        await anyio.sleep(PAUSE)


def _period(request: Request) -> str:
    given = request.query_params.get("period", "")
    return given if given in PERIODS else "hour"


ROUTES = [Route("/", show), Route("/events", stream)]
