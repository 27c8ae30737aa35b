"""What the manager hides is hidden by commands too, as it is by the dashboard."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import JobManager, MemoryAdapter
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from shell import Shell

APP = """
from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    adapters={{"main": PostgresAdapter("{dsn}")}},
    workers=[WorkerGroup(adapter="main", delete_successful_jobs=False)],
    redact={redact},
)
later = jobs.create_scheduler(adapter="main")


@jobs.job(retain=600)
async def pay(user_id: int, card: dict) -> dict:
    return {{"iban": "swordfish", "paid": 3}}


async def store() -> None:
    async with jobs:
        await later(
            pay(7, {{"number": "swordfish", "kind": "visa"}}),
            meta={{"iban": "swordfish", "why": "x"}},
            unique=True,
        )
        await jobs.workoff()
"""


def write(shell: Shell, dsn: str, redact: str) -> None:
    shell.write("pyproject.toml", '[tool.asyncjobs]\napp = "hiding_app:jobs"\n')
    shell.write("hiding_app.py", APP.format(dsn=dsn, redact=redact))
    scope: dict[str, Any] = {"__name__": "hiding"}
    exec(shell.read("hiding_app.py"), scope)
    asyncio.run(scope["store"]())


def test_names_are_hidden_in_lists_and_of_one_job(shell: Shell, dsn: str) -> None:
    write(shell, dsn, '["number", "IBAN"]')
    [listed] = json.loads(shell.run("list", "--json").out)
    shown = json.loads(shell.run("show", "1", "--json").out)
    assert listed == shown
    assert shown["args"] == {"user_id": 7, "card": {"number": "[hidden]", "kind": "visa"}}
    assert shown["result"] == {"iban": "[hidden]", "paid": 3}
    assert shown["meta"] == {"iban": "[hidden]", "why": "x"}
    assert shown["unique_key"] == "[hidden]"
    text = shell.run("show", "1").out
    assert "visa" in text
    assert "unique key [hidden]" in text
    assert "swordfish" not in text
    assert "swordfish" not in shell.run("list").out


def test_nobody_searches_by_what_is_hidden(shell: Shell, dsn: str) -> None:
    write(shell, dsn, '["number"]')
    for command in (["list"], ["retry", "--yes"], ["delete", "--yes"]):
        done = shell.run(*command, "args.card.number:swordfish")
        assert done.code == 2
        assert "'number' is hidden here" in done.err
    assert shell.run("list", 'args.card:{"number":"swordfish"}').code == 2
    assert len(json.loads(shell.run("list", "--json", "args.card.kind:visa").out)) == 1


def test_a_function_says_what_is_shown_and_hides_results(shell: Shell, dsn: str) -> None:
    write(shell, dsn, 'lambda job, args: {"job": job, "user_id": args["user_id"]}')
    shown = json.loads(shell.run("show", "1", "--json").out)
    assert shown["args"] == {"job": "pay", "user_id": 7}
    assert shown["result"] == "[hidden]"


def test_a_single_name_is_refused_where_it_is_said() -> None:
    with pytest.raises(ConfigError, match="redact must be a list of names or a function, got 'x'"):
        JobManager(adapters={"main": MemoryAdapter()}, redact="x")
