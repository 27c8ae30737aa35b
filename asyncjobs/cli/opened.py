"""What every command that asks or changes the stored jobs begins with."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from asyncjobs import settings
from asyncjobs.cli.runner import run
from asyncjobs.cli.target import Target
from asyncjobs.errors import AppNotFoundError, ConfigError
from asyncjobs.glance.words import printable
from asyncjobs.manager import JobManager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from asyncjobs.cli.settings import Settings
    from asyncjobs.scheduler import Scheduler
    from asyncjobs.storage.protocol import Storage

NOTHING_DONE = 1
"""The exit code of an action that found nothing to do, and of a look that found trouble."""

ANY_WIDTH = 10_000
"""Columns of a terminal that are more than any table needs."""

AdapterOption = Annotated[
    str | None, typer.Option("--adapter", help="Which adapter.", show_default="the only one")
]
DsnOption = Annotated[
    str | None,
    typer.Option("--dsn", help="Ask this database, without importing an app.", show_default=False),
]
SchemaOption = Annotated[
    str | None,
    typer.Option("--schema", help="The schema that --dsn is for.", show_default="asyncjobs"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Source(NamedTuple):
    """Where the jobs are that a command is about, as far as that was typed."""

    adapter: str | None = None
    dsn: str | None = None
    schema: str | None = None


class Opened(NamedTuple):
    """An app whose adapters are open; or a database, as a manager without any job."""

    jobs: JobManager
    later: Scheduler
    has_app: bool = True

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
    ctx: typer.Context,
    source: Source,
    action: Callable[[Opened], Awaitable[int | None]],
    *,
    needs_app: bool = False,
) -> None:
    """Do *action* with the app, or with the database alone, and exit with what it returns."""
    options: Settings = ctx.obj
    options.configure_logging()
    jobs, has_app = manager_of(options, source, needs_app=needs_app)

    async def main() -> int:
        adapter = only_adapter(jobs) if source.adapter is None else source.adapter
        later = jobs.create_scheduler(adapter=adapter)
        async with jobs:
            return await action(Opened(jobs, later, has_app)) or 0

    raise typer.Exit(run(main()))


def manager_of(
    options: Settings, source: Source, *, needs_app: bool = False
) -> tuple[JobManager, bool]:
    """Return the app's manager, or with --dsn, or without an app, one of that database alone.

    Also returns whether it is the app's. Raises ConfigError, AppNotFoundError.
    """
    is_app_named = settings.find("app", options.app) is not None
    is_database_known = settings.find("database_url", source.dsn) is not None
    if source.dsn is None and (needs_app or is_app_named or not is_database_known):
        if source.schema is not None:
            raise ConfigError("--schema goes with --dsn; the app's adapters have their own")
        try:
            return options.reference().load(), True
        except AppNotFoundError as error:
            if needs_app or is_app_named:
                raise
            raise AppNotFoundError(
                f"{error}. Or name a database: by --dsn, or by ASYNCJOBS_DATABASE_URL"
            ) from None
    if source.adapter is not None:
        raise ConfigError("--adapter is for an app, of which there is none here")
    storages = Target.find(options, dsn=source.dsn, schema=source.schema).storages
    return JobManager(adapters=storages), False


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless *yes*; end the command if the answer is no. Raises ConfigError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} There is no terminal to ask on: add --yes")
    if not typer.confirm(question):
        print("nothing was changed")
        raise typer.Exit(NOTHING_DONE)


def jobs_of(count: int) -> str:
    """Return ``1 job`` or ``2,000 jobs``."""
    return f"{count:,} job{'' if count == 1 else 's'}"


def print_json(value: Any) -> None:
    """Print one JSON document; moments are ISO 8601."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_as_json))


def _as_json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def plain(text: object, *, style: str = "") -> Text:
    """Return *text*, stored by anybody, as `printable` has it."""
    return Text(printable(text), style=style)


def print_table(
    columns: Iterable[str], rows: Iterable[Iterable[object]], *, spare: Sequence[str] = ()
) -> None:
    """Print *rows* under their headings; a heading that ends in ``>`` is one of numbers.

    On a terminal that is too narrow the columns in *spare* are left out, the first one first,
    and what is still too wide is wrapped. Anywhere else, as in a pipe, a row is one line.
    """
    headings, cells = list(columns), [list(row) for row in rows]
    console = Console()
    if not console.is_terminal:
        console = Console(width=ANY_WIDTH)
    table = _table(headings, cells, ())
    left_out = 0
    while left_out < len(spare) and _width(table) > console.width:
        left_out += 1
        table = _table(headings, cells, spare[:left_out])
    console.print(table)
    if left_out:
        console.print(f"no room for: {', '.join(spare[:left_out])}", style="dim")


def _width(table: Table) -> int:
    console = Console(width=ANY_WIDTH)
    return Measurement.get(console, console.options, table).maximum


def _table(headings: list[str], rows: list[list[object]], left_out: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown = [at for at, heading in enumerate(headings) if heading.rstrip(">") not in left_out]
    for at in shown:
        justify: JustifyMethod = "right" if headings[at].endswith(">") else "left"
        table.add_column(headings[at].rstrip(">"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(c if isinstance(c := row[at], Text) else plain(c) for at in shown))
    return table
