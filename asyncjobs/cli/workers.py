"""``workers``: who works, and what can be wished of a worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from asyncjobs.cli.opened import (
    NOTHING_DONE,
    AdapterOption,
    DsnOption,
    JsonOption,
    Opened,
    SchemaOption,
    Source,
    plain,
    print_json,
    print_table,
    run_opened,
)
from asyncjobs.errors import ConfigError
from asyncjobs.glance.words import duration, relative

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.storage.overview import WorkerStatus

STYLES = {"running": "green", "quiet": "yellow", "stopping": "yellow", "silent": "red"}
JOBS = 5
"""Running jobs that the table shows of each worker."""

QuietOption = Annotated[
    list[int] | None,
    typer.Option(
        "--quiet", metavar="ID", help="Let this one claim nothing more; what it runs goes on.",
        show_default=False,
    ),
]  # fmt: skip
ResumeOption = Annotated[
    list[int] | None,
    typer.Option("--resume", metavar="ID", help="Let it claim again.", show_default=False),
]
StopOption = Annotated[
    list[int] | None,
    typer.Option(
        "--stop", metavar="ID", help="Let this one end, as by SIGTERM. It is not replaced.",
        show_default=False,
    ),
]  # fmt: skip


def workers(
    ctx: typer.Context,
    *,
    quiet: QuietOption = None,
    resume: ResumeOption = None,
    stop: StopOption = None,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the workers, and what each runs now. Or quiet, resume or stop some, by id.

    Each of the three can be given several times. Exits with 1 if none is alive, or if nothing
    was changed.
    """
    wished = {"quiet": quiet, "resume": resume, "stop": stop}
    asked = {wish: ids for wish, ids in wished.items() if ids}
    if len(asked) > 1:
        raise ConfigError("give one of --quiet, --resume and --stop")

    async def action(opened: Opened) -> int:
        if asked:
            [(wish, ids)] = asked.items()
            return await _wish(opened, wish, ids, as_json=as_json)
        found = await opened.later.workers.list()
        if as_json:
            print_json([as_object(worker) for worker in found])
        else:
            _print(found)
        return 0 if any(worker.is_alive for worker in found) else NOTHING_DONE

    run_opened(ctx, Source(adapter, dsn, schema), action)


async def _wish(opened: Opened, wish: str, ids: Sequence[int], *, as_json: bool) -> int:
    known = opened.later.workers
    do = {"quiet": known.quiet, "resume": known.resume, "stop": known.stop}[wish]
    changed = [worker for worker in dict.fromkeys(ids) if await do(worker)]
    if as_json:
        print_json({"changed": changed})
    else:
        told = ", ".join(map(str, changed))
        print(f"told to {wish if wish != 'quiet' else 'be quiet'}: {told or 'nobody anew'}")
    return 0 if changed else NOTHING_DONE


def as_object(worker: WorkerStatus) -> dict[str, Any]:
    """Return *worker* for a script."""
    jobs = [job._asdict() for job in worker.jobs]
    facts = {**worker._asdict(), "jobs": jobs, "state": worker.state}
    del facts["quiet_unheard"]
    return facts | {"is_unheard": worker.is_unheard}


def _print(found: Sequence[WorkerStatus]) -> None:
    now = datetime.now(UTC)
    print_table(
        ("id>", "name", "state", "host", "pid>", "version", "queues", "running>", "since",
         "heartbeat", "runs now"),
        [
            (
                worker.id, worker.name, _state(worker), worker.host, worker.pid,
                worker.version or "earlier", ", ".join(worker.queues),
                worker.running if worker.concurrency is None
                else f"{worker.running} of {worker.concurrency}",
                relative(worker.started_at, now),
                Text(f"{duration(worker.silent)} ago", style="" if worker.is_alive else "red"),
                ", ".join(f"{job.name} #{job.id} {duration(job.seconds)}"
                          for job in worker.jobs[:JOBS]),
            )
            for worker in found
        ],
        spare=("pid", "version", "since", "queues", "host"),
    )  # fmt: skip


def _state(worker: WorkerStatus) -> Text:
    told = f"{worker.state}?" if worker.is_alive and worker.is_unheard else worker.state
    return plain(told, style=STYLES[worker.state])
