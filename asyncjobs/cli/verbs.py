"""The verbs of the command, each imported when it is typed and not before.

The list of them in ``--help`` and the completion of the shell go by the table here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN, LOOK, ACT, DATABASE, SETUP = (
    "Run jobs", "Look", "Operate", "The database", "Set up",
)  # fmt: skip


class Verb(NamedTuple):
    """One verb, and what is said of it without importing it."""

    home: str
    """Its module in this package and its function there, or its `typer.Typer` of more verbs."""
    panel: str
    """The part of the list that it stands in."""
    summary: str
    """The first line of its help."""
    example: str


VERBS: Mapping[str, Verb] = {
    "work": Verb(
        "work:work", RUN,
        "Run the workers of every group, each in a process of its own, until Ctrl-C.",
        "asyncjobs --app app.jobs:jobs work",
    ),
    "workoff": Verb(
        "work:workoff", RUN,
        "Run every job that is due now, in this process, and exit.",
        "asyncjobs workoff",
    ),
    "worker": Verb(
        "worker:worker", RUN,
        "Run one worker process of one group: for systemd, a container or another monitor.",
        "asyncjobs --log-format json worker --index 0 --id 0",
    ),
    "dev": Verb(
        "dev:dev", RUN,
        "Run the workers, and run them anew whenever a Python file of the project changes.",
        "asyncjobs dev",
    ),
    "start": Verb(
        "detached:start", RUN,
        "Start the workers of every group in the background.",
        "asyncjobs start --state-dir /var/lib/myapp",
    ),
    "stop": Verb(
        "detached:stop", RUN,
        "Stop the workers in the background, gracefully, and wait until they have ended.",
        "asyncjobs stop --timeout 120",
    ),
    "restart": Verb(
        "detached:restart", RUN,
        "Stop the workers in the background if there are any, and start them again.",
        "asyncjobs restart",
    ),
    "status": Verb(
        "operating:status", LOOK,
        "Show how it stands, once: pace, queues, workers, pauses, and what is wrong.",
        "asyncjobs status --json",
    ),
    "top": Verb(
        "top:top", LOOK,
        "Show what is going on, until Ctrl-C: pace, queues, workers, failures.",
        "asyncjobs top --period day",
    ),
    "dashboard": Verb(
        "dashboard:dashboard", LOOK,
        "Serve the dashboard of the app's jobs, until Ctrl-C.",
        "asyncjobs dashboard --port 8765",
    ),
    "metrics": Verb(
        "metrics:metrics", LOOK,
        "Serve the numbers of queues, jobs, workers and the database for Prometheus, until Ctrl-C.",
        "asyncjobs metrics --port 8766",
    ),
    "workers": Verb(
        "workers:workers", LOOK,
        "List the workers, and what each runs now. Or quiet, resume or stop some, by id.",
        "asyncjobs workers --quiet 17",
    ),
    "list": Verb(
        "finding:list_jobs", LOOK,
        "List jobs: newest first; available ones in the order in which they run.",
        'asyncjobs list state:failed name:send_* "error:connection refused"',
    ),
    "show": Verb(
        "finding:show", LOOK,
        "Show all that is stored of one job. Exits with 1 if there is nothing.",
        "asyncjobs show 4711",
    ),
    "logs": Verb(
        "following:logs", LOOK,
        "Tell what happened to jobs, on all machines: stored, started, raised, failed, ...",
        "asyncjobs logs queue:email --follow --traceback",
    ),
    "doctor": Verb(
        "doctor:doctor", LOOK,
        "Look for what is wrong, and say what it means and what to do.",
        "asyncjobs doctor --quiet",
    ),
    "health": Verb(
        "health:health", LOOK,
        "Say whether the workers of this machine or container live and can work.",
        "asyncjobs health --live",
    ),
    "retry": Verb(
        "acting:retry", ACT,
        "Let jobs run again now: failed, cancelled and succeeded ones, and those that wait.",
        "asyncjobs retry state:failed after:2h --dry-run",
    ),
    "cancel": Verb(
        "acting:cancel", ACT,
        "Cancel jobs that have not ended.",
        "asyncjobs cancel queue:email state:scheduled --yes",
    ),
    "delete": Verb(
        "acting:delete", ACT,
        "Remove jobs that do not run, with all that is stored of them.",
        "asyncjobs delete state:succeeded before:7d",
    ),
    "reschedule": Verb(
        "acting:reschedule", ACT,
        "Set the time of jobs that wait for theirs, or for a worker.",
        "asyncjobs reschedule name:send_tips --wait 3600",
    ),
    "pause": Verb(
        "operating:pause", ACT,
        "Let no more jobs of a queue, a name or a concurrency key start; those that run go on.",
        "asyncjobs pause --queue email",
    ),
    "resume": Verb(
        "operating:resume", ACT,
        "End a pause.",
        "asyncjobs resume --queue email",
    ),
    "schedules": Verb(
        "operating:schedules", ACT,
        "List what recurs: when next, and how it went. Or switch one, or run it now.",
        "asyncjobs schedules --run nightly_report",
    ),
    "limits": Verb(
        "limits:limits", ACT,
        "List the limits of jobs and queues. Or set one, until the code declares another value.",
        "asyncjobs limits queue:email --concurrency 5 --rate 100 --per 60",
    ),
    "enqueue": Verb(
        "storing:enqueue", ACT,
        "Store a call of a job, checked as by the app itself, and print its id.",
        "asyncjobs enqueue send_welcome_email '{\"user_id\": 7}' --wait 60",
    ),
    "migrate": Verb(
        "database:migrate", DATABASE,
        "Create or update the tables of the app's adapters. Running it again does nothing.",
        "asyncjobs migrate --sql > asyncjobs.sql",
    ),
    "clear": Verb(
        "database:clear", DATABASE,
        "Remove all jobs: waiting, running and finished ones.",
        "asyncjobs clear --yes",
    ),
    "prune": Verb(
        "prune:prune", DATABASE,
        "Remove jobs that ended and whose time to be kept is over, now.",
        "asyncjobs prune --older-than 30d --dry-run",
    ),
    "bench": Verb(
        "bench:bench", DATABASE,
        "Measure what your database gives, with jobs that do nothing.",
        "asyncjobs bench --dsn postgresql://localhost/app --seconds 30",
    ),
    "init": Verb(
        "init:init", SETUP,
        "Write a module with a JobManager and a first job, and name it in pyproject.toml.",
        "asyncjobs init app/jobs.py",
    ),
    "generate": Verb(
        "generate:generators", SETUP,
        "Write source for you.",
        "asyncjobs generate job send_invoice",
    ),
    "config": Verb(
        "config:config", SETUP,
        "Print every setting, its value, and where it came from.",
        "asyncjobs config --json",
    ),
}  # fmt: skip
"""All of them, in the order in which they are listed."""


class LazyVerbs(TyperGroup):
    """A command whose verbs are imported when they are typed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, verb in VERBS.items():
            self.add_command(
                TyperCommand(name, help=verb.summary, rich_help_panel=verb.panel), name
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb that *args* begin with, for its help, its completion, or to run it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else load(name), rest


def load(name: str) -> Any:
    """Import the verb *name*, and return what typer makes of it."""
    verb = VERBS[name]
    module, _, attribute = verb.home.partition(":")
    found = getattr(import_module(f"asyncjobs.cli.{module}"), attribute)
    epilog = f"Example: {verb.example}"
    if isinstance(found, typer.Typer):
        found.info.epilog = epilog
        command = get_command(found)
        command.name = name
        return command
    alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    alone.command(name, epilog=epilog)(found)
    return get_command(alone)
