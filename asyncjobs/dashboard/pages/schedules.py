"""The schedules: when each runs, how it went, and what can be done about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.routing import Route

from asyncjobs.dashboard.actions import Actions
from asyncjobs.dashboard.guard import identity_of
from asyncjobs.dashboard.pages.forms import (
    field,
    number_in,
    read_form,
    see_other,
    text_of,
    typed_text_of,
)
from asyncjobs.dashboard.render import desk_of, page
from asyncjobs.dashboard.story import pretty
from asyncjobs.dashboard.timetable import counted_from, next_ticks
from asyncjobs.glance.stored import arguments_of
from asyncjobs.schedule_types import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from asyncjobs.dashboard.desk import Desk
    from asyncjobs.schedule_types import Schedule

PAGE = 25
"""Schedules on a page."""
RUNS = 30
"""Runs that are shown of one."""
TICKS = 5
"""Ticks to come that are shown."""
STANDINGS = get_args(Standing)
SAID = {
    "enable": "It is switched on.",
    "disable": "It is switched off. A run that it has made goes on.",
    "remove": "The schedule is removed. Its runs are kept as they are.",
    "busy": "Nothing was stored: a run has not ended, and two at once are not wanted "
    '(overlap="skip").',
}
ASKED = {
    "disable": (
        "Switch off",
        "It makes no runs any more, on any worker and after deploys too, until it is switched "
        "on again. What passes meanwhile is not made up for; a run that it has made goes on.",
    ),
    "remove": (
        "Remove",
        "Its times and its history are gone, while its runs are kept. This cannot be undone.",
    ),
}
"""What is asked about first: the verb, and what to know."""


async def show(request: Request) -> Response:
    """List the schedules."""
    desk, given = desk_of(request), request.query_params
    text, standing = typed_text_of(given, "q"), _standing(given)
    found = await desk.storage.schedules.find(
        after=text_of(given, "after") or None,
        containing=text or None,
        standing=standing,
        limit=PAGE + 1,
    )
    shown = found[:PAGE]
    return page(
        request,
        "schedules.html",
        schedules=shown,
        last=_by_name(await desk.storage.overview.runs([one.name for one in shown], 1)),
        weeks=await desk.glance.weeks([one.job for one in shown]),
        after=shown[-1].name if len(found) > PAGE else None,
        is_first="after" not in given,
        text=text,
        standing=standing,
        standings=STANDINGS,
        counts=await desk.glance.standings.get(),
        paused=await _paused(desk),
        said=_said(given),
    )


async def show_one(request: Request) -> Response:
    """Show one schedule."""
    desk, schedule = desk_of(request), await _schedule(request, request.query_params)
    args = desk.redaction.arguments(schedule.job, arguments_of(schedule))
    runs = await desk.storage.overview.runs([schedule.name], RUNS)
    return page(
        request,
        "schedule.html",
        schedule=schedule,
        ticks=next_ticks(schedule, datetime.now(UTC), TICKS),
        start=counted_from(schedule),
        args=pretty(args),
        runs=runs,
        longest=max((run.seconds or 0 for run in runs), default=0),
        week=(await desk.glance.weeks([schedule.job]))[schedule.job],
        can_remove=is_removable(schedule),
        paused=await _paused(desk),
        said=_said(request.query_params),
    )


async def confirm(request: Request) -> Response:
    """Ask whether something is to be done. It changes nothing itself."""
    given = request.query_params
    schedule, action = await _schedule(request, given), field(given, "action")
    Actions(desk_of(request), identity_of(request))
    if action not in ASKED:
        raise HTTPException(400, f"There is nothing called {action!r} to do with a schedule.")
    verb, warning = ASKED[action]
    return page(
        request,
        "ask.html",
        title=f"{verb} the schedule {schedule.name}?",
        verb=verb,
        warning=warning,
        to="schedules/act",
        fields={"action": action, "name": schedule.name},
        back=f"one?{urlencode({'name': schedule.name})}",
        is_danger=action == "remove",
    )


async def act(request: Request) -> Response:
    """Do it."""
    form = await read_form(request)
    schedule, action = await _schedule(request, form), field(form, "action")
    actions = Actions(desk_of(request), identity_of(request))
    said: dict[str, Any] = {"said": action}
    if action == "run":
        stored = await actions.run_schedule(schedule.name)
        said = {"said": "busy"} if stored is None else {"said": "run", "n": stored}
    elif action in {"enable", "disable"}:
        await actions.switch_schedule(schedule.name, enabled=action == "enable")
    elif action == "remove":
        await actions.remove_schedule(schedule.name)
        return see_other(f"../schedules?{urlencode(said)}")
    else:
        raise HTTPException(400, f"There is nothing called {action!r} to do with a schedule.")
    if field(form, "from") == "list":
        # What was looked for is looked for again.
        kept = {name: field(form, name) for name in ("q", "standing", "after")}
        query = {name: value for name, value in kept.items() if value}
        return see_other(f"../schedules?{urlencode(query | said)}")
    return see_other(f"one?{urlencode({'name': schedule.name} | said)}")


def is_removable(schedule: Schedule) -> bool:
    """Return whether no code declares *schedule*, which would store it again."""
    return schedule.declared is None or schedule.retired_at is not None


async def _schedule(request: Request, given: Any) -> Schedule:
    name = text_of(given, "name")
    found = await desk_of(request).storage.schedules.get([name])
    if not found:
        raise HTTPException(404, f"There is no schedule {name!r}.")
    return found[0]


def _standing(given: Mapping[str, str]) -> Any:
    standing = given.get("standing") or None
    if standing not in {None, *STANDINGS}:
        raise HTTPException(400, f"A schedule is {', '.join(STANDINGS)}, not {standing!r}.")
    return standing


async def _paused(desk: Desk) -> set[str]:
    return {pause.lane for pause in await desk.glance.pauses.get()}


def _by_name(runs: Any) -> dict[str, Any]:
    return {run.schedule: run for run in runs}


def _said(given: Mapping[str, str]) -> dict[str, Any] | None:
    said, number = given.get("said", ""), number_in(given.get("n", ""))
    if said == "run" and number is not None:
        return {"text": "A run is stored:", "job": number}
    return {"text": SAID[said], "job": None} if said in SAID else None


ROUTES = [
    Route("/schedules", show),
    Route("/schedules/one", show_one),
    Route("/schedules/confirm", confirm),
    Route("/schedules/act", act, methods=["POST"]),
]
