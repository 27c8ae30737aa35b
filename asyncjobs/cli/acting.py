"""``retry``, ``cancel``, ``delete`` and ``reschedule``: what is done to one job, or to many."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from asyncjobs.cli.finding import Query, understood
from asyncjobs.cli.opened import (
    NOTHING_DONE,
    AdapterOption,
    JsonOption,
    Opened,
    YesOption,
    confirm,
    print_json,
    run_opened,
)
from asyncjobs.errors import ConfigError
from asyncjobs.filters import JobFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say how many are meant.")]


def retry(
    ctx: typer.Context,
    *,
    query: Query = None,
    dry_run: DryOption = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let jobs run again now: failed, cancelled and succeeded ones, and those that wait."""
    _act(ctx, adapter, query, "Retry", lambda opened, where: opened.later.retry(where),
         dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip


def cancel(
    ctx: typer.Context,
    *,
    query: Query = None,
    interrupt: Annotated[
        bool, typer.Option(help="Also end those that run, now; otherwise they end by themselves.")
    ] = True,
    dry_run: DryOption = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel jobs that have not ended."""
    _act(ctx, adapter, query, "Cancel",
         lambda opened, where: opened.later.cancel(where, interrupt=interrupt),
         dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip


def delete(
    ctx: typer.Context,
    *,
    query: Query = None,
    dry_run: DryOption = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove jobs that do not run, with all that is stored of them."""
    _act(ctx, adapter, query, "Delete", lambda opened, where: opened.later.delete(where),
         dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip


def reschedule(
    ctx: typer.Context,
    *,
    query: Query = None,
    wait: Annotated[
        float | None, typer.Option(help="Seconds from now.", min=0, show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="A moment with its zone, as 2031-01-31T09:00+01:00.", show_default=False),
    ] = None,
    dry_run: DryOption = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the time of jobs that wait for theirs, or for a worker."""
    moment = None if at is None else moment_of(at)
    if (wait is None) == (moment is None):
        raise ConfigError("give either --wait or --at")
    _act(ctx, adapter, query, "Reschedule",
         lambda opened, where: opened.later.reschedule(where, wait=wait, wait_until=moment),
         dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip


def moment_of(text: str) -> datetime:
    """Return the moment that *text* says, in ISO 8601. Raises ConfigError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"--at must be a moment as 2031-01-31T09:00+01:00, got {text!r}"
        ) from error
    if found.tzinfo is None:
        raise ConfigError(f"--at needs a zone, as in {text}+00:00")
    return found


def _act(
    ctx: typer.Context,
    adapter: str | None,
    query: Sequence[str] | None,
    verb: str,
    do: Callable[[Opened, JobFilter], Awaitable[int]],
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    async def action(opened: Opened) -> int:
        where = await understood(opened, query)
        if where.is_everything:  # no word, or none with anything in it, as "$ID" when ID is not set
            raise ConfigError(
                f"say which jobs: asyncjobs {verb.lower()} 17, or state:failed name:send"
            )
        count = await opened.later.count(where)
        told = f"{'' if count.is_exact else 'about '}{count.jobs:,}"
        if dry_run:
            print_json({"jobs": count.jobs, "exact": count.is_exact}) if as_json else print(
                f"{told} jobs are meant; what their state does not allow is left alone"
            )
            return 0
        if where != JobFilter(ids=where.ids):  # not only numbers that somebody typed
            confirm(f"{verb} {told} jobs?", yes=yes)
        done = await do(opened, where)
        print_json({"jobs": done}) if as_json else print(
            f"{verb.lower()}: {done:,} job{'' if done == 1 else 's'}"
        )
        return 0 if done else NOTHING_DONE

    run_opened(ctx, adapter, action)
