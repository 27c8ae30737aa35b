"""The workers, page by page: what each does, and what can be wished of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.routing import Route

from asyncjobs.dashboard.actions import Actions, known_worker
from asyncjobs.dashboard.guard import identity_of
from asyncjobs.dashboard.pages.forms import field, number_in, read_form, see_other, typed_text_of
from asyncjobs.dashboard.render import desk_of, page
from asyncjobs.storage.overview import WorkerState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from asyncjobs.storage.overview import WorkerStatus

PAGE = 25
"""Workers on a page."""
STATES = get_args(WorkerState)
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
    given = request.query_params
    text, state = typed_text_of(given, "q"), _state(given)
    workers = await desk_of(request).glance.workers.get()
    found = _found(workers, text, state)
    last = max(1, -(-len(found) // PAGE))
    number = min(_place(given, found), last)
    return page(
        request,
        "workers.html",
        workers=found[(number - 1) * PAGE : number * PAGE],
        found=len(found),
        number=number,
        last=last,
        text=text,
        state=state,
        counts=Counter(worker.state for worker in workers),
        states=STATES,
        said=_said(given),
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
        back=_address(worker.id),
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
    return see_other(_address(number, said=action, n=int(done)))


def _found(workers: Sequence[WorkerStatus], text: str, state: str | None) -> Sequence[WorkerStatus]:
    wanted = text.casefold()
    return [
        worker
        for worker in workers
        if (state is None or worker.state == state)
        and any(
            wanted in said.casefold()
            for said in (worker.name, worker.group, worker.host, *worker.queues)
        )
    ]


def _place(given: Mapping[str, str], found: Sequence[WorkerStatus]) -> int:
    """Return which page is asked for, or has the worker that is; the first, if none has it."""
    if "worker" in given:
        number = _whole(given, "worker", "The id of a worker")
        places = (place for place, worker in enumerate(found) if worker.id == number)
        return next(places, 0) // PAGE + 1
    return max(1, _whole(given, "page", "A page")) if "page" in given else 1


def _state(given: Mapping[str, str]) -> str | None:
    state = given.get("state") or None
    if state not in {None, *STATES}:
        raise HTTPException(400, f"A worker is {', '.join(STATES)}, not {state!r}.")
    return state


def _address(worker: int, **said: Any) -> str:
    """Return the address of the page that has a worker, from a page below."""
    return f"../workers?{urlencode({'worker': worker} | said)}#worker-{worker}"


def _id_of(given: Any) -> int:
    return _whole(given, "id", "The id of a worker")


def _whole(given: Any, name: str, what: str) -> int:
    number = number_in(field(given, name))
    if number is None:
        raise HTTPException(400, f"{what} is a whole number.")
    return number


def _said(given: Mapping[str, str]) -> str:
    return SAID.get((given.get("said", ""), given.get("n") != "0"), "")


ROUTES = [
    Route("/workers", show),
    Route("/workers/confirm", confirm),
    Route("/workers/act", act, methods=["POST"]),
]
