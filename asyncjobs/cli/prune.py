"""``prune``: what workers remove by and by, removed now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from asyncjobs.cli import completing
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
from asyncjobs.config import LEAST_RETAIN, MAX_RETAIN
from asyncjobs.errors import ConfigError
from asyncjobs.glance.search import AGE, UNITS
from asyncjobs.pruning import forget_lanes, in_batches

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

COUNTED = 1_000_000
"""Up to how many jobs are counted."""


def prune(
    ctx: typer.Context,
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            help="Also jobs that ended so long ago and say nothing of how long to keep them: "
            "30d, 12h, 2w.",
            show_default=False,
        ),
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            help="Those of --older-than in this queue. May be given again.",
            show_default="all",
            autocompletion=completing.queues,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many are meant.")
    ] = False,
    yes: YesOption = False,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove jobs that ended and whose time to be kept is over, now.

    Workers do it by themselves, about once a minute; this is for when none runs, or for rows
    that nobody said how long to keep. What is no job and not needed any more goes too: keys of
    unique jobs whose time is over, unused lanes, old statistics.
    """
    retain = None if older_than is None else _seconds(older_than)
    if queue and retain is None:
        raise ConfigError("--queue goes with --older-than")

    async def action(opened: Opened) -> int:
        storage = opened.storage
        queues = queue or [each.queue for each in await storage.overview.queues()]
        retained, ended = await storage.results.count_expired(queues, retain, COUNTED)
        if dry_run:
            if as_json:
                print_json({"retained": retained, "ended": ended})
            else:
                print(_told(retained, ended, "would be removed", older_than))
            return 0
        if number := retained + ended:
            confirm(f"Remove {jobs_of(number)}?", yes=yes)
        with progress_of("Prune", retained + ended, quiet=as_json) as show:
            removed = await in_batches(storage.results.prune_retained, on_batch=show)
            old = 0
            if retain is not None:
                before, seconds = removed, retain
                old = await in_batches(
                    lambda most: storage.results.prune_ended(queues, seconds, most),
                    on_batch=lambda count: show(before + count),
                )
        keys, lanes = await _tidy(storage)
        if as_json:
            print_json({"retained": removed, "ended": old, "keys": keys, "lanes": lanes})
        else:
            print(_told(removed, old, "removed", older_than))
        return 0 if removed + old + keys + lanes else NOTHING_DONE

    run_opened(ctx, Source(adapter, dsn, schema), action)


def _seconds(text: str) -> float:
    found = AGE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"--older-than must be a number with one of {', '.join(UNITS)}, as in 30d, got {text!r}"
        )
    seconds = float(int(found[1]) * UNITS[found[2]])
    if not LEAST_RETAIN <= seconds <= MAX_RETAIN:
        most = int(MAX_RETAIN / UNITS["d"])
        raise ConfigError(
            f"--older-than must be from {LEAST_RETAIN:g}s to {most}d, got {text.strip()!r}"
        )
    return seconds


async def _tidy(storage: Storage) -> tuple[int, int]:
    keys = await in_batches(storage.maintenance.prune_keys)
    lanes = await forget_lanes(storage)
    await storage.statistics.prune()
    return keys, lanes


def _told(retained: int, ended: int, what: str, older_than: str | None) -> str:
    told = f"{what}: {retained:,} whose own time is over"
    return told if older_than is None else f"{told}, {ended:,} that ended {older_than} ago or more"
