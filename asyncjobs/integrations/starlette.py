"""Jobs for web pages: an endpoint for Starlette and FastAPI that tells how far a job is.

::

    app.add_route("/jobs/{id}/events", job_events(later, authorize=owns_job))

The page follows it by the browser's own ``EventSource``, which connects again by itself.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TypeAlias

import anyio
from starlette.responses import PlainTextResponse, Response

from asyncjobs.config import check_between
from asyncjobs.errors import ConfigError, JobGoneError, StorageError
from asyncjobs.scheduled import JobEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from asyncjobs.scheduler import Scheduler

Authorize: TypeAlias = "Callable[[Request, int], bool | Awaitable[bool]]"
"""(request, job id) -> whether whoever asks may know of the job."""

MAX_ID = 2**63 - 1
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The second keeps nginx from collecting events before it passes them on."""
RETRY = b"retry: 2000\n\n"
"""Milliseconds until a browser connects again after a loss."""
RETRY_SOON = b"retry: 100\n\n"
"""The same when we end the stream."""
KEEP_ALIVE = b": keep-alive\n\n"
GONE = "gone"
"""The state of a job of which nothing is stored any more."""


def job_events(
    later: Scheduler, *, authorize: Authorize, heartbeat: float = 15.0, lifetime: float = 60.0
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that streams the events of the job ``{id}`` of its path.

    *authorize* decides for each request, and may be async; without its consent the answer is
    403. Each event is a JSON object with id, state, attempt, progress (0 to 1) and message;
    progress and message are null until the job says them, and the state is ``gone`` if
    nothing is stored of the job any more. After the last event the stream ends, and a browser
    that asks again is told by 204 to stop. A comment every *heartbeat* seconds keeps the
    connection from looking dead. After *lifetime* seconds the stream ends even so, and the
    browser connects again at once: a server that is to stop waits for open streams, and most
    do not tell them.

    Raises ConfigError for durations that make no sense and an authorize that is none.
    """
    check_between("heartbeat", heartbeat, 0.01, 3_600, " s")
    check_between("lifetime", lifetime, 0.01, 86_400, " s")
    if not callable(authorize):
        raise ConfigError(f"authorize must be a function (request, id) -> bool, got {authorize!r}")

    async def stream_events(request: Request) -> Response:
        job_id = _job_id(request)
        if job_id is None:
            return PlainTextResponse("There is no such job.", 404)
        allowed = authorize(request, job_id)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if allowed is not True:  # a forgotten await or return opens nothing
            return PlainTextResponse("This job is not yours to see.", 403)
        events = _events(later, job_id)
        try:
            first = await anext(events)
        except StorageError:
            return PlainTextResponse("The jobs cannot be reached.", 503)
        seen = request.headers.get("last-event-id")
        if _event_id(first) == seen and first.is_last:
            await events.aclose()
            return Response(status_code=204)
        return EventStream(first, events, seen=seen, heartbeat=heartbeat, lifetime=lifetime)

    return stream_events


async def _events(later: Scheduler, job_id: int) -> AsyncGenerator[JobEvent, None]:
    try:
        job = await later.job(job_id)
    except JobGoneError:
        yield JobEvent(job_id, None)
        return
    async with aclosing(job.events()) as events:
        async for event in events:
            yield event


class EventStream(Response):
    """Server-sent events, until the last one, or until nobody reads any more."""

    media_type = "text/event-stream"

    def __init__(
        self,
        first: JobEvent,
        events: AsyncGenerator[JobEvent, None],
        *,
        seen: str | None,
        heartbeat: float,
        lifetime: float,
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._first, self._events = first, events
        self._seen, self._heartbeat, self._lifetime = seen, heartbeat, lifetime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        put, take = anyio.create_memory_object_stream[JobEvent](1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow, put)
            tasks.start_soon(self._until_disconnected, receive, tasks.cancel_scope)
            async with take:
                with anyio.move_on_after(self._lifetime) as life:
                    await self._write(take, send)
                if life.cancelled_caught:
                    await _send(send, RETRY_SOON)
            tasks.cancel_scope.cancel()
        # Also to a browser that seems to have gone: some servers say the same when they stop.
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, put: MemoryObjectSendStream[JobEvent]) -> None:
        # In a task of its own: to give up waiting for the next event would end the generator.
        async with put, aclosing(self._events):
            if _event_id(self._first) != self._seen:
                await put.send(self._first)
            async for event in self._events:
                await put.send(event)

    async def _until_disconnected(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _write(self, take: MemoryObjectReceiveStream[JobEvent], send: Send) -> None:
        await _send(send, RETRY)
        while True:
            text = KEEP_ALIVE
            with anyio.move_on_after(self._heartbeat):
                try:
                    text = as_text(await take.receive())
                except anyio.EndOfStream:
                    break
            await _send(send, text)


def as_text(event: JobEvent) -> bytes:
    """Return *event* as it goes to the browser."""
    return f"id: {_event_id(event)}\ndata: {_data(event)}\n\n".encode()


def _data(event: JobEvent) -> str:
    return json.dumps({**event._asdict(), "state": event.state or GONE})


def _event_id(event: JobEvent) -> str:
    # Says what the browser has seen, so that it is not told again when it comes back.
    return hashlib.blake2s(_data(event).encode(), digest_size=8).hexdigest()


def _job_id(request: Request) -> int | None:
    try:
        text = str(request.path_params["id"])
    except KeyError:
        raise ConfigError(f"the path of this endpoint needs {{id}}: {request.url.path}") from None
    is_number = text.isascii() and text.isdecimal() and len(text) < 20
    return int(text) if is_number and int(text) <= MAX_ID else None


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
