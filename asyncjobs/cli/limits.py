"""``limits``: what is limited over all workers, and how."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.opened import (
    AdapterOption,
    DsnOption,
    JsonOption,
    Opened,
    SchemaOption,
    Source,
    print_json,
    print_table,
    run_opened,
)
from asyncjobs.errors import ConfigError
from asyncjobs.glance.words import duration, relative
from asyncjobs.limits import RateLimit, check_limits, make_limit
from asyncjobs.types import Limit

if TYPE_CHECKING:
    from asyncjobs.types import KnownLimit


def limits(
    ctx: typer.Context,
    *,
    name: Annotated[
        str | None,
        typer.Argument(
            help="One that the code declares: job:send, queue:email.", show_default=False
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        number_option(int, help="How many may run at once.", least=1, show_default=False),
    ] = None,
    rate: Annotated[
        int | None,
        number_option(
            int, help="How many may start in --per seconds.", least=1, show_default=False
        ),
    ] = None,
    per: Annotated[
        float | None, typer.Option(help="The seconds of --rate.", show_default="60")
    ] = None,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Spread the starts of --rate evenly.")
    ] = False,
    no_limit: Annotated[
        bool, typer.Option("--no-limit", help="Let in any number, for the time being.")
    ] = False,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the limits of jobs and queues. Or set one, until the code declares another value.

    What is set holds at once, for the jobs that wait already too.
    """
    wanted = _wanted(name, concurrency, rate, per, smooth=smooth, no_limit=no_limit)

    async def action(opened: Opened) -> int:
        known = await opened.storage.limits.known()
        if name is not None:
            if name not in {each.limit.name for each in known}:
                names = ", ".join(each.limit.name for each in known) or "none"
                raise ConfigError(
                    f"there is no limit {name!r}: the code declares them, and the first job that "
                    f"is stored under one makes it known ({names})"
                )
            if wanted is not None:
                await opened.storage.limits.change(wanted)
            known = [
                each for each in await opened.storage.limits.known() if each.limit.name == name
            ]
        if as_json:
            print_json([_as_json(each) for each in known])
        else:
            _print(known)
        return 0

    run_opened(ctx, Source(adapter, dsn, schema), action)


def _wanted(
    name: str | None,
    concurrency: int | None,
    rate: int | None,
    per: float | None,
    *,
    smooth: bool,
    no_limit: bool,
) -> Limit | None:
    sets = concurrency is not None or rate is not None or no_limit
    if sets and name is None:
        raise ConfigError("say which limit is to be set: asyncjobs limits queue:email ...")
    if no_limit and (concurrency is not None or rate is not None):
        raise ConfigError("give --no-limit, or --concurrency and --rate, not both")
    if rate is None and (per is not None or smooth):
        raise ConfigError("--per and --smooth go with --rate")
    if not sets or name is None:
        return None
    rated = None if rate is None else RateLimit(rate, 60.0 if per is None else per, smooth)
    check_limits(concurrency, rated)
    return make_limit(name, concurrency, rated) or Limit(name)


def _as_json(known: KnownLimit) -> dict[str, Any]:
    return {**known.limit._asdict(), "changed_at": known.changed_at}


def _print(known: list[KnownLimit]) -> None:
    now = datetime.now(UTC)
    print_table(
        ("limit", "at once>", "starts", "changed"),
        [
            (
                each.limit.name,
                "any number" if each.limit.concurrency is None else each.limit.concurrency,
                "" if each.limit.gap is None
                else f"{each.limit.burst} at once, then one every {duration(each.limit.gap)}",
                relative(each.changed_at, now),
            )
            for each in known
        ],
    )  # fmt: skip
    if not known:
        print("nothing is limited")
