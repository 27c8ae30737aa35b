"""Verbs are imported when they are typed; what is told of them before is what they say."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import pytest

from asyncjobs.cli.verbs import VERBS, load

HEAVY = {"asyncio", "asyncpg", "pydantic", "structlog", "watchfiles", "asyncjobs.manager"}


def imported_by(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """Return what a fresh command writes, and the modules that it has then."""
    code = (
        "import json, sys\nfrom asyncjobs.cli import main\n"
        "try:\n    main()\nfinally:\n    print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *written, modules = done.stdout.splitlines()
    return "\n".join(written), set(json.loads(modules))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=str)
def test_help_brings_in_nothing_heavy(arguments: list[str]) -> None:
    _, modules = imported_by(*arguments)
    assert not modules & HEAVY


def test_one_verb_does_not_bring_in_the_others() -> None:
    _, modules = imported_by("migrate", "--help")
    assert {name for name in modules if name.startswith("asyncjobs.cli.")} == {
        f"asyncjobs.cli.{name}" for name in ("database", "failures", "main", "settings", "verbs")
    }


@pytest.mark.parametrize("name", VERBS)
def test_the_list_says_of_a_verb_what_its_own_help_begins_with(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert VERBS[name].summary == inspect.cleandoc(command.help).splitlines()[0]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("asyncjobs re", {"retry", "reschedule", "resume", "restart"}),
        ("asyncjobs generate ", {"job"}),
        ("asyncjobs cancel --dr", {"--dry-run"}),
        ("asyncjobs --log-format j", {"json"}),
    ],
)
def test_the_shell_completes_verbs_and_their_options(line: str, found: set[str]) -> None:
    *_, last = words = line.split(" ")
    written, modules = imported_by(
        _ASYNCJOBS_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    )
    assert set(written.split()) == found
    assert last or "asyncjobs.cli.generate" in modules
    assert "asyncjobs.cli.dashboard" not in modules


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_each_shell_can_be_had(shell: str) -> None:
    # Where no shell is above it, as in CI, none can be found: it is named.
    written, _ = imported_by(
        "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert "_ASYNCJOBS_COMPLETE" in written
