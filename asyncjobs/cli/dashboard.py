"""``dashboard``: the web page about the jobs, by itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncjobs.cli.runner import run
from asyncjobs.cli.secret import secret_of, values_of
from asyncjobs.cli.serving import LOOPBACK, address_of, listen, serve
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings
    from asyncjobs.manager import JobManager

PASSWORD = "ASYNCJOBS_DASHBOARD_PASSWORD"  # noqa: S105 - the name of a variable
PORT, USER = 8765, "admin"
DEFAULTS = {
    "port": PORT,
    "host": LOOPBACK[0],
    "user": USER,
    "password": None,
    "password_file": None,
    "read_only": False,
    "adapter": None,
}


def dashboard(
    ctx: typer.Context,
    *,
    port: Annotated[
        int | None,
        typer.Option(help="Where to listen; 0 for any that is free.", show_default=str(PORT)),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="For others than this machine, it needs a password.", show_default=LOOPBACK[0]
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help=f"The file that the password is in; else {PASSWORD} counts. It may be a hash "
            "of asyncjobs.dashboard.hash_password.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="The name that goes with the password.", show_default=USER)
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Only look.")] = False,
    adapter: Annotated[
        str | None, typer.Option(help="Which adapter to show.", show_default="the only one")
    ] = None,
) -> None:
    """Serve the dashboard of the app's jobs, until Ctrl-C.

    Needs the extra `asyncjobs-pg[dashboard]`. To have it inside of your app, mount
    `jobs.dashboard(...)`.
    """
    options: Settings = ctx.obj
    options.configure_logging()
    jobs = options.reference().load()
    typed = {
        "port": port,
        "host": host,
        "password_file": None if password_file is None else str(password_file),
        "user": user,
        "read_only": read_only or None,
        "adapter": adapter,
    }
    values = _values(typed)
    host = str(values["host"])
    secret = secret_of(values["password"], values["password_file"], "--password-file")
    if secret is None and host not in LOOPBACK:
        raise ConfigError(
            f"--host {host} lets others in: give --password-file, or {PASSWORD} in the environment"
        )
    app = jobs.dashboard(
        adapter=values["adapter"],
        read_only=values["read_only"],
        auth=_auth(values["user"], secret),
    )
    raise typer.Exit(run(_serve(jobs, app, host, values["port"])))


def _values(typed: Mapping[str, Any]) -> dict[str, Any]:
    return values_of("dashboard", "password", typed, DEFAULTS)


def _auth(user: str, secret: str | None) -> Any:
    if secret is None:
        return None
    try:
        from asyncjobs.dashboard import password  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return None  # jobs.dashboard says which one is missing
    return password(user, secret)


async def _serve(jobs: "JobManager", app: Any, host: str, port: int) -> int:
    async with jobs:
        listener = listen("the dashboard", host, port)
        print(address_of(listener, host), flush=True)
        await serve(app, listener)
    return 0
