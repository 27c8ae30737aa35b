"""``top``: how things stand, in the terminal."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.opened import (
    AdapterOption,
    DsnOption,
    SchemaOption,
    Source,
    manager_of,
    only_adapter,
    plain,
)
from asyncjobs.cli.runner import on_signals, run
from asyncjobs.errors import ConfigError, StorageError
from asyncjobs.glance.glance import Glance
from asyncjobs.glance.overview import PERIODS, Line, Overview
from asyncjobs.glance.words import count_of, duration, number, plural, rate
from asyncjobs.manager import JobManager
from asyncjobs.storage.overview import COUNTED, Depth

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings

COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}
LINES = 15


def top(
    ctx: typer.Context,
    *,
    period: Annotated[str, typer.Option(help="now (15 minutes), hour, day or week.")] = "hour",
    every: Annotated[
        float, number_option(float, help="Seconds between two looks.", least=0.2)
    ] = 1.0,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
) -> None:
    """Show what is going on, until Ctrl-C: pace, queues, workers, failures.

    Without a terminal, or on one that cannot move its cursor (TERM=dumb), it is printed once.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    if period not in PERIODS:
        raise ConfigError(f"--period must be of {', '.join(PERIODS)}, got {period!r}")
    jobs, _ = manager_of(settings, Source(adapter, dsn, schema))
    raise typer.Exit(
        run(_show(jobs, only_adapter(jobs) if adapter is None else adapter, period, every))
    )


async def _show(jobs: JobManager, adapter: str, period: str, every: float) -> int:
    console = Console()
    later = jobs.create_scheduler(adapter=adapter)  # says so if there is no such adapter
    async with jobs:
        glance = Glance(jobs.adapters[later.adapter])
        if not console.is_terminal or console.is_dumb_terminal:
            console.print(screen(await glance.overview(period)))
            return 0
        stop = asyncio.Event()
        on_signals(stop.set, stop.set)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while not stop.is_set():
                live.update(await _look(glance, period), refresh=True)
                await _sleep(stop, every)
    return 0


async def _look(glance: Glance, period: str) -> Group:
    try:
        return screen(await glance.overview(period))
    except StorageError as error:  # it goes on when the database is back
        return Group(Panel(Text(str(error), style="red"), title="asyncjobs"))


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def screen(overview: Overview) -> Group:
    """Return what is shown of *overview*."""
    return Group(
        Panel(_headline(overview), title="asyncjobs"),
        _lines(overview),
        _queues(overview),
        _workers(overview),
        _findings(overview),
    )


def _headline(overview: Overview) -> Text:
    waited = "" if overview.waited is None else f", the oldest {duration(overview.waited)}"
    text = Text.assemble(
        (rate(overview.pace), "bold"), "   running ", (number(overview.running), "bold"),
        f" on {plural(overview.alive, 'worker')}   waiting ", (_at_least(overview), "bold"),
        waited, f"   in the last {overview.period.label}: ", (number(overview.ended), "bold"),
        " ended, ", (number(overview.failed), "bold red" if overview.failed else "bold"),
        " failed, ", (number(overview.retried), "bold"), " retried",
    )  # fmt: skip
    text.overflow = "fold"
    return text


def _at_least(overview: Overview) -> str:
    return number(overview.waiting) + ("" if overview.waiting_is_exact else "+")


def _lines(overview: Overview) -> Table:
    table = _table("job", "queue", "ended>", "failed>", "wait p50>", "p95>", "run p50>", "p95>")
    for line in overview.lines[:LINES]:
        table.add_row(plain(line.name), plain(line.queue), *_ended(line))
    return table


def _queues(overview: Overview) -> Table:
    table = _table(
        "queue", "waiting>", "oldest>", "ended>", "failed>", "wait p50>", "p95>", "run p50>", "p95>"
    )
    depths = {depth.queue: depth for depth in overview.depths}
    lines = {line.queue: line for line in overview.queues}
    for queue in sorted({*depths, *lines}):
        table.add_row(plain(queue), *_waiting(depths.get(queue)), *_ended(lines.get(queue)))
    return table


def _waiting(depth: Depth | None) -> tuple[str, str]:
    if depth is None:
        return "0", duration(None)
    return count_of(depth.available, COUNTED), duration(depth.waited)


def _ended(line: Line | None) -> tuple[str | Text, ...]:
    if line is None:
        return "0", "0", *[duration(None)] * 4
    return (
        number(line.ended), Text(number(line.failed), style="red" if line.failed else ""),
        duration(line.wait_half), duration(line.wait_most),
        duration(line.run_half), duration(line.run_most),
    )  # fmt: skip


def _workers(overview: Overview) -> Table:
    table = _table("worker", "host", "state", "running>", "heartbeat>", "runs now")
    for worker in overview.workers:
        now = ", ".join(f"{job.name} #{job.id} {duration(job.seconds)}" for job in worker.jobs[:3])
        table.add_row(
            plain(worker.name), plain(f"{worker.host}:{worker.pid}"),
            Text(worker.state, style="" if worker.state == "running" else "yellow"),
            number(worker.running),
            Text(duration(worker.silent), style="" if worker.is_alive else "red"), plain(now),
        )  # fmt: skip
    return table


def _findings(overview: Overview) -> Text:
    text = Text()
    for finding in overview.findings:
        text.append("● ", style=COLOURS[finding.level])
        text.append(plain(finding.what))
        text.append(plain(f" {finding.advice}" if finding.advice else "", style="dim"))
        text.append("\n")
    return text


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left")
    return table
