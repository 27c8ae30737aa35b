"""``start``, ``stop`` and ``restart``: workers that run on without the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.settings import Settings, state_folder
from asyncjobs.supervisor import Daemon

StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        help="Where the pid file and the log are: .asyncjobs beside pyproject.toml if not given.",
        file_okay=False,
        show_default=False,
    ),
]
Timeout = Annotated[
    float,
    number_option(
        float, help="Seconds that running jobs may take before they are cut off.", least=0
    ),
]


def start(ctx: typer.Context, state_dir: StateDir = None) -> None:
    """Start the workers of every group in the background."""
    _start(ctx.obj, Daemon(state_folder(state_dir)))


def stop(state_dir: StateDir = None, timeout: Timeout = 60.0) -> None:
    """Stop the workers in the background, gracefully, and wait until they have ended."""
    _stop(Daemon(state_folder(state_dir)), timeout)


def restart(ctx: typer.Context, state_dir: StateDir = None, timeout: Timeout = 60.0) -> None:
    """Stop the workers in the background if there are any, and start them again."""
    daemon = Daemon(state_folder(state_dir))
    if daemon.running():
        _stop(daemon, timeout)
    else:
        print("nothing was running")
    _start(ctx.obj, daemon)


def _start(settings: Settings, daemon: Daemon) -> None:
    settings.reference()  # says at once if no app is named
    pid = daemon.start(settings.command("work"))
    print(f"started with pid {pid}; log: {daemon.log_path}")


def _stop(daemon: Daemon, timeout: float) -> None:
    forced = daemon.stop(timeout)
    print(f"stopped by force, after {timeout:g} s" if forced else "stopped")
