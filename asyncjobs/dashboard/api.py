"""The JSON API: what the pages show and do, for programs, with the same permissions.

Every operation stands in one table, from which its route and its part of the OpenAPI document
are made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asyncjobs.dashboard import api_queues, api_schedules, api_workers
from asyncjobs.dashboard.models import (
    Chosen,
    CountAnswer,
    Done,
    JobAnswer,
    JobsQuery,
    Later,
    NewArguments,
    OverviewAnswer,
    PageAnswer,
    PageQuery,
    PeriodQuery,
    job_answer,
    overview_answer,
)
from asyncjobs.dashboard.openapi import document
from asyncjobs.dashboard.operation import Call, Operation
from asyncjobs.dashboard.render import desk_of
from asyncjobs.filters import JobFilter
from asyncjobs.glance.search import parse
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from starlette.requests import Request

    from asyncjobs.dashboard.desk import Desk
    from asyncjobs.types import JobRecord


async def read_overview(call: Call) -> OverviewAnswer:
    """Return how things stand."""
    return overview_answer(await call.desk.glance.overview(call.query.period))


async def find_jobs(call: Call) -> PageAnswer:
    """Return a page of the jobs that match."""
    where = await _where(call.desk, call.query.q, call.query.state)
    page = await call.desk.storage.admin.find(
        where, after=call.query.after or None, limit=call.query.limit
    )
    return PageAnswer(
        jobs=[job_answer(record, call.desk.redaction) for record in page.jobs],
        after=page.after,
        is_cut_short=page.is_cut_short,
    )


async def count_jobs(call: Call) -> CountAnswer:
    """Return how many jobs match."""
    where = await _where(call.desk, call.query.q, call.query.state)
    count = await call.desk.storage.admin.count(where)
    return CountAnswer(jobs=count.jobs, is_exact=count.is_exact)


async def get_job(call: Call) -> JobAnswer:
    """Return one job."""
    return job_answer(await _record(call), call.desk.redaction)


async def retry_jobs(call: Call) -> Done:
    """Let jobs run again, or now."""
    return await _act(call, "retry")


async def cancel_jobs(call: Call) -> Done:
    """Cancel jobs."""
    return await _act(call, "cancel")


async def delete_jobs(call: Call) -> Done:
    """Remove jobs."""
    return await _act(call, "delete")


async def reschedule_jobs(call: Call) -> Done:
    """Set the time of jobs that wait."""
    wait, wait_until = call.body.wait, call.body.wait_until
    if (wait is None) == (wait_until is None):
        raise HTTPException(422, "Give wait or wait_until.")
    if wait_until is not None and wait_until.tzinfo is None:
        raise HTTPException(422, "wait_until needs a time zone.")
    return await _act(call, "reschedule", wait=wait, wait_until=wait_until)


async def retry_with(call: Call) -> Done:
    """Retry a job with other arguments."""
    record = await _record(call)
    return Done(jobs=int(await call.actions.retry_with(record, call.body.args)))


OPERATIONS = [
    Operation("GET", "/overview", "How things stand", read_overview, OverviewAnswer, PeriodQuery),
    Operation("GET", "/jobs", "A page of the jobs that match", find_jobs, PageAnswer, PageQuery),
    Operation("GET", "/jobs/count", "How many match", count_jobs, CountAnswer, JobsQuery),
    Operation("GET", "/jobs/{id:int}", "One job", get_job, JobAnswer),
    Operation("POST", "/jobs/retry", "Let jobs run again", retry_jobs, Done, body=Chosen),
    Operation("POST", "/jobs/cancel", "Cancel jobs", cancel_jobs, Done, body=Chosen),
    Operation("POST", "/jobs/delete", "Remove jobs", delete_jobs, Done, body=Chosen),
    Operation("POST", "/jobs/reschedule", "Set their time", reschedule_jobs, Done, body=Later),
    Operation(
        "POST", "/jobs/{id:int}/retry", "Retry with other arguments", retry_with, Done,
        body=NewArguments,
    ),
    *api_queues.OPERATIONS,
    *api_schedules.OPERATIONS,
    *api_workers.OPERATIONS,
]  # fmt: skip


async def describe(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(document(desk_of(request).title, OPERATIONS))


async def _where(desk: Desk, text: str, state: str) -> JobFilter:
    search = parse(text.strip(), await desk.names(), desk.redaction)
    if search.problems:
        raise HTTPException(400, " ".join(search.problems))
    if not state:
        return search.where
    if state not in list(JobState):
        raise HTTPException(400, f"There is no state {state!r}.")
    if search.where.state is not None:
        raise HTTPException(400, "Give state, or state: in q, not both.")
    return replace(search.where, state=state)


async def _record(call: Call) -> JobRecord:
    number = call.request.path_params["id"]
    found = await call.desk.storage.get([number]) if number < 2**63 else []
    if not found:
        raise HTTPException(404, f"There is no job {number}.")
    return found[0]


async def _act(call: Call, action: str, **when: Any) -> Done:
    chosen: Chosen = call.body
    if chosen.all == bool(chosen.ids):
        raise HTTPException(422, "Give ids, or all: true for those that match q and state.")
    if chosen.ids and (chosen.q or chosen.state):
        raise HTTPException(422, "Give ids, or q and state, not both.")
    where = (
        await _where(call.desk, chosen.q, chosen.state) if chosen.all else JobFilter(ids=chosen.ids)
    )
    return Done(jobs=await call.actions.on_jobs(action, where, **when))


ROUTES = [Route("/api/openapi.json", describe), *[operation.route for operation in OPERATIONS]]
