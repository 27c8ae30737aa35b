"""Pages from templates, which escape whatever they are given."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from asyncjobs.dashboard import story, timetable
from asyncjobs.dashboard.guard import IDENTITY, TOKEN, keep_token, path_of
from asyncjobs.dashboard.headers import NONCE
from asyncjobs.glance import standings, words
from asyncjobs.glance.queues import limit_in_words

if TYPE_CHECKING:
    from starlette.requests import Request

    from asyncjobs.dashboard.desk import Desk

HERE = Path(__file__).parent
STATIC = HERE / "static"
THEMES = ("light", "dark")
THEME_COOKIE = "asyncjobs_theme"
HTMX_CONFIG = json.dumps(
    {
        "includeIndicatorCSS": False,
        "mode": "same-origin",
        "history": False,
        "noSwap": [204, 304, "4xx", "5xx"],
    }
)
PAGES = (
    ("", "Overview"),
    ("jobs", "Jobs"),
    ("schedules", "Schedules"),
    ("queues", "Queues"),
    ("workers", "Workers"),
)
"""The address and the name of each page in the menu."""


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


VERSION = _fingerprint()
"""Of all files in static/: part of their addresses, so that browsers may keep them for ever."""

environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters |= {
    name: getattr(words, name)
    for name in (
        "count_of",
        "duration",
        "instant",
        "moment",
        "number",
        "percent",
        "plural",
        "quoted",
        "rate",
        "size",
    )
}
environment.filters |= {
    "arguments": story.shown_arguments,
    "last_failure": story.last_failure,
    "told": words.told,
    "told_of": standings.told_of,
    "timetable": timetable.timetable,
    "limit": limit_in_words,
    "when": story.when,
}
environment.globals |= {
    "paused_lane": standings.paused_lane,
    "relative": words.relative,
    "version": VERSION,
    "pages": PAGES,
    "htmx_config": HTMX_CONFIG,
}


def desk_of(request: Request) -> Desk:
    """Return what the dashboard of *request* shows."""
    desk: Desk = request.app.state.desk
    return desk


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return the page made from *template*."""
    response = HTMLResponse(text(request, template, **values), status)
    if TOKEN in request.scope:
        keep_token(request, response)
    return response


def text(request: Request, template: str, **values: Any) -> str:
    """Return what *template* makes of *values* and of what every page knows."""
    return environment.get_template(template).render(
        desk=request.scope["app"].state.desk,
        identity=request.scope.get(IDENTITY),
        token=request.scope.get(TOKEN, ""),
        nonce=request.scope[NONCE],
        base=base_of(request),
        here=path_of(request.scope).strip("/").partition("/")[0],
        theme=_theme(request),
        now=datetime.now(UTC),
        **values,
    )


def base_of(request: Request) -> str:
    """Return the way from this page up to the first: links work under any address so."""
    return "../" * (path_of(request.scope).count("/") - 1) or "./"


def _theme(request: Request) -> str | None:
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None
