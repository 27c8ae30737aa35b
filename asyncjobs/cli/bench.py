"""``bench``: what the user's own server gives."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from asyncjobs.benchmark import Benchmark, Measurement
from asyncjobs.cli.runner import run

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings


def bench(
    ctx: typer.Context,
    dsn: Annotated[
        str | None,
        typer.Option(
            help="The database. Else ASYNCJOBS_DATABASE_URL counts, then DATABASE_URL.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="About how long to measure.")] = 60.0,
) -> None:
    """Measure what your database gives, with jobs that do nothing.

    Uses a schema of its own and drops it at the end. It keeps the server busy: do not run it
    beside your users.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    benchmark = Benchmark(dsn, seconds)
    found: list[Measurement] = []
    code = run(_measure(benchmark, found))
    _print(found)
    raise typer.Exit(code)


async def _measure(benchmark: Benchmark, found: list[Measurement]) -> int:
    with _progress(len(benchmark.steps)) as (progress, task):
        async with benchmark.prepared():
            for what, step in benchmark.steps:
                progress.update(task, description=what)
                found += await step()
                progress.advance(task)
    return 0


@contextlib.contextmanager
def _progress(steps: int) -> Iterator[tuple[Progress, TaskID]]:
    console = Console(stderr=True)
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task("preparing", total=steps)


def _print(found: list[Measurement]) -> None:
    table = Table("what", "value", box=None)
    table.columns[1].justify = "right"
    for line in found:
        digits = 2 if line.unit == "ms" else 0
        table.add_row(line.what, f"{line.value:,.{digits}f} {line.unit}")
    Console().print(table)
