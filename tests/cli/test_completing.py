"""Names of queues, jobs and schedules are completed as a shell would ask for them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from test_operating import APP, store

if TYPE_CHECKING:
    from shell import Shell

NOISY = 'print("imported")\n'


@pytest.fixture
def app(shell: Shell, dsn: str) -> dict[str, Any]:
    """The names of an app that a command in the folder of *shell* finds by ``--app``."""
    shell.write("operated_app.py", NOISY + APP.format(dsn=dsn))
    scope: dict[str, Any] = {"__name__": "stored"}
    exec(APP.format(dsn=dsn), scope)
    return scope


def completed(shell: Shell, line: str, **environment: str) -> list[str]:
    """Return what is offered for the last word of *line*."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from asyncjobs.cli import main; main()"],
        cwd=shell.folder,
        env=os.environ | {"_ASYNCJOBS_COMPLETE": "complete_bash"} | asked | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pause --queue ", ["default", "email"]),
        ("resume --queue e", ["email"]),
        ("pause --job s", ["send"]),
        ("prune --queue d", ["default"]),
        ("enqueue ", ["fail", "send", "tidy"]),
        ("enqueue send --queue e", ["email"]),
    ],
)
def test_an_app_knows_its_names(
    shell: Shell, app: dict[str, Any], line: str, found: list[str]
) -> None:
    assert completed(shell, f"asyncjobs --app operated_app:jobs {line}") == found


def test_a_database_tells_them_without_an_app(shell: Shell, app: dict[str, Any], dsn: str) -> None:
    store(app, app["send"](1), app["fail"]())
    asyncio.run(app["workoff"]())
    there = {"ASYNCJOBS_DATABASE_URL": dsn}
    assert completed(shell, "asyncjobs schedules --off ", **there) == ["tidy"]
    assert completed(shell, "asyncjobs pause --job ", **there) == ["fail", "send"]
    assert completed(shell, f"asyncjobs pause --dsn {dsn} --queue e") == ["email"]


@pytest.mark.parametrize(
    "line",
    [
        "asyncjobs pause --queue ",
        "asyncjobs --app no_such_app:jobs pause --queue ",
        "asyncjobs schedules --dsn postgresql://127.0.0.1:1/nothing --run ",
    ],
)
def test_where_nothing_can_be_known_nothing_is_offered(shell: Shell, line: str) -> None:
    assert completed(shell, line) == []
