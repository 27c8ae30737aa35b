"""The queues: how full and how fast they are, what limits them, and what is paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.routing import Route

from asyncjobs.dashboard.actions import Actions, known_limit
from asyncjobs.dashboard.guard import identity_of
from asyncjobs.dashboard.pages.forms import (
    Fields,
    field,
    read_form,
    see_other,
    text_of,
    typed_text_of,
)
from asyncjobs.dashboard.render import desk_of, page
from asyncjobs.errors import ConfigError
from asyncjobs.limits import RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

LANES = 10
"""Lanes that the page of queues shows; there is a page of all."""
SAID = {
    "pause": "It is paused. What runs goes on, and nothing else starts.",
    "resume": "It is resumed.",
    "paused": "It was paused already.",
    "resumed": "It was not paused any more.",
    "limit": "The limit is changed. Workers go by it from now on.",
}
UNITS = {"seconds": 1.0, "minutes": 60.0, "hours": 3_600.0, "days": 86_400.0}


async def show(request: Request) -> Response:
    """Show the queues."""
    desk = desk_of(request)
    return page(
        request,
        "queues.html",
        queues=await desk.glance.queues(desk.manager.queues),
        pauses=[pause for pause in await desk.glance.pauses.get() if pause.kind != "queue"],
        limits=await desk.glance.limits.get(),
        found=await desk.storage.overview.lanes(limit=LANES),
        names=await desk.names(),
        said=said(request.query_params),
    )


async def confirm(request: Request) -> Response:
    """Ask whether something is to be paused. It changes nothing itself."""
    given = request.query_params
    kind = text_of(given, "kind")
    name = typed_text_of(given, "typed") if "typed" in given else text_of(given, "name")
    Actions(desk_of(request), identity_of(request))
    if not name or kind not in {"queue", "job", "key"}:
        raise HTTPException(400, "Say which queue, job or key is to be paused.")
    return page(
        request,
        "ask.html",
        title=f"Pause the {kind} {name}?",
        verb="Pause",
        warning="Jobs that run go on. No others start, on any worker and after restarts too, "
        "until it is resumed; what is stored meanwhile waits.",
        to="queues/act",
        fields={"action": "pause", "kind": kind, "name": name},
        back="../queues",
        is_danger=False,
    )


async def act(request: Request) -> Response:
    """Pause or resume."""
    form = await read_form(request)
    actions = Actions(desk_of(request), identity_of(request))
    action, kind, name = field(form, "action"), text_of(form, "kind"), text_of(form, "name")
    if action == "pause":
        done = "pause" if await actions.pause(kind, name) else "paused"
    elif action == "resume":
        done = "resume" if await actions.resume(kind, name) else "resumed"
    else:
        raise HTTPException(400, f"There is nothing called {action!r} to do with a {kind}.")
    back = "lanes" if field(form, "from") == "lanes" else "../queues"
    return see_other(f"{back}?{urlencode({'said': done})}")


async def show_limit(request: Request) -> Response:
    """Show a limit, to be changed."""
    known = await known_limit(desk_of(request), text_of(request.query_params, "name"))
    Actions(desk_of(request), identity_of(request))
    limit = known.limit
    has_rate = limit.burst is not None and limit.gap is not None
    given = {
        "concurrency": "" if limit.concurrency is None else limit.concurrency,
        "count": limit.burst if has_rate else "",
        "per": f"{(limit.burst or 0) * (limit.gap or 0):.6g}" if has_rate else "",
        "unit": "seconds",
        "smooth": "",
    }
    return page(request, "limit.html", known=known, given=given, units=UNITS, problem="")


async def change_limit(request: Request) -> Response:
    """Change a limit to what the form says."""
    form = await read_form(request)
    known = await known_limit(desk_of(request), text_of(form, "name"))
    actions = Actions(desk_of(request), identity_of(request))
    try:
        await actions.change_limit(known.limit.name, _concurrency(form), _rate(form))
    except ConfigError as error:
        return page(
            request,
            "limit.html",
            422,
            known=known,
            given={
                name: field(form, name)
                for name in ("concurrency", "count", "per", "unit", "smooth")
            },
            units=UNITS,
            problem=str(error),
        )
    return see_other("../queues?said=limit")


def _concurrency(form: Fields) -> int | None:
    text = field(form, "concurrency").strip()
    return _whole("concurrency", text) if text else None


def _rate(form: Fields) -> RateLimit | None:
    count, per = field(form, "count").strip(), field(form, "per").strip()
    if not count and not per:
        return None
    if not count or not per:
        raise ConfigError("a rate is a number of starts and a time: give both, or none")
    try:
        seconds = float(per) * UNITS.get(field(form, "unit"), 1.0)
    except ValueError:
        raise ConfigError(f"the time of a rate must be a number, got {per!r}") from None
    return RateLimit(_whole("count", count), seconds, smooth=bool(field(form, "smooth")))


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ConfigError(f"{name} must be a whole number, got {text!r}")
    return int(text)


def said(given: Mapping[str, Any]) -> str:
    """Return what is said of what was done."""
    return SAID.get(given.get("said", ""), "")


ROUTES = [
    Route("/queues", show),
    Route("/queues/confirm", confirm),
    Route("/queues/act", act, methods=["POST"]),
    Route("/queues/limit", show_limit),
    Route("/queues/limit", change_limit, methods=["POST"]),
]
