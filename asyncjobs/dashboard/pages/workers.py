"""The workers, and what each does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from asyncjobs.dashboard.render import desk_of, page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def show(request: Request) -> Response:
    """List the workers."""
    return page(request, "workers.html", workers=await desk_of(request).glance.workers.get())


ROUTES = [Route("/workers", show)]
