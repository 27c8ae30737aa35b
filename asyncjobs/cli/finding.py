"""``list`` and ``show``: which jobs there are, and all that is stored of one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.opened import (
    NOTHING_DONE,
    AdapterOption,
    DsnOption,
    JsonOption,
    Opened,
    SchemaOption,
    Source,
    plain,
    print_json,
    print_table,
    run_opened,
)
from asyncjobs.errors import ConfigError
from asyncjobs.glance.redaction import Redaction
from asyncjobs.glance.search import parse
from asyncjobs.glance.stored import error_records_of, extra_of, meta_of, tags_of
from asyncjobs.glance.words import moment, relative
from asyncjobs.redaction import readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.filters import JobFilter
    from asyncjobs.types import JobRecord

STYLES = {"failed": "red", "running": "green", "cancelled": "yellow", "succeeded": "dim"}
Query = Annotated[
    list[str] | None,
    typer.Argument(
        help="Ids, parts of names, and name:, state:, queue:, tag:, args.x:, error:, attempt:, "
        "priority:, parent:, after:, before:, as in the dashboard's search.",
        show_default=False,
    ),
]


async def understood(opened: Opened, query: Sequence[str] | None) -> JobFilter:
    """Return which jobs the words of *query* mean. Raises ConfigError."""
    text = " ".join(_one_word(word) for word in query or ())
    registered = [job.name for job in opened.jobs.registry]
    names = sorted({*registered, *await opened.storage.statistics.names()})
    found = parse(text, names, Redaction(opened.jobs.redact))
    if found.problems:
        raise ConfigError(" ".join(found.problems))
    return found.where


def _one_word(word: str) -> str:
    # The shell has taken the quotation marks away: error:"connection refused" is one word here.
    if '"' in word or not any(letter.isspace() for letter in word):
        return word
    kind, colon, value = word.partition(":")
    return f"{kind}:{json.dumps(value)}" if colon else json.dumps(word)


def list_jobs(
    ctx: typer.Context,
    *,
    query: Query = None,
    limit: Annotated[int, number_option(int, help="How many at most.", least=1, most=1_000)] = 20,
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs: newest first; available ones in the order in which they run."""

    async def show(opened: Opened) -> int:
        where = await understood(opened, query)
        page = await opened.later.find(where, limit=limit)
        if as_json:
            redaction = Redaction(opened.jobs.redact)
            print_json([job_as_json(record, redaction) for record in page.jobs])
            return 0
        now = datetime.now(UTC)
        print_table(
            ("id>", "name", "queue", "state", "attempt>", "priority>", "when", "last error"),
            [_row(record, now) for record in page.jobs],
            spare=("priority", "queue"),
        )
        if page.after is not None:
            count = await opened.later.count(where)
            about = "" if count.is_exact else "about "
            print(f"... of {about}{count.jobs:,}; --limit shows more")
        elif not page.jobs:
            print("no such jobs")
        return 0

    run_opened(ctx, Source(adapter, dsn, schema), show)


def show(
    ctx: typer.Context,
    *,
    job_id: Annotated[int, typer.Argument(metavar="ID", help="The job's number.")],
    adapter: AdapterOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is stored of one job. Exits with 1 if there is nothing."""

    async def look(opened: Opened) -> int:
        record = await opened.later.get(job_id)
        if record is None:
            print(f"there is no job {job_id}: it never was, or its row was removed when it ended")
            return NOTHING_DONE
        redaction = Redaction(opened.jobs.redact)
        if as_json:
            print_json(job_as_json(record, redaction))
        else:
            _show(record, redaction)
        return 0

    run_opened(ctx, Source(adapter, dsn, schema), look)


def job_as_json(record: JobRecord, redaction: Redaction) -> dict[str, Any]:
    """Return what may be shown of a stored job as a JSON object."""
    told = record._asdict()
    del told["extra"]
    for name in ("errors", "progress", "result"):
        told[name] = None if told[name] is None else readable(told[name])
    if record.result is not None:
        told["result"] = redaction.result(told["result"])
    return {
        **told,
        "args": redaction.arguments_of(record),
        "tags": tags_of(record),
        "meta": redaction.value(meta_of(record)),
        "unique_key": redaction.unique_key_of(record),
    }


def _row(record: JobRecord, now: datetime) -> list[object]:
    errors = error_records_of(record)
    last = f"{errors[-1].get('error')}: {errors[-1].get('message')}" if errors else ""
    when = record.finished_at or record.attempted_at or record.run_at
    if record.state in {"scheduled", "available", "waiting"}:
        when = record.run_at
    return [
        record.id, record.name, record.queue,
        Text(record.state, style=STYLES.get(record.state, "")), record.attempt, record.priority,
        relative(when, now), last[:80],
    ]  # fmt: skip


def _as_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _show(record: JobRecord, redaction: Redaction) -> None:
    console, now = Console(), datetime.now(UTC)
    told = job_as_json(record, redaction)
    facts: dict[str, object] = {
        "job": f"{record.name} #{record.id}",
        "state": record.state if record.waits_in is None else f"waiting in {record.waits_in}",
        "queue": f"{record.queue}, priority {record.priority}",
        "attempt": record.attempt,
    }
    moments = {
        "created": record.created_at,
        "runs at": record.run_at,
        "attempted": record.attempted_at,
        "finished": record.finished_at,
        "expires": record.expires_at,
    }
    facts |= {
        name: f"{moment(at)} ({relative(at, now)})"
        for name, at in moments.items()
        if at is not None
    }
    facts |= {name: _as_text(told[name]) for name in ("args", "result", "progress")}
    context = redaction.value(extra_of(record).get("context"))
    facts |= {"tags": ", ".join(told["tags"]), "meta": told["meta"], "context": context}
    facts |= {"unique key": told["unique_key"], "parent": record.parent_id}
    for name, value in facts.items():
        if value not in (None, "", {}):
            console.print(Text.assemble((f"{name:<11}", "bold"), plain(value)), soft_wrap=True)
    for error in error_records_of(record):
        what = f"attempt {error.get('attempt')}: {error.get('error')}: {error.get('message')}"
        console.print(Text.assemble("\n", (str(plain(what)), "red")), soft_wrap=True)
        for line in str(error.get("traceback") or "").splitlines():
            console.print(plain(line), style="dim", soft_wrap=True)
