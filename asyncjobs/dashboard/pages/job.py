"""One job: all that is stored of it, what happened, and what can be done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from asyncjobs.dashboard.actions import KINDS, Actions
from asyncjobs.dashboard.guard import identity_of
from asyncjobs.dashboard.job_route import JobRoute
from asyncjobs.dashboard.pages.forms import field, read_form, see_other
from asyncjobs.dashboard.pages.jobs import said
from asyncjobs.dashboard.render import desk_of, page
from asyncjobs.dashboard.story import (
    events_of,
    failures_of,
    later_line,
    pretty,
    progress_of,
    result_of,
)
from asyncjobs.errors import ArgumentError, JobExistsError, UnknownJobError
from asyncjobs.filters import JobFilter
from asyncjobs.glance.stored import extra_of, has_readable_arguments, meta_of, tags_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from asyncjobs.dashboard.desk import Desk
    from asyncjobs.storage.overview import WorkerStatus
    from asyncjobs.types import JobRecord

CHILDREN = 10
"""Jobs that it scheduled, on its own page: the newest."""
EDITABLE = ("scheduled", "waiting", "available", "succeeded", "failed", "cancelled")


async def show(request: Request) -> Response:
    """Show a job."""
    desk, record = desk_of(request), await _record(request)
    schedule, meta = extra_of(record).get("schedule"), meta_of(record)
    return page(
        request,
        "job.html",
        job=record,
        args=pretty(desk.redaction.arguments_of(record)),
        meta=pretty(desk.redaction.value(meta)) if meta else "",
        result=pretty(result_of(record, desk.redaction)) if record.result else "",
        unique_key=desk.redaction.unique_key_of(record),
        progress=progress_of(record),
        parent=await _parent(desk, record),
        children=await desk.storage.admin.find(JobFilter(parent=record.id), limit=CHILDREN),
        worker=await _worker(desk, record),
        events=events_of(record),
        failures=len(failures_of(record)),
        line=later_line(record, desk.redaction, desk.manager.registry.get(record.name)),
        schedule=schedule if isinstance(schedule, dict) and "name" in schedule else None,
        kinds={name: kind for name, kind in KINDS.items() if record.state in kind.states},
        tags=tags_of(record),
        can_edit=record.state in EDITABLE
        and record.name in desk.manager.registry
        and has_readable_arguments(record),
        said=said(request.query_params),
    )


async def edit(request: Request) -> Response:
    """Ask for other arguments."""
    desk, record = desk_of(request), await _record(request)
    Actions(desk, identity_of(request))
    shown = desk.redaction.arguments_of(record)
    return page(request, "edit.html", job=record, args=pretty(shown), problem="")


async def retry(request: Request) -> Response:
    """Retry a job with the arguments of the form."""
    form = await read_form(request)
    desk, record = desk_of(request), await _record(request)
    actions = Actions(desk, identity_of(request))
    text = field(form, "args")
    try:
        done = await actions.retry_with(record, _edited(text))
    except (ValueError, ArgumentError, UnknownJobError, JobExistsError) as error:
        problem = str(error)
        return page(request, "edit.html", 422, job=record, args=text, problem=problem)
    return see_other(f"../{record.id}?said=retry&n={int(done)}")


def _edited(text: str) -> dict[str, Any]:
    try:
        edited = json.loads(text)
    except RecursionError:
        raise ValueError("The arguments are nested too deep.") from None
    if not isinstance(edited, dict):
        raise ValueError('The arguments are an object: {"name": value}.')
    return edited


async def _parent(desk: Desk, record: JobRecord) -> JobRecord | None:
    # None also if nothing is stored of it any more.
    found = [] if record.parent_id is None else await desk.storage.get([record.parent_id])
    return found[0] if found else None


async def _worker(desk: Desk, record: JobRecord) -> WorkerStatus | None:
    if record.worker_id is None:
        return None
    workers = await desk.glance.workers.get()
    return next((worker for worker in workers if worker.id == record.worker_id), None)


async def _record(request: Request) -> JobRecord:
    number = request.path_params["id"]
    found = await desk_of(request).storage.get([number]) if number < 2**63 else []
    if not found:
        raise HTTPException(
            404,
            f"There is no job {number}. Jobs that succeed are removed, unless their definition, "
            "or their worker group, says otherwise.",
        )
    return found[0]


ROUTES = [
    JobRoute("/jobs/{id:int}", show),
    JobRoute("/jobs/{id:int}/edit", edit),
    JobRoute("/jobs/{id:int}/retry", retry, methods=["POST"]),
]
