"""``retry``, ``cancel``, ``delete`` and ``reschedule``: what is done to one job, or to many."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from asyncjobs.cli.finding import Query, understood
from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.opened import (
    NOTHING_DONE,
    AdapterOption,
    DsnOption,
    JsonOption,
    Opened,
    SchemaOption,
    Source,
    YesOption,
    confirm,
    jobs_of,
    print_json,
    run_opened,
)
from asyncjobs.cli.progress import progress_of
from asyncjobs.clock import check_wait, parse_moment
from asyncjobs.errors import ConfigError
from asyncjobs.filters import JobFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncjobs.storage.admin import AdminStorage, OnBatch

DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say how many are meant.")]


def retry(
    ctx: typer.Context,
    *,
    query: Query = None,
    dry_run: DryOption = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let jobs run again now: failed, cancelled and succeeded ones, and those that wait."""
    _act(ctx, Source(adapter, dsn, schema), query, "Retry", _retry,
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
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel jobs that have not ended."""
    _act(ctx, Source(adapter, dsn, schema), query, "Cancel",
         lambda storage, where, on_batch: storage.cancel(
             where, interrupt=interrupt, on_batch=on_batch),
         dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip


def delete(
    ctx: typer.Context,
    *,
    query: Query = None,
    dry_run: DryOption = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove jobs that do not run, with all that is stored of them."""
    _act(ctx, Source(adapter, dsn, schema), query, "Delete",
         lambda storage, where, on_batch: storage.delete(where, on_batch=on_batch),
         dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip


def reschedule(
    ctx: typer.Context,
    *,
    query: Query = None,
    wait: Annotated[
        float | None, number_option(float, help="Seconds from now.", least=0, show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="A moment with its zone, as 2031-01-31T09:00+01:00.", show_default=False),
    ] = None,
    dry_run: DryOption = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the time of jobs that wait for theirs, or for a worker."""
    seconds, moment = time_of(wait, at)
    if seconds is None and moment is None:
        raise ConfigError("give either --wait or --at")
    _act(ctx, Source(adapter, dsn, schema), query, "Reschedule",
         lambda storage, where, on_batch: storage.reschedule(
             where, wait=seconds, wait_until=moment, on_batch=on_batch),
         dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip


async def _retry(storage: AdminStorage, where: JobFilter, on_batch: OnBatch) -> int:
    return (await storage.retry(where, on_batch=on_batch)).jobs


def time_of(wait: float | None, at: str | None) -> tuple[float | None, datetime | None]:
    """Return the seconds or the moment that ``--wait`` or ``--at`` says; None for what is not said.

    Raises ConfigError for both at once, and for a moment that cannot be; WaitError for seconds.
    """
    if wait is not None and at is not None:
        raise ConfigError(f"give either --wait or --at, not both: got {wait:g} and {at}")
    return check_wait(wait, None if at is None else _moment_of(at), name="--wait")


def _moment_of(text: str) -> datetime:
    try:
        found = parse_moment(text)
    except ValueError as error:
        raise ConfigError(
            f"--at must be a moment as 2031-01-31T09:00+01:00, got {text!r}"
        ) from error
    if found.tzinfo is None:
        whole = text if len(text) > 10 else f"{found.date()}T00:00"
        raise ConfigError(f"--at needs a zone, as in {whole}+00:00")
    if not datetime.min.year < found.year < datetime.max.year:
        raise ConfigError(f"--at must be in a year from 2 to 9998, got {text}")
    return found


def _act(
    ctx: typer.Context,
    source: Source,
    query: Sequence[str] | None,
    verb: str,
    do: Callable[[AdminStorage, JobFilter, OnBatch], Awaitable[int]],
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
        told = f"{'' if count.is_exact else 'about '}{jobs_of(count.jobs)}"
        if dry_run:
            print_json({"jobs": count.jobs, "exact": count.is_exact}) if as_json else print(
                f"{told} would be meant; what the state does not allow is left alone"
            )
            return 0
        if where != JobFilter(ids=where.ids):  # not only numbers that somebody typed
            confirm(f"{verb} {told}?", yes=yes)
        with progress_of(verb, count.jobs, quiet=as_json) as on_batch:
            done = await do(opened.storage.admin, where, on_batch)
        print_json({"jobs": done}) if as_json else print(f"{verb.lower()}: {jobs_of(done)}")
        return 0 if done else NOTHING_DONE

    run_opened(ctx, source, action)
