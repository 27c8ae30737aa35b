"""``metrics``: the numbers for Prometheus, by themselves; and those of each worker."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.runner import run
from asyncjobs.cli.secret import secret_of, values_of
from asyncjobs.cli.serving import LOOPBACK, address_of, listen, serve, served
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings
    from asyncjobs.manager import JobManager

TOKEN = "ASYNCJOBS_METRICS_TOKEN"  # noqa: S105 - the name of a variable
PORT, MOST_PORT = 8766, 65_535
DEFAULTS = {
    "port": PORT,
    "host": LOOPBACK[0],
    "worker_port": None,
    "token": None,
    "token_file": None,
    "public": False,
}
WorkerPort = Annotated[
    int | None,
    number_option(
        int,
        "--metrics-port",
        help="Where workers tell their metrics: the first one here, each other at the next port.",
        show_default="nowhere",
        least=1,
        most=MOST_PORT,
    ),
]


def metrics(
    ctx: typer.Context,
    *,
    port: Annotated[
        int | None,
        typer.Option(help="Where to listen; 0 for any that is free.", show_default=str(PORT)),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="For others than this machine, it needs a token or --public.",
            show_default=LOOPBACK[0],
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help=f"The file with the bearer token that scrapers send; else {TOKEN} counts.",
            show_default=False,
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Answer anybody.")] = False,
) -> None:
    """Serve the numbers of queues, jobs, workers and the database for Prometheus, until Ctrl-C.

    They are the same whichever process tells them, so one of these is enough. Needs the extra
    `asyncjobs-pg[prometheus]`. To have them inside of your app, serve `jobs.metrics(...)`.
    """
    options: Settings = ctx.obj
    options.configure_logging()
    jobs = options.reference().load()
    values = _values({
        "port": port,
        "host": host,
        "token_file": None if token_file is None else str(token_file),
        "public": public or None,
    })  # fmt: skip
    app = _app(jobs, values, cluster=True, process=False)
    raise typer.Exit(run(_serve(jobs, app, values)))


def worker_port(jobs: "JobManager", typed: int | None) -> int | None:
    """Return where the first worker of *jobs* is to tell its metrics; None for nowhere.

    Raises ConfigError for what they could not be told by.
    """
    values = _values({"worker_port": typed})
    port: int | None = values["worker_port"]
    if port is None:
        return None
    _app(jobs, values, cluster=False, process=True)
    last = port + sum(group.count for group in jobs.workers) - 1
    if port < 1 or last > MOST_PORT:
        raise ConfigError(
            f"the workers' metrics would need the ports {port} to {last}: they go from 1 to "
            f"{MOST_PORT}"
        )
    return port


def place_of(jobs: "JobManager", index: int, number: int) -> int:
    """Return which of all workers the *number*-th of group *index* is, from 0."""
    return sum(group.count for group in jobs.workers[:index]) + number


def telling(
    jobs: "JobManager", index: int, number: int, typed: int | None
) -> AbstractAsyncContextManager[None]:
    """Return a context that tells the metrics of that worker, of this process, if it shall.

    At the port *typed*, or at its own of those that the settings say. Raises ConfigError.
    """
    port = typed
    if port is None and (first := worker_port(jobs, None)) is not None:
        port = first + place_of(jobs, index, number)
    if port is None:
        return contextlib.nullcontext()
    values = _values({})
    app = _app(jobs, values, cluster=False, process=True)
    return _telling(jobs, app, values["host"], port)


@contextlib.asynccontextmanager
async def _telling(jobs: "JobManager", app: Any, host: str, port: int) -> AsyncIterator[None]:
    try:
        listener = listen("metrics", host, port)
    except ConfigError as error:  # the jobs go on: they are what the process is for
        jobs.logger.error("metrics.unserved", error=str(error))
        yield
        return
    async with served(app, listener):
        yield


def _values(typed: Mapping[str, Any]) -> dict[str, Any]:
    return values_of("metrics", "token", typed, DEFAULTS)


def _app(jobs: "JobManager", values: Mapping[str, Any], *, cluster: bool, process: bool) -> Any:
    token = secret_of(values["token"], values["token_file"], "--token-file")
    if token is None and not values["public"] and values["host"] not in LOOPBACK:
        raise ConfigError(
            f"--host {values['host']} lets others in: give --token-file, or {TOKEN} in the "
            "environment, or --public"
        )
    public = values["public"] and token is None
    return jobs.metrics(token=token, public=public, cluster=cluster, process=process)


async def _serve(jobs: "JobManager", app: Any, values: Mapping[str, Any]) -> int:
    async with jobs:
        listener = listen("metrics", values["host"], values["port"])
        print(f"{address_of(listener, values['host'])}metrics", flush=True)
        await serve(app, listener, logs=False)
    return 0
