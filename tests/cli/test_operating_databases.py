"""Operating without an app, and what takes the whole: limits, prune and logs."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from test_operating import APP, as_json, store

from asyncjobs.cli import progress
from asyncjobs.storage.overview import WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shell import Done, Shell

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
LIMITED = """

from asyncjobs import RateLimit


@jobs.job(concurrency=2, rate_limit=RateLimit(10, per=60))
async def call() -> None: ...


@jobs.job(retain=1)
async def keep() -> None: ...
"""


@pytest.fixture
def app(shell: Shell, dsn: str) -> dict[str, Any]:
    """The names of an app whose jobs are stored; commands of *shell* do not find it."""
    text = (APP + LIMITED.replace("{", "{{")).format(dsn=dsn)
    shell.write("operated_app.py", text)
    scope: dict[str, Any] = {"__name__": "stored"}
    exec(text, scope)
    return scope


@pytest.fixture
def database(
    shell: Shell, app: dict[str, Any], dsn: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """As *app*; the address of its database is in the environment."""
    monkeypatch.setenv("ASYNCJOBS_DATABASE_URL", dsn)
    return app


def test_a_database_is_operated_without_an_app(shell: Shell, app: dict[str, Any], dsn: str) -> None:
    store(app, app["send"](1), app["send"](2), app["fail"]())
    asyncio.run(app["workoff"]())
    there = ("--dsn", dsn)
    assert [job["id"] for job in as_json(shell.run("list", "name:send", "--json", *there))] == [
        2,
        1,
    ]
    assert shell.run("show", "3", *there, "--schema", "asyncjobs").code == 0
    assert shell.run("retry", "3", *there).out == "retry: 1 job\n"
    assert shell.run("reschedule", "3", "--wait", "60", *there).out == "reschedule: 1 job\n"
    assert shell.run("cancel", "3", *there).out == "cancel: 1 job\n"
    assert shell.run("delete", "name:send", "--yes", *there).out == "delete: 2 jobs\n"
    assert shell.run("pause", "--queue", "email", *there).out == "paused\n"
    assert as_json(shell.run("status", "--json", *there))["pauses"][0]["name"] == "email"
    assert shell.run("resume", "--queue", "email", *there).out == "resumed\n"
    assert shell.run("pause", "--job", "send", *there).out == "paused\n"
    assert "give one of --queue" in shell.run("pause", *there).err
    assert shell.run("workers", *there).code == 1
    assert "tidy" in shell.run("schedules", *there).out
    assert shell.run("top", *there).code == 0


def test_the_address_may_be_the_environments(shell: Shell, database: dict[str, Any]) -> None:
    store(database, database["send"](1))
    assert len(as_json(shell.run("list", "--json"))) == 1
    needs = shell.run("enqueue", "send", '{"user_id": 1}')
    assert needs.code == 2
    assert "which app?" in needs.err
    assert "--adapter is for an app" in shell.run("list", "--adapter", "main").err


def test_with_neither_both_are_named(shell: Shell) -> None:
    done = shell.run("list")
    assert done.code == 2
    assert "which app?" in done.err
    assert "--dsn, or by ASYNCJOBS_DATABASE_URL" in done.err
    assert "--schema goes with --dsn" in shell.run("list", "--schema", "other").err


def test_limits_are_listed_and_set(shell: Shell, database: dict[str, Any]) -> None:
    assert shell.run("limits").out.splitlines()[-1] == "nothing is limited"
    store(database, database["call"]())
    [limit] = as_json(shell.run("limits", "--json"))
    assert (limit["name"], limit["concurrency"], limit["burst"], limit["gap"]) == (
        "job:call", 2, 10, 6,
    )  # fmt: skip
    assert "10 at once, then one every 6.0 s" in shell.run("limits").out
    changed = ("--concurrency", "5", "--rate", "2", "--per", "10", "--smooth")
    [limit] = as_json(shell.run("limits", "job:call", *changed, "--json"))
    assert (limit["concurrency"], limit["burst"], limit["gap"]) == (5, 1, 5)
    [limit] = as_json(shell.run("limits", "job:call", "--no-limit", "--json"))
    assert (limit["concurrency"], limit["gap"]) == (None, None)
    assert "any number" in shell.run("limits").out


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["job:other", "--concurrency", "1"], "there is no limit 'job:other'"),
        (["--concurrency", "1"], "say which limit"),
        (["job:call", "--no-limit", "--rate", "1"], "not both"),
        (["job:call", "--per", "1"], "--per and --smooth go with --rate"),
        (["job:call", "--rate", "1", "--per", "0"], "per must be from"),
        (["job:call", "--concurrency", "200000"], "concurrency must be"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(
    shell: Shell, database: dict[str, Any], typed: list[str], told: str
) -> None:
    done = shell.run("limits", *typed)
    assert done.code == 2
    assert told in done.err


def test_what_is_over_is_counted_and_pruned(shell: Shell, database: dict[str, Any]) -> None:
    store(database, database["send"](1), database["send"](2), database["keep"]())
    asyncio.run(database["workoff"]())

    def counted(*options: str) -> Any:
        return as_json(shell.run("prune", "--dry-run", "--json", *options))

    while counted("--older-than", "1s") != {"retained": 1, "ended": 2}:
        pass
    assert counted() == {"retained": 1, "ended": 0}
    assert counted("--older-than", "1h") == {"retained": 1, "ended": 0}
    assert counted("--older-than", "1s", "--queue", "default") == {"retained": 1, "ended": 0}
    assert (
        "2 that ended 1s ago or more" in shell.run("prune", "--older-than", "1s", "--dry-run").out
    )
    unasked = shell.run("prune")
    assert unasked.code == 2
    assert "Remove 1 job? There is no terminal to ask on" in unasked.err
    assert shell.run("prune", "--yes").out == "removed: 1 whose own time is over\n"
    told = as_json(shell.run("prune", "--older-than", "1s", "--yes", "--json"))
    assert told == {"retained": 0, "ended": 2, "keys": 0, "lanes": 0}
    assert shell.run("prune", "--older-than", "1s").code == 1  # nothing to do
    assert as_json(shell.run("list", "--json")) == []
    assert "as in 30d, got 'soon'" in shell.run("prune", "--older-than", "soon").err
    for age in ("0d", "36501d"):
        done = shell.run("prune", "--older-than", age)
        assert done.code == 2
        assert f"--older-than must be from 1s to 36500d, got {age!r}" in done.err
    assert "--queue goes with --older-than" in shell.run("prune", "--queue", "email").err


def test_logs_tell_what_happened_in_its_order(shell: Shell, database: dict[str, Any]) -> None:
    store(database, database["send"](1))
    store(database, database["fail"]("bad \x1b[31m news"))
    asyncio.run(database["workoff"]())
    told = [json.loads(line) for line in shell.run("logs", "--json").out.splitlines()]
    of = {job: [line["event"] for line in told if line["id"] == job] for job in (1, 2)}
    assert of[1] == ["stored", "started", "succeeded"]
    assert of[2][:2] == ["stored", "started"]
    assert set(of[2][2:]) == {"raised", "failed"}
    assert [line["at"] for line in told] == sorted(line["at"] for line in told)
    shown = shell.run("logs", "2", "--traceback").out
    assert "ConnectionError: bad \\x1b[31m news" in shown
    assert ", in fail" in shown
    assert "\x1b[31m" not in shown
    assert "send" not in shown
    assert shell.run("logs", "--limit", "1").out.count("\n") == 1
    assert shell.run("logs", "--limit", "0").out == ""


def test_a_bar_is_for_terminals_and_for_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        progress, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=80)
    )
    for total, quiet, is_shown in (
        (progress.LEAST, False, True),
        (progress.LEAST - 1, False, False),
        (progress.LEAST, True, False),
    ):
        with progress.progress_of("Retry", total, quiet=quiet) as show:
            show(1_000)
            show(total + 7)  # more came meanwhile
        out, err = capsys.readouterr()
        assert out == ""
        assert ("Retry" in err) is is_shown
        assert (f"{total + 7}/{total + 7}" in err) is is_shown


def shapes() -> Iterator[tuple[str, str, set[str]]]:
    """What docs/cli.md says of JSON: the command, what it prints, and the keys."""
    _, _, table = PAGE.read_text(encoding="utf-8").partition("<!-- json -->\n")
    for line in table.split("\n\n")[0].strip().splitlines()[2:]:
        command, kind, keys = [cell.strip() for cell in line.strip("|").split(" | ")]
        plain = re.sub(r"\([^)]*\)|;.*| in the last hour", "", keys)  # not what they mean
        yield command.strip("`"), kind, set(re.findall(r"`(\w+)`", plain))


def test_json_has_the_shapes_that_are_documented(
    shell: Shell, database: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = database
    store(app, app["send"](1), app["fail"](), app["call"]())
    asyncio.run(app["workoff"]())
    monkeypatch.setenv("ASYNCJOBS_APP", "operated_app:jobs")
    for command, kind, keys in shapes():
        told = parsed(shell.run(*command.split()), command)
        if command == "workers --json":  # none is alive
            told = [{*WorkerStatus._fields, "state", "is_unheard"} - {"quiet_unheard"}]
        assert isinstance(told, dict) is (kind == "an object"), command
        for each in [told] if isinstance(told, dict) else told:
            assert set(each) == keys, command
        assert told, command


def parsed(done: Done, command: str) -> Any:
    assert done.err == "", command
    if command.startswith("logs"):
        return [json.loads(line) for line in done.out.splitlines()]
    return json.loads(done.out)
