"""The endpoint that tells a page how far a job is, on a real server, read as a browser does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from asyncjobs import (
    ConfigError,
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    WorkerGroup,
    current_job,
)
from asyncjobs.errors import StorageUnavailableError
from asyncjobs.integrations.starlette import job_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

PATIENCE = 30


class Site:
    """A web app with jobs, and a client for it."""

    def __init__(self, adapter: Any) -> None:
        self.jobs = JobManager(
            adapters={"main": adapter}, workers=[WorkerGroup(adapter="main", sleep_delay=0.5)]
        )
        self.later = self.jobs.create_scheduler(adapter="main")
        self.go_on: asyncio.Queue[float] = asyncio.Queue()

        @self.jobs.job(retain=3600)
        async def steps() -> str:
            while (done := await self.go_on.get()) < 1:
                current_job().progress(done, "so\nfar")
            return "done"

        self.steps = steps
        self.client = httpx.AsyncClient()
        self.server: uvicorn.Server

    async def authorize(self, request: Request, job_id: int) -> bool:
        return request.query_params.get("user") == "ada"

    def following(self, job_id: int, seen: str | None = None) -> Any:
        headers = {"Last-Event-ID": seen} if seen else {}
        address = f"/jobs/{job_id}/events?user=ada"
        return self.client.stream("GET", address, headers=headers)


async def pass_on(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = "default-src 'self'"
    return response


@contextlib.asynccontextmanager
async def serving(site: Site, **options: Any) -> AsyncIterator[None]:
    endpoint = job_events(site.later, authorize=site.authorize, **options)
    app = Starlette(
        routes=[Route("/jobs/{id}/events", endpoint)],
        lifespan=site.jobs.lifespan(),
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
    )
    listener = socket.create_server(("127.0.0.1", 0))
    site.client.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    site.client.timeout = PATIENCE
    site.server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    task = asyncio.create_task(site.server._serve([listener]))
    try:
        with anyio.fail_after(PATIENCE):
            while not site.server.started:
                await asyncio.sleep(0.01)
        yield
    finally:
        site.server.should_exit = True
        with anyio.fail_after(PATIENCE):
            await task
        await site.client.aclose()
        listener.close()


@pytest.fixture(params=["memory", "postgres"])
def site(request: pytest.FixtureRequest) -> Site:
    if request.param == "memory":
        return Site(MemoryAdapter())
    return Site(PostgresAdapter(request.getfixturevalue("dsn")))


async def events_of(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The events as EventSource tells them: id and data; a comment has neither."""
    event_id, data = "", None
    async for line in response.aiter_lines():
        name, _, text = line.partition(": ")
        if name == "id":
            event_id = text
        elif name == "data":
            data = json.loads(text)
        elif line == ": keep-alive":
            yield "", {}
        elif not line and data is not None:
            yield event_id, data
            data = None


async def first_where(events: Any, **facts: Any) -> tuple[str, dict[str, Any]]:
    with anyio.fail_after(PATIENCE):
        async for event_id, data in events:
            if facts.items() <= data.items():
                return event_id, data
    raise AssertionError(f"the stream ended without {facts}")


async def test_a_page_sees_the_job_go_to_its_end(site: Site) -> None:
    async with serving(site):
        job = await site.later(site.steps())
        async with site.following(job.id) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["content-security-policy"] == "default-src 'self'"
            events = events_of(response)
            await first_where(events, state="running")
            for done in (0.25, 0.5):
                site.go_on.put_nowait(done)
                _, data = await first_where(events, progress=done)
                assert data == {
                    "id": job.id, "state": "running", "attempt": 1, "progress": done,
                    "message": "so\nfar",
                }  # fmt: skip
            site.go_on.put_nowait(1)
            await first_where(events, state="succeeded")
            with anyio.fail_after(PATIENCE):
                assert [event async for event in events] == []


async def test_a_browser_that_comes_back_is_told_what_is_new_and_when_to_stop(site: Site) -> None:
    async with serving(site):
        job = await site.later(site.steps())
        site.go_on.put_nowait(0.25)
        async with site.following(job.id) as response:
            seen, _ = await first_where(events_of(response), progress=0.25)
        async with site.following(job.id, seen) as response:
            events = events_of(response)
            site.go_on.put_nowait(0.5)
            event_id, data = await anext(events)
            assert (event_id != seen, data["progress"]) == (True, 0.5)
            site.go_on.put_nowait(1)
            last, _ = await first_where(events, state="succeeded")
        async with site.following(job.id, last) as response:
            assert response.status_code == 204
        async with site.following(job.id, seen) as response:
            event_id, _ = await first_where(events_of(response), state="succeeded")
            assert event_id == last


