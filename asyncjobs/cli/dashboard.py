"""``dashboard``: the web page about the jobs, by itself."""

import os
import socket
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncjobs.cli.runner import on_signals, run
from asyncjobs.errors import ConfigError
from asyncjobs.manager import JobManager

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings

PASSWORD = "ASYNCJOBS_DASHBOARD_PASSWORD"  # noqa: S105 - the name of a variable
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORT = 8765
END_TIMEOUT = 2
"""Seconds for open pages at the end."""


def dashboard(
    ctx: typer.Context,
    *,
    port: Annotated[int, typer.Option(help="Where to listen; 0 for any that is free.")] = PORT,
    host: Annotated[
        str, typer.Option(help="For others than this machine, it needs a password.")
    ] = LOOPBACK[0],
    password_file: Annotated[
        Path | None,
        typer.Option(
            help=f"The file that the password is in; else {PASSWORD} counts. It may be a hash "
            "of asyncjobs.dashboard.hash_password.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[str, typer.Option(help="The name that goes with the password.")] = "admin",
    read_only: Annotated[bool, typer.Option("--read-only", help="Only look.")] = False,
    adapter: Annotated[
        str | None, typer.Option(help="Which adapter to show.", show_default="the only one")
    ] = None,
) -> None:
    """Serve the dashboard of the app's jobs, until Ctrl-C.

    Needs the extra `asyncjobs-pg[dashboard]`. To have it inside of your app, mount
    `jobs.dashboard(...)`.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    jobs = settings.reference().load()
    secret = _secret(password_file)
    if secret is None and host not in LOOPBACK:
        raise ConfigError(
            f"--host {host} lets others in: give --password-file, or {PASSWORD} in the environment"
        )
    app = jobs.dashboard(adapter=adapter, read_only=read_only, auth=_auth(user, secret))
    raise typer.Exit(run(_serve(jobs, app, host, port)))


def _secret(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(PASSWORD) or None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"--password-file cannot be read: {error}") from error


def _auth(user: str, secret: str | None) -> Any:
    if secret is None:
        return None
    try:
        from asyncjobs.dashboard import password  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return None  # jobs.dashboard says which one is missing
    return password(user, secret)


async def _serve(jobs: JobManager, app: Any, host: str, port: int) -> int:
    import uvicorn  # noqa: PLC0415 - an extra

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=END_TIMEOUT,
    )
    async with jobs:
        listener = _listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{listener.getsockname()[1]}/", flush=True)
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment] # ours end with 0
        on_signals(partial(_end, server), partial(_end, server, now=True))
        await server.serve(sockets=[listener])
    return 0


def _end(server: Any, *, now: bool = False) -> None:
    server.should_exit = True
    server.force_exit = now


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"the dashboard cannot listen on {host} port {port}: {error}") from error
