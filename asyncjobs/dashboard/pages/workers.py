"""The workers: what each does, and what can be wished of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.routing import Route

from asyncjobs.dashboard.actions import Actions, known_worker
from asyncjobs.dashboard.guard import identity_of
from asyncjobs.dashboard.pages.forms import field, read_form, see_other
from asyncjobs.dashboard.render import desk_of, page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

ASKED = {
    "quiet": (
        "Quiet",
        "It claims nothing more, and what it runs goes on, until it is resumed here or started "
        "again.",
    ),
    "stop": (
        "Stop",
        "It claims nothing more, lets running jobs end as long as its shutdown_timeout allows, "
        "gives back the others, and ends. It is not replaced: asyncjobs work, or the app that it "
        "is part of, runs it again when that is started again itself.",
    ),
}
"""What is asked about first: the verb, and what to know."""
SAID = {
    ("quiet", True): "It is told to claim nothing more. What it runs goes on.",
    ("quiet", False): "It was quiet already.",
    ("resume", True): "It may claim again.",
    ("resume", False): "It was not quiet any more.",
    ("stop", True): "It is told to stop. It goes as soon as what it runs has ended.",
    ("stop", False): "It was told to stop already.",
}


async def show(request: Request) -> Response:
    """List the workers."""
    return page(
        request,
        "workers.html",
        workers=await desk_of(request).glance.workers.get(),
        said=_said(request.query_params),
    )


async def confirm(request: Request) -> Response:
    """Ask whether something is to be wished of a worker. It changes nothing itself."""
    given = request.query_params
    action, number = field(given, "action"), _id_of(given)
    Actions(desk_of(request), identity_of(request))
    if action not in ASKED:
        raise HTTPException(400, f"There is nothing called {action!r} to ask of a worker.")
    worker = await known_worker(desk_of(request), number)
    verb, warning = ASKED[action]
    running = f" It runs {worker.running} now." if worker.running else " It runs nothing now."
    return page(
        request,
        "ask.html",
        title=f"{verb} the worker {worker.name} on {worker.host}?",
        verb=verb,
        warning=warning + running,
        to="workers/act",
        fields={"action": action, "id": worker.id},
        back="../workers",
        is_danger=action == "stop",
    )


async def act(request: Request) -> Response:
    """Wish it."""
    form = await read_form(request)
    actions = Actions(desk_of(request), identity_of(request))
    action, number = field(form, "action"), _id_of(form)
    if action not in {"quiet", "resume", "stop"}:
        raise HTTPException(400, f"There is nothing called {action!r} to wish of a worker.")
    done = await actions.wish(action, number)
    return see_other(f"../workers?{urlencode({'said': action, 'n': int(done)})}")


def _id_of(given: Any) -> int:
    text = field(given, "id")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise HTTPException(400, "The id of a worker is a whole number.")
    return int(text)


def _said(given: Mapping[str, str]) -> str:
    return SAID.get((given.get("said", ""), given.get("n") != "0"), "")


ROUTES = [
    Route("/workers", show),
    Route("/workers/confirm", confirm),
    Route("/workers/act", act, methods=["POST"]),
]
