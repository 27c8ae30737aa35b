"""``enqueue``: a job from the shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncjobs.cli import completing
from asyncjobs.cli.acting import time_of
from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.opened import AdapterOption, JsonOption, Opened, Source, print_json, run_opened
from asyncjobs.errors import ArgumentError, ConfigError, StoredArgumentsError
from asyncjobs.job import JobCall

if TYPE_CHECKING:
    from asyncjobs.job import Job


def enqueue(
    ctx: typer.Context,
    *,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The job's name.", autocompletion=completing.jobs)
    ],
    args: Annotated[
        str, typer.Argument(metavar="JSON", help="The arguments, as a JSON object or list.")
    ] = "{}",
    queue: Annotated[
        str | None, typer.Option(show_default="the job's", autocompletion=completing.queues)
    ] = None,
    priority: Annotated[int | None, typer.Option(show_default="the job's")] = None,
    wait: Annotated[
        float | None, number_option(float, help="Seconds from now.", least=0, show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="A moment with its zone, as 2031-01-31T09:00+01:00.", show_default=False),
    ] = None,
    unique: Annotated[
        str | None, typer.Option(help="Not beside another one of this key.", show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="May be given again.", show_default=False)
    ] = None,
    adapter: AdapterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Store a call of a job, checked as by the app itself, and print its id."""
    given = _arguments(args)
    seconds, moment = time_of(wait, at)
    options: dict[str, Any] = {
        "queue": queue, "priority": priority, "wait": seconds, "unique": unique, "tags": tag,
        "wait_until": moment,
    }  # fmt: skip
    options = {key: value for key, value in options.items() if value is not None}

    async def action(opened: Opened) -> int:
        job = opened.jobs.registry[name]
        stored = await opened.later(_call(job, given), **options)
        if as_json:
            print_json({"id": stored.id, "state": stored.state, "is_new": stored.is_new})
        else:
            known = "" if stored.is_new else ", which existed already"
            print(f"job {stored.id}{known}: {stored.state}")
        return 0

    run_opened(ctx, Source(adapter), action, needs_app=True)


def _call(job: Job[..., Any], given: dict[str, Any] | list[Any]) -> JobCall[Any]:
    positional, named = ((), given) if isinstance(given, dict) else (tuple(given), {})
    try:
        bound = job.codec.signature.bind(*positional, **named).arguments
    except TypeError as error:
        raise ArgumentError(job.name, str(error)) from None
    try:  # as JSON has them: a moment or an enum as text
        return JobCall(job, (), job.codec.decode(json.dumps(bound)))
    except StoredArgumentsError:
        job.codec.encode((), bound)  # says more of what is wrong
        raise


def _arguments(text: str) -> dict[str, Any] | list[Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"the arguments must be JSON, got {text!r}: {error}") from error
    if not isinstance(found, dict | list):
        raise ConfigError(f"the arguments must be a JSON object or list, got {text!r}")
    return found
