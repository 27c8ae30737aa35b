"""``logs``: what happens to the jobs, as the database tells it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from asyncjobs.cli.finding import STYLES, Query, understood
from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.opened import (
    AdapterOption,
    DsnOption,
    Opened,
    SchemaOption,
    Source,
    plain,
    run_opened,
)
from asyncjobs.cli.runner import on_signals
from asyncjobs.errors import StorageError
from asyncjobs.glance.happenings import Follower

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncjobs.glance.happenings import Happening

EVENT_STYLES = {**STYLES, "raised": "red", "failed": "bold red", "started": "green"}


def logs(
    ctx: typer.Context,
    *,
    query: Query = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")
    ] = False,
    limit: Annotated[
        int, number_option(int, help="So many of the last happenings.", least=0, most=10_000)
    ] = 50,
    traceback: Annotated[
        bool, typer.Option("--traceback", "-t", help="Show the tracebacks of errors.")
    ] = False,
    every: Annotated[
        float, number_option(float, help="Seconds between two looks.", least=0.2)
    ] = 2.0,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object on each line, for scripts.")
    ] = False,
) -> None:
    """Tell what happened to jobs, on all machines: stored, started, raised, failed, ...

    It is read off the stored jobs: of one that succeeded and is not kept, nothing is left to
    tell. What the workers themselves log is where their stderr goes.
    """

    async def action(opened: Opened) -> int:
        follower = Follower(opened.storage, await understood(opened, query))
        found = await follower.look()
        _tell(found[len(found) - min(limit, len(found)) :], as_json=as_json, traceback=traceback)
        if not follow:
            return 0
        stop = asyncio.Event()
        on_signals(stop.set, stop.set)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await stop.wait()
            if not stop.is_set():
                await _look(follower, as_json=as_json, traceback=traceback)
        return 0

    run_opened(ctx, Source(adapter, dsn, schema), action)


async def _look(follower: Follower, *, as_json: bool, traceback: bool) -> None:
    try:
        found = await follower.look()
    except StorageError as error:  # it goes on when the database is back
        print(f"error: {error}", file=sys.stderr)
    else:
        _tell(found, as_json=as_json, traceback=traceback)


def _tell(found: Iterable[Happening], *, as_json: bool, traceback: bool) -> None:
    console = Console(soft_wrap=True)
    for each in found:
        if as_json:
            told = {**each._asdict(), "at": each.at.isoformat()}
            if not traceback:
                del told["traceback"]
            print(json.dumps(told, ensure_ascii=False))
            continue
        error = "" if each.error is None else f"  {each.error}: {each.message}"
        console.print(
            Text.assemble(
                (f"{each.at.astimezone():%Y-%m-%d %H:%M:%S}  ", "dim"),
                (f"{each.event:<10}", EVENT_STYLES.get(each.event, "")),
                plain(f"{each.job} #{each.id}"),
                plain(f"  {each.queue}{_attempt(each)}", style="dim"),
                plain(error),
            )
        )
        if traceback and each.traceback:
            for line in each.traceback.splitlines():
                console.print(plain(f"    {line}", style="dim"))
    sys.stdout.flush()


def _attempt(happening: Happening) -> str:
    return f"  attempt {happening.attempt}" if happening.attempt else ""
