"""``status``, ``pause``, ``resume`` and ``schedules``: the whole, and its switches."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from asyncjobs.cli import completing
from asyncjobs.cli.opened import (
    NOTHING_DONE,
    AdapterOption,
    DsnOption,
    JsonOption,
    Opened,
    SchemaOption,
    Source,
    print_json,
    print_table,
    run_opened,
)
from asyncjobs.cli.top import screen
from asyncjobs.errors import ConfigError
from asyncjobs.glance.glance import Glance
from asyncjobs.glance.words import relative
from asyncjobs.pausing import lane_of

if TYPE_CHECKING:
    from asyncjobs.schedule_types import Schedule

QueueOption = Annotated[
    str | None,
    typer.Option("--queue", help="A queue.", show_default=False, autocompletion=completing.queues),
]
JobOption = Annotated[
    str | None,
    typer.Option("--job", help="A job's name.", show_default=False, autocompletion=completing.jobs),
]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="A concurrency key.", show_default=False)
]


def status(
    ctx: typer.Context,
    *,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how it stands, once: pace, queues, workers, pauses, and what is wrong.

    Exits with 1 if something is bad, so that a script can ask.
    """

    async def look(opened: Opened) -> int:
        overview = await Glance(opened.storage).overview("hour")
        pauses, tasks = await opened.later.pauses(), await opened.later.maintenance()
        is_bad = any(finding.level == "bad" for finding in overview.findings)
        if as_json:
            print_json(
                {
                    "well": not is_bad,
                    **{
                        name: value
                        for name, value in _told(overview).items()
                        if name not in {"chart", "period"}
                    },
                    "pauses": [_told(pause) for pause in pauses],
                    "maintenance": [_told(task) for task in tasks],
                }
            )
        else:
            Console().print(screen(overview))
            for pause in pauses:
                Console().print(Text(f"paused: {pause.kind} {pause.name}", style="yellow"))
        return NOTHING_DONE if is_bad else 0

    run_opened(ctx, Source(adapter, dsn, schema), look)


def pause(
    ctx: typer.Context,
    *,
    queue: QueueOption = None,
    job: JobOption = None,
    key: KeyOption = None,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
) -> None:
    """Let no more jobs of a queue, a name or a concurrency key start; those that run go on.

    Exits with 1 if it was paused already.
    """
    _check_one(queue, job, key)

    async def action(opened: Opened) -> int:
        if opened.has_app:
            changed = await opened.later.pause(queue=queue, job=job, key=key)
        else:
            changed = await opened.storage.limits.pause(lane_of(queue, job, key))
        print("paused" if changed else "it was paused already")
        return 0 if changed else NOTHING_DONE

    run_opened(ctx, Source(adapter, dsn, schema), action)


def resume(
    ctx: typer.Context,
    *,
    queue: QueueOption = None,
    job: JobOption = None,
    key: KeyOption = None,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
) -> None:
    """End a pause.

    Exits with 1 if there was none.
    """
    _check_one(queue, job, key)

    async def action(opened: Opened) -> int:
        if opened.has_app:
            changed = await opened.later.resume(queue=queue, job=job, key=key)
        else:
            changed = await opened.storage.limits.resume(lane_of(queue, job, key))
        print("resumed" if changed else "it was not paused")
        return 0 if changed else NOTHING_DONE

    run_opened(ctx, Source(adapter, dsn, schema), action)


def _check_one(queue: str | None, job: str | None, key: str | None) -> None:
    if [queue, job, key].count(None) != 2:
        raise ConfigError("give one of --queue, --job and --key")


def schedules(
    ctx: typer.Context,
    *,
    run: Annotated[
        str | None,
        typer.Option(
            help="Run this one now, beside its ticks.",
            show_default=False,
            autocompletion=completing.schedules,
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="Switch this one on, also if it gave up.",
            show_default=False,
            autocompletion=completing.schedules,
        ),
    ] = None,
    off: Annotated[
        str | None,
        typer.Option(
            help="Switch this one off.", show_default=False, autocompletion=completing.schedules
        ),
    ] = None,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what recurs: when next, and how it went. Or switch one, or run it now.

    Exits with 1 if it was switched so already, or if a run that it would overlap has not ended.
    """
    if [run, on, off].count(None) < 2:
        raise ConfigError("give one of --run, --on and --off")

    async def action(opened: Opened) -> int:
        known = opened.later.schedules
        if run is not None:
            started = await known.run_now(run)
            print("a run has not ended yet" if started is None else f"job {started.id}")
            return NOTHING_DONE if started is None else 0
        if (name := off if on is None else on) is not None:
            before = await known.get(name)
            after = await (known.disable(name) if on is None else known.enable(name))
            _print_schedules([after], as_json=as_json)
            return NOTHING_DONE if before is not None and _is_same(before, after) else 0
        _print_schedules(await known.list(), as_json=as_json)
        return 0

    run_opened(ctx, Source(adapter, dsn, schema), action)


def _is_same(before: Schedule, after: Schedule) -> bool:
    # Switched on, one that gave up begins anew.
    is_on = before.enabled == after.enabled
    return is_on and (before.gave_up_at, before.failures) == (after.gave_up_at, after.failures)


def _print_schedules(found: list[Schedule], *, as_json: bool) -> None:
    if as_json:
        print_json([_told(schedule) for schedule in found])
        return
    now = datetime.now(UTC)
    print_table(
        ("name", "job", "when", "next", "last", "result", "state"),
        [
            (
                one.name, one.job,
                f"{one.cron} {one.timezone}" if one.cron else f"every {one.every}",
                relative(one.next_at, now) if one.next_at else "",
                relative(one.last_at, now) if one.last_at else "",
                one.last_result or "", _state(one),
            )
            for one in found
        ],
        spare=("job",),
    )  # fmt: skip


def _state(schedule: Schedule) -> str:
    if schedule.problem:
        return schedule.problem
    if schedule.gave_up_at:
        return f"gave up after {schedule.failures} failures: --on {schedule.name}"
    if schedule.retired_at:
        return "retired: the code does not declare it any more"
    return "on" if schedule.enabled else "off"


def _told(value: Any) -> Any:
    # Named tuples and dataclasses as objects.
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _told(getattr(value, name)) for name in asdict(value)}
    if isinstance(value, tuple) and (to_dict := getattr(value, "_asdict", None)):
        return {name: _told(inner) for name, inner in to_dict().items()}
    if isinstance(value, list | tuple):
        return [_told(inner) for inner in value]
    return value
