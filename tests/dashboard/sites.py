"""A manager and its dashboard, and a browser that asks it in this process."""

from __future__ import annotations

import socket
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

from asyncjobs import JobManager, WorkerGroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from asyncjobs.scheduler import Scheduler

LOCAL = ("127.0.0.1", 50_000)


def make_manager(adapter: Any) -> tuple[JobManager, Scheduler]:
    """A manager with a job of each kind that the pages tell apart."""
    jobs = JobManager(
        adapters={"main": adapter},
        queues=["default", "email"],
        workers=[WorkerGroup(adapter="main", delete_successful_jobs=False, heartbeat_interval=0.2)],
    )

    @jobs.job(queue="email", priority=10)
    async def send_mail(user_id: int, subject: str = "Hello") -> None: ...

    @jobs.job(max_attempts=1)
    async def divide(a: int, b: int) -> float:
        return a / b

    @jobs.job
    async def weigh(grams: int) -> dict[str, Any]:
        return {"grams": grams, "iban": "CH93 0076"}

    later = jobs.create_scheduler(adapter="main")

    @jobs.job
    async def plan(count: int) -> None:
        await later.many([send_mail(number) for number in range(count)])

    return jobs, later


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve *app* by a thread, and give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        # Connections wait in the listening socket until the app has started.
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Site:
    """A dashboard, and how to ask it."""

    def __init__(self, jobs: JobManager, later: Scheduler) -> None:
        self.jobs, self.later = jobs, later

    def browser(
        self, app: Any, client: tuple[str, int] = LOCAL, host: str = "localhost", **options: Any
    ) -> httpx.AsyncClient:
        """A client with a cookie jar, of a browser's manners."""
        transport = httpx.ASGITransport(app, client=client, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", **options)

    @asynccontextmanager
    async def asking(self, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A browser on this machine, at a dashboard with *options*."""
        async with self.browser(self.jobs.dashboard(**options)) as client:
            yield client
