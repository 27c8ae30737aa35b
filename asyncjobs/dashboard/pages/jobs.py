"""The list of jobs: search, page through, choose some or all that match, and act on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from asyncjobs.clock import parse_moment
from asyncjobs.dashboard.actions import KINDS, Actions
from asyncjobs.dashboard.guard import identity_of
from asyncjobs.dashboard.pages.forms import (
    Fields,
    field,
    ids_of,
    job_of,
    number_in,
    read_form,
    see_other,
)
from asyncjobs.dashboard.render import desk_of, page, text
from asyncjobs.errors import StorageUnavailableError
from asyncjobs.filters import JobFilter
from asyncjobs.glance.search import FILTERS, Search, parse
from asyncjobs.glance.words import plural
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from asyncjobs.dashboard.desk import Desk

PAGE = 50
"""Jobs on a page."""
NONE = JobFilter(ids=[])
UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}


async def show(request: Request) -> Response:
    """List the jobs that match."""
    desk, given = desk_of(request), request.query_params
    search, state = await _search(request, given)
    found = await desk.storage.admin.find(
        search.where, after=given.get("after") or None, limit=PAGE
    )
    return page(
        request,
        "jobs.html",
        422 if search.problems else 200,
        search=search,
        state=state,
        states=[state.value for state in JobState],
        counts=await desk.glance.states.get(),
        found=found,
        is_first=not given.get("after"),
        kinds=KINDS,
        said=said(given),
    )


async def count(request: Request) -> Response:
    """Say how many jobs match; it may take a moment, so the list does not wait for it."""
    search, _ = await _search(request, request.query_params)
    try:
        found = await desk_of(request).storage.admin.count(search.where)
    except StorageUnavailableError:
        return HTMLResponse("too many to count")
    return HTMLResponse(text(request, "count.html", count=found))


async def words(request: Request) -> Response:
    """Return what the search box completes to."""
    desk = desk_of(request)
    declared = {tag for job in desk.manager.registry for tag in job.options.tags or ()}
    return JSONResponse(
        {
            "filters": [*FILTERS, *_arguments(desk)],
            "name": await desk.names(),
            "queue": desk.manager.queues,
            "state": [state.value for state in JobState],
            "tag": sorted(declared | {*await desk.glance.tags.get()}),
            "attempt": [">1", ">3"],
            "priority": ["<50", ">50"],
            "after": ["1h", "1d", "1w"],
            "before": ["1h", "1d", "1w"],
            "schedule": await _schedules(desk),
        }
    )


def _arguments(desk: Desk) -> list[str]:
    found = {name for job in desk.manager.registry for name in job.codec.signature.parameters}
    return [f"args.{name}:" for name in sorted(found) if not desk.redaction.hides(name)]


async def _schedules(desk: Desk) -> list[str]:
    found = await desk.storage.schedules.find(limit=PAGE)
    return [schedule.name for schedule in found]


async def confirm(request: Request) -> Response:
    """Say for how many jobs something would be done, and ask. It changes nothing itself."""
    form = request.query_params
    action = _action(form)
    where, search, state = await _chosen(request, form)
    actions = Actions(desk_of(request), identity_of(request))
    return page(
        request,
        "confirm.html",
        action=action,
        kind=KINDS[action],
        count=await actions.count(action, where),
        chosen=ids_of(form),
        is_all="all" in form,
        search=search,
        state=state,
        back=_back(form, search, state),
        job=job_of(form),
    )


async def act(request: Request) -> Response:
    """Do it."""
    form = await read_form(request)
    action = _action(form)
    where, search, state = await _chosen(request, form)
    actions = Actions(desk_of(request), identity_of(request))
    when = _when(form) if action == "reschedule" else {}
    job_of(form)  # refused before anything is done
    done = await actions.on_jobs(action, where, **when)
    return see_other(_back(form, search, state, said=action, n=done))


async def _search(request: Request, given: Mapping[str, Any]) -> tuple[Search, str]:
    desk = desk_of(request)
    search = parse(str(given.get("q", "")).strip(), await desk.names(), desk.redaction)
    state = str(given.get("state", ""))
    if state and state not in list(JobState):
        return Search(search.text, NONE, [f"There is no state {state!r}."]), ""
    if not state or search.problems:
        return search, state
    asked = search.where.states
    where = replace(search.where, state=state) if asked is None or state in asked else NONE
    return search._replace(where=where), state


async def _chosen(request: Request, form: Fields) -> tuple[JobFilter, Search, str]:
    search, state = await _search(request, form)
    if "all" not in form:
        ids = ids_of(form)
        if not ids:
            raise HTTPException(400, "Choose some jobs first, or all that match.")
        return JobFilter(ids=ids), search, state
    if search.problems:
        raise HTTPException(400, " ".join(search.problems))
    return search.where, search, state


def _action(form: Fields) -> str:
    action = field(form, "action")
    if action not in KINDS:
        raise HTTPException(400, f"There is nothing called {action!r} to do with jobs.")
    return action


def _when(form: Fields) -> dict[str, Any]:
    at, amount, unit = field(form, "at"), field(form, "wait") or "0", field(form, "unit")
    try:
        if not at:
            return {"wait": float(amount) * UNITS.get(unit, 60)}
        moment = parse_moment(at)
        zone = ZoneInfo(field(form, "zone") or "UTC")
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return {"wait_until": moment.astimezone(UTC)}
    except OverflowError:
        raise HTTPException(400, f"{at} must be in a year from 1 to 9999 of UTC.") from None
    except (ValueError, KeyError, OSError):
        raise HTTPException(400, "Say a number of minutes, or a date and a time.") from None


def _back(form: Fields, search: Search, state: str, **said: Any) -> str:
    # Both forms have addresses below that of the list.
    if job := job_of(form):
        path = "../jobs" if said.get("said") == "delete" else f"../jobs/{job}"
        query = {**said}
    else:
        path = "../jobs"
        query = {"state": state, "q": search.text, **said}
    kept = {name: value for name, value in query.items() if value != ""}
    return f"{path}?{urlencode(kept)}" if kept else path


def said(given: Mapping[str, str]) -> str:
    kind = KINDS.get(given.get("said", ""))
    amount = number_in(given.get("n", ""))
    if kind is None or amount is None:
        return ""
    if amount == 0:
        return f"Nothing was {kind.done}: the jobs are in another state by now."
    return f"{plural(amount, 'job was', 'jobs were')} {kind.done}."


ROUTES = [
    Route("/jobs", show),
    Route("/jobs/count", count),
    Route("/jobs/words.json", words),
    Route("/jobs/confirm", confirm),
    Route("/jobs/act", act, methods=["POST"]),
]