async def test_a_job_of_which_nothing_is_stored_is_gone(site: Site) -> None:
    async with serving(site), site.following(999_999) as response:
        events = [event async for event in events_of(response)]
        [(event_id, data)] = events
        assert data["state"] == "gone"
        async with site.following(999_999, event_id) as again:
            assert again.status_code == 204


async def test_comments_keep_the_connection_alive(site: Site) -> None:
    async with serving(site, heartbeat=0.02):
        job = await site.later(site.steps(), wait=3600)
        async with site.following(job.id) as response:
            events = events_of(response)
            assert (await anext(events))[1]["state"] == "scheduled"
            with anyio.fail_after(PATIENCE):
                assert [await anext(events) for _ in range(3)] == [("", {})] * 3


async def test_when_the_page_is_closed_nobody_follows_any_more(site: Site) -> None:
    async with serving(site):
        job = await site.later(site.steps(), wait=3600)
        async with site.following(job.id) as response:
            await anext(events_of(response))
            assert site.later._watch._followers
        with anyio.fail_after(PATIENCE):
            while site.later._watch._followers:
                await asyncio.sleep(0.01)


async def test_the_server_can_stop_while_pages_are_open(site: Site) -> None:
    async with serving(site, lifetime=0.5):
        job = await site.later(site.steps(), wait=3600)
        async with site.following(job.id) as response:
            events = events_of(response)
            await anext(events)
            site.server.should_exit = True
            with anyio.fail_after(PATIENCE):
                assert [event async for event in events] == []


async def test_a_stream_that_we_end_is_taken_up_again_soon(site: Site) -> None:
    async with serving(site, lifetime=0.2):
        job = await site.later(site.steps(), wait=3600)
        async with site.following(job.id) as response:
            text = (await response.aread()).decode()
        assert text.startswith("retry: 2000\n\nid: ")
        assert text.endswith("}\n\nretry: 100\n\n")
        [seen] = [line[4:] for line in text.splitlines() if line.startswith("id: ")]
        async with site.following(job.id, seen) as response:
            assert (await response.aread()).decode() == "retry: 2000\n\nretry: 100\n\n"


@pytest.mark.parametrize("address", ["x", "0x7", "-1", "1.0", "9" * 19, "٣", "9" * 30])
async def test_what_is_no_id_is_not_found(site: Site, address: str) -> None:
    async with serving(site):
        answer = await site.client.get(f"/jobs/{address}/events?user=ada")
    assert answer.status_code == 404


async def test_nobody_sees_a_job_without_consent(site: Site) -> None:
    async with serving(site):
        job = await site.later(site.steps(), wait=3600)
        for query in ("", "?user=eve"):
            answer = await site.client.get(f"/jobs/{job.id}/events{query}")
            assert answer.status_code == 403


@pytest.mark.parametrize("answer", [1, "yes", None, object()])
async def test_only_true_is_consent(answer: Any) -> None:
    site = Site(MemoryAdapter())
    site.authorize = lambda request, job_id: answer  # type: ignore[assignment, method-assign]
    async with serving(site):
        assert (await site.client.get("/jobs/7/events?user=ada")).status_code == 403


async def test_an_unreachable_storage_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def get(ids: Any) -> Any:
        raise StorageUnavailableError("gone")

    async with serving(site):
        monkeypatch.setattr(site.jobs.adapters["main"], "get", get)
        answer = await site.client.get("/jobs/7/events?user=ada")
    assert answer.status_code == 503


def test_the_endpoint_is_closed_by_default() -> None:
    later = Site(MemoryAdapter()).later
    with pytest.raises(TypeError, match="authorize"):
        job_events(later)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="authorize must be a function"):
        job_events(later, authorize=True)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="heartbeat must be"):
        job_events(later, authorize=lambda *_: True, heartbeat=0)
    with pytest.raises(ConfigError, match="lifetime must be"):
        job_events(later, authorize=lambda *_: True, lifetime=0)
