"""``migrate`` and ``clear``: what is done to the stored jobs as a whole."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from asyncjobs.errors import ConfigError
from asyncjobs.storage.postgres.migrate import migration_script

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings


def migrate(
    ctx: typer.Context,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL instead; needs no app and no database.")
    ] = False,
    schema: Annotated[
        str | None,
        typer.Option(help="The schema that --sql is for.", show_default="asyncjobs"),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(
            help="The version that --sql begins after, for a database that has it.",
            show_default="0",
        ),
    ] = None,
    one_statement: Annotated[
        bool,
        typer.Option(
            "--one-statement",
            help="Print the SQL as one statement without begin and commit, as Alembic needs it.",
        ),
    ] = False,
) -> None:
    """Create or update the tables of the app's adapters. Running it again does nothing."""
    if sql:
        script = migration_script(
            schema or "asyncjobs", after=after or 0, one_statement=one_statement
        )
        print(script, end="")
        return
    if schema is not None:
        raise ConfigError("--schema goes with --sql; otherwise each PostgresAdapter has its own")
    if after is not None or one_statement:
        raise ConfigError("--after and --one-statement go with --sql; otherwise what lacks is done")
    settings: Settings = ctx.obj
    settings.configure_logging()
    for adapter, steps in asyncio.run(settings.reference().load().migrate()).items():
        done = f"applied {', '.join(steps)}" if steps else "up to date"
        print(f"{adapter}: {done}")


def clear(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    adapter: Annotated[
        str | None, typer.Option(help="Only the jobs of this adapter.", show_default="all")
    ] = None,
) -> None:
    """Remove all jobs: waiting, running and finished ones."""
    settings: Settings = ctx.obj
    settings.configure_logging()
    app = settings.reference()
    jobs = app.load()
    if not yes:
        _ask(f"Remove all jobs of {app} from {adapter or ', '.join(jobs.adapters)}?")
    removed = asyncio.run(jobs.clear(adapter))
    print(f"removed {removed} job{'' if removed == 1 else 's'}")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("clear asks first, and there is no terminal to ask on: add --yes")
    if not typer.confirm(question):
        print("nothing was removed")
        raise typer.Exit(1)
