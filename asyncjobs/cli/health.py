"""``health``: yes or no, for probes of Kubernetes, Docker and systemd."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.target import Target

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings
    from asyncjobs.doctor.health import Verdict, Whose

UNHEALTHY = 1
"""What has to be changed first, as an address that is missing, ends the command as any other,
with 2: that a worker was started anew would not help."""


def health(
    ctx: typer.Context,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Only whether the workers of this machine live.")
    ] = False,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only whether the database can be worked with.")
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(help="Only workers of the group so named.", show_default=False),
    ] = None,
    pid: Annotated[
        int | None, typer.Option(help="Only the worker of this process.", show_default=False)
    ] = None,
    workers: Annotated[int, number_option(int, help="So many workers there must be.", least=1)] = 1,
    timeout: Annotated[
        float, number_option(float, help="Seconds that the database may take to answer.", least=0.1)
    ] = 3.0,
    dsn: Annotated[
        str | None,
        typer.Option(help="Ask this database, without importing an app.", show_default=False),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="The schema that --dsn is for.", show_default="asyncjobs")
    ] = None,
) -> None:
    """Say whether the workers of this machine or container live and can work.

    Exit code 0: yes; 1: no; 2: the command line, a setting or the app has to be changed. For
    probes; workers elsewhere do not count.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    from asyncjobs.doctor.health import Whose  # noqa: PLC0415 - not for --help

    target = Target.find(settings, dsn=dsn, schema=schema)
    both = live == ready
    verdicts = asyncio.run(
        _ask(target, timeout, Whose(group, pid, workers), live=live or both, ready=ready or both)
    )
    for verdict in verdicts:
        print(verdict.what)
    raise typer.Exit(0 if all(verdict.ok for verdict in verdicts) else UNHEALTHY)


async def _ask(
    target: Target, timeout: float, whose: "Whose", *, live: bool, ready: bool
) -> "list[Verdict]":
    from asyncjobs.doctor.health import is_alive, is_ready  # noqa: PLC0415 - not for --help

    ready_ones = [is_ready(storage, timeout) for storage in target.storages.values() if ready]
    live_ones = [is_alive(storage, timeout, whose) for storage in target.worked if live]
    return await asyncio.gather(*ready_ones, *live_ones)
