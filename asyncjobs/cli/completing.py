"""What the shell completes by itself: the names of queues, jobs and schedules.

An app knows its queues and jobs; what recurs, and all of a database without an app, is asked
for there. Nobody waits long for a name, and whatever goes wrong, nothing is offered.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - which typer looks at

from asyncjobs.cli.opened import Opened, Source, manager_of, only_adapter
from asyncjobs.cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATIENCE = 2.0
"""Seconds that the database has to answer."""


def queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of queues that begin so."""
    return _matching(ctx, incomplete, _queues)


def jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of jobs that begin so."""
    return _matching(ctx, incomplete, _jobs)


def schedules(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of schedules that begin so."""
    return _matching(ctx, incomplete, _schedules)


async def _queues(opened: Opened) -> list[str]:
    if opened.has_app:
        return list(opened.jobs.queues)
    async with opened.jobs:
        return [each.queue for each in await opened.storage.overview.queues()]


async def _jobs(opened: Opened) -> list[str]:
    if opened.has_app:
        return [job.name for job in opened.jobs.registry]
    async with opened.jobs:
        return await opened.storage.statistics.names()


async def _schedules(opened: Opened) -> list[str]:
    async with opened.jobs:
        return [each.name for each in await opened.later.schedules.list()]


def _matching(
    ctx: typer.Context, incomplete: str, names: Callable[[Opened], Awaitable[list[str]]]
) -> list[str]:
    # What an app prints or logs when it is imported must not reach the shell.
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(Exception, SystemExit),
    ):
        typed = ctx.params
        source = Source(typed.get("adapter"), typed.get("dsn"), typed.get("schema"))
        options = Settings.resolve(ctx.find_root().params.get("app"), None)
        manager, has_app = manager_of(options, source)
        adapter = source.adapter or only_adapter(manager)
        opened = Opened(manager, manager.create_scheduler(adapter=adapter), has_app)
        found = asyncio.run(_in_time(names(opened)))
        return sorted({name for name in found if name.startswith(incomplete)})
    return []


async def _in_time(asked: Awaitable[list[str]]) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        return await asked
