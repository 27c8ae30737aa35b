"""``doctor``: what is wrong, what it means, and what to do."""

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncjobs.cli.target import Target
from asyncjobs.doctor import Finding, diagnose, worst
from asyncjobs.doctor.finding import LEVELS

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings

CODES = {"good": 0, "note": 0, "warning": 1, "bad": 2}
"""Exit codes, by the worst finding."""
MARKS = {
    "good": ("ok", "32"),
    "note": ("note", "36"),
    "warning": ("warning", "33"),
    "bad": ("BAD", "31"),
}
"""A word and a colour of terminals."""
INDENT = " " * 11


def doctor(
    ctx: typer.Context,
    *,
    dsn: Annotated[
        str | None,
        typer.Option(help="Look at this database, without any app.", show_default=False),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="The schema that --dsn is for.", show_default="asyncjobs")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not ok.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for what is wrong, and say what it means and what to do.

    Exit code 0: all is well; 1: there are warnings; 2: something is bad, or cannot be reached.
    Nothing is changed. With an app more is looked at: its job names, queues and groups.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    target = Target.find(settings, dsn=dsn, schema=schema)
    found = asyncio.run(_look(target))
    everything = [finding for findings in found.values() for finding in findings]
    if as_json:
        print(json.dumps(_as_json(target, found), indent=2))
    else:
        for name, findings in found.items():
            _print(f"{name}, schema {target.schema_of(name)}", findings, quiet=quiet)
        print(_summary(everything))
    raise typer.Exit(CODES[worst(everything)])


async def _look(target: Target) -> dict[str, list[Finding]]:
    return {
        name: await diagnose(storage, name, target.jobs)
        for name, storage in target.storages.items()
    }


def _as_json(target: Target, found: dict[str, list[Finding]]) -> dict[str, Any]:
    everything = [finding for findings in found.values() for finding in findings]
    return {
        "level": worst(everything),
        "adapters": [
            {
                "name": name,
                "schema": target.schema_of(name),
                "findings": [finding._asdict() for finding in findings],
            }
            for name, findings in found.items()
        ],
    }


def _print(title: str, findings: list[Finding], *, quiet: bool) -> None:
    print(title)
    for finding in findings:
        if quiet and finding.level == "good":
            continue
        mark, colour = MARKS[finding.level]
        print(f"  {_coloured(f'{mark:7}', colour)}  {finding.what}  [{finding.check}]")
        if finding.meaning:
            print(f"{INDENT}{finding.meaning}")
        if finding.advice:
            print(f"{INDENT}-> {finding.advice}")
    print()


def _summary(findings: list[Finding]) -> str:
    counts = {level: sum(each.level == level for each in findings) for level in LEVELS}
    parts = [f"{counts['bad']} bad", f"{counts['warning']} to be looked at"]
    return f"{', '.join(parts)}, {counts['note']} to know, {counts['good']} ok"


def _coloured(text: str, colour: str) -> str:
    is_plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if is_plain else f"\x1b[{colour}m{text}\x1b[0m"
