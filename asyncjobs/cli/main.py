"""The command's verbs and the options before them."""

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from asyncjobs.cli import (
    acting,
    bench,
    config,
    dashboard,
    database,
    detached,
    dev,
    doctor,
    finding,
    generate,
    health,
    init,
    operating,
    storing,
    top,
    work,
    worker,
)
from asyncjobs.cli.logs import LogFormat
from asyncjobs.cli.runner import exit_code, print_error
from asyncjobs.cli.settings import Settings
from asyncjobs.errors import AsyncJobsError
from asyncjobs.reference import VARIABLE
from asyncjobs.settings import override

DISTRIBUTION = "asyncjobs-pg"
INTERRUPTED = 130
FLAGS, VALUED = ("-v", "--verbose"), ("--app", "--log-format", "--set")
"""The options of every verb."""
EXAMPLES: dict[Callable[..., None], str] = {
    work.work: "asyncjobs --app app.jobs:jobs work",
    work.workoff: "asyncjobs workoff",
    detached.start: "asyncjobs start --state-dir /var/lib/myapp",
    detached.stop: "asyncjobs stop --timeout 120",
    detached.restart: "asyncjobs restart",
    database.clear: "asyncjobs clear --yes",
    database.migrate: "asyncjobs migrate --sql > asyncjobs.sql",
    dashboard.dashboard: "asyncjobs dashboard --port 8765",
    top.top: "asyncjobs top --period day",
    operating.status: "asyncjobs status --json",
    operating.workers: "asyncjobs workers",
    finding.list_jobs: 'asyncjobs list state:failed name:send_* "error:connection refused"',
    finding.show: "asyncjobs show 4711",
    acting.retry: "asyncjobs retry state:failed after:2h --dry-run",
    acting.cancel: "asyncjobs cancel queue:email state:scheduled --yes",
    acting.delete: "asyncjobs delete state:succeeded before:7d",
    acting.reschedule: "asyncjobs reschedule name:send_tips --wait 3600",
    operating.pause: "asyncjobs pause --queue email",
    operating.resume: "asyncjobs resume --queue email",
    operating.schedules: "asyncjobs schedules --run nightly_report",
    storing.enqueue: "asyncjobs enqueue send_welcome_email '{\"user_id\": 7}' --wait 60",
    init.init: "asyncjobs init app/jobs.py",
    bench.bench: "asyncjobs bench --dsn postgresql://localhost/app --seconds 30",
    dev.dev: "asyncjobs dev",
    config.config: "asyncjobs config --json",
    doctor.doctor: "asyncjobs doctor --quiet",
    health.health: "asyncjobs health --live",
    worker.worker: "asyncjobs --log-format json worker --index 0 --id 0",
}


def name_of(verb: Callable[..., None]) -> str:
    """Return what is typed for *verb*; ``list`` is Python's word for something else."""
    return verb.__name__.removesuffix("_jobs")


cli = typer.Typer(
    name="asyncjobs",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asyncjobs --app app.jobs:jobs work",
)
for verb, example in EXAMPLES.items():
    cli.command(name_of(verb), epilog=f"Example: {example}")(verb)

generators = typer.Typer(
    no_args_is_help=True, epilog="Example: asyncjobs generate job send_invoice"
)
generators.command("job", epilog="Example: asyncjobs generate job send_invoice")(generate.job)
cli.add_typer(generators, name="generate", help="Write source for you.")


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            print(f"asyncjobs {version(DISTRIBUTION)}")
        except PackageNotFoundError:
            print("asyncjobs (not installed)")
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
