"""Answers scrapes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asyncjobs.auth import check_auth, identify
from asyncjobs.config import check_flag
from asyncjobs.errors import ConfigError, NotOpenError
from asyncjobs.metrics.access import auth_of
from asyncjobs.metrics.cluster import Known, write_cluster
from asyncjobs.metrics.process import write_connections, write_workload
from asyncjobs.metrics.reading import Reader
from asyncjobs.metrics.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from asyncjobs.auth import Auth
    from asyncjobs.manager import JobManager

HEADERS = {"Cache-Control": "no-store"}
CLOSED = (
    "These metrics are answered on this machine only: give jobs.metrics(token=...), auth=... or "
    "public=True.\n"
)
NOT_OPEN = "The app that this is served by has not opened its JobManager.\n"


def create_metrics(
    manager: JobManager,
    *,
    auth: Auth | None = None,
    token: str | None = None,
    public: bool = False,
    cluster: bool = True,
    process: bool = True,
) -> Metrics:
    """Return the metrics of *manager* as an ASGI app; see `JobManager.metrics`."""
    for name, flag in (("public", public), ("cluster", cluster), ("process", process)):
        check_flag(name, flag)
    check_auth(auth)
    if not (cluster or process):
        raise ConfigError("cluster=False and process=False leave nothing to tell")
    return Metrics(manager, auth_of(auth, token, public=public), cluster=cluster, process=process)


class Metrics(Starlette):
    """The ASGI app. Served alone, it opens the manager; otherwise the app around it does."""

    def __init__(
        self, manager: JobManager, auth: Auth | None, *, cluster: bool, process: bool
    ) -> None:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with manager:
                yield

        self._manager, self._auth = manager, auth
        self._cluster, self._process = cluster, process
        self._readers = [
            Reader(name, storage, manager.logger) for name, storage in manager.adapters.items()
        ]
        super().__init__(
            # However it is mounted, there is only one thing here.
            routes=[Route("/{path:path}", self._answer)],
            middleware=[Middleware(GZipMiddleware)],
            exception_handlers={HTTPException: _explain},
            lifespan=lifespan,
        )

    async def _answer(self, request: Request) -> Response:
        found = await identify(self._auth, request)
        if isinstance(found, Response):
            return found
        if found is None:
            return self._refusal()
        try:
            sheet = await self._sheet()
        except NotOpenError:
            return PlainTextResponse(NOT_OPEN, 503, HEADERS)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(sheet)
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={**HEADERS, "Content-Type": kind})

    async def _sheet(self) -> Sheet:
        sheet = Sheet()
        for reader in self._readers:
            if self._cluster:
                reading, known = await reader.read(), self._known(reader.name)
                write_cluster(sheet, reader.name, reading, known=known)
            found = reader.storage.overview.connections() if self._process else None
            if found is not None:
                write_connections(sheet, reader.name, found)
        if self._process:
            for workload in self._manager.workloads():
                write_workload(sheet, workload)
        return sheet

    def _known(self, adapter: str) -> Known:
        groups = [group for group in self._manager.workers if group.adapter == adapter]
        return Known(
            self._manager.queues,
            {group.label for group in groups if group.count},
            [(job.options.queue, job.name) for job in self._manager.registry],
        )

    def _refusal(self) -> Response:
        if self._auth is None:
            return PlainTextResponse(CLOSED, 403, HEADERS)
        challenge = getattr(self._auth, "challenge", None)
        if challenge is None:
            return PlainTextResponse("You may not see this.\n", 403, HEADERS)
        headers = {**HEADERS, "WWW-Authenticate": challenge}
        return PlainTextResponse("Please say who you are.\n", 401, headers)


async def _explain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(
        f"{error.detail}\n", error.status_code, {**HEADERS, **(error.headers or {})}
    )
