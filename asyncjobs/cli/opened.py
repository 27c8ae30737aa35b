"""What every command that asks or changes the stored jobs begins with."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asyncjobs.cli.runner import run
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from asyncjobs.cli.settings import Settings
    from asyncjobs.manager import JobManager
    from asyncjobs.scheduler import Scheduler
    from asyncjobs.storage.protocol import Storage

NOTHING_DONE = 1
"""The exit code of an action that found nothing to do, and of a look that found trouble."""

AdapterOption = Annotated[
    str | None, typer.Option("--adapter", help="Which adapter.", show_default="the only one")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Opened(NamedTuple):
    """An app whose adapters are open."""

    jobs: JobManager
    later: Scheduler

    @property
    def storage(self) -> Storage:
        """The adapter that is meant."""
        return self.jobs.adapters[self.later.adapter]


def only_adapter(jobs: JobManager) -> str:
    """Return the name of the adapter, if there is only one. Raises ConfigError."""
    if len(jobs.adapters) != 1:
        raise ConfigError(f"--adapter must say which one, of: {', '.join(jobs.adapters)}")
    [adapter] = jobs.adapters
    return adapter


def run_opened(
    ctx: typer.Context, adapter: str | None, action: Callable[[Opened], Awaitable[int | None]]
) -> None:
    """Do *action* with the app, and exit with what it returns."""
    settings: Settings = ctx.obj
    settings.configure_logging()
    jobs = settings.reference().load()

    async def main() -> int:
        async with _opened(jobs, adapter) as opened:
            return await action(opened) or 0

    raise typer.Exit(run(main()))


@contextlib.asynccontextmanager
async def _opened(jobs: JobManager, adapter: str | None) -> AsyncIterator[Opened]:
    later = jobs.create_scheduler(adapter=only_adapter(jobs) if adapter is None else adapter)
    async with jobs:
        yield Opened(jobs, later)


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless *yes*; end the command if the answer is no. Raises ConfigError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} There is no terminal to ask on: add --yes")
    if not typer.confirm(question):
        print("nothing was changed")
        raise typer.Exit(NOTHING_DONE)


def print_json(value: Any) -> None:
    """Print one JSON document; moments are ISO 8601."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_as_json))


def _as_json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def plain(text: object, *, style: str = "") -> Text:
    """Return *text*, stored by anybody; whatever a terminal would obey made visible."""
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(text))
    return Text(shown, style=style)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print *rows* under their headings; a heading that ends in ``>`` is one of numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(
            column.rstrip(">"), justify="right" if column.endswith(">") else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else plain(cell) for cell in row))
    Console().print(table)
