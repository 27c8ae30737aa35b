"""The command's verbs and the options before them."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from asyncjobs.cli.failures import exit_code, print_error
from asyncjobs.cli.settings import LogFormat, Settings
from asyncjobs.cli.verbs import LazyVerbs
from asyncjobs.errors import AsyncJobsError
from asyncjobs.reference import VARIABLE
from asyncjobs.settings import override
from asyncjobs.streams import open_standard_streams

INTERRUPTED = 130
FLAGS, VALUED = ("-v", "--verbose"), ("--app", "--log-format", "--set")
"""The options of every verb."""

cli = typer.Typer(
    name="asyncjobs",
    no_args_is_help=True,
    cls=LazyVerbs,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asyncjobs --app app.jobs:jobs work",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from asyncjobs.version import installed_version  # noqa: PLC0415 - slow

        print(f"asyncjobs {installed_version() or '(not installed)'}")
        raise typer.Exit


@cli.callback()
def options(
    ctx: typer.Context,
    app: Annotated[
        str | None,
        typer.Option(
            help=f"The app's JobManager, as module:attribute. Else {VARIABLE} counts, then "
            "[tool.asyncjobs] app in pyproject.toml.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log details too.")] = False,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            help="auto: pretty on a terminal, else JSON lines.", show_default=LogFormat.AUTO.value
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting that counts whatever the code says, such as concurrency=20 or "
            "groups.email.concurrency=5. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Background jobs for async Python, on the PostgreSQL you already have."""
    override(overrides or [])
    ctx.obj = Settings.resolve(app, log_format, verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run the command; errors of this package are one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    open_standard_streams()
    try:
        cli(args=common_options_first(given), prog_name="asyncjobs")
    except AsyncJobsError as error:
        print_error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def common_options_first(arguments: Sequence[str]) -> list[str]:
    """Return *arguments* with the options of every verb moved before it.

    So ``asyncjobs work --app app.jobs`` is understood as well.
    """
    first: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left and left[0] != "--":
        argument = left.pop(0)
        if argument in VALUED and left:
            first += [argument, left.pop(0)]
        elif argument in FLAGS or argument.startswith(tuple(f"{name}=" for name in VALUED)):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest + left
