"""Help, suggestions, versions, and the options of every verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncjobs.cli.main import common_options_first
from asyncjobs.cli.verbs import VERBS, load

if TYPE_CHECKING:
    from shell import Shell


def every_command() -> list[list[str]]:
    """What is typed for each command there is, and for none."""
    found: list[list[str]] = [[]]
    for name in VERBS:
        found.append([name])
        found += [[name, inner] for inner in getattr(load(name), "commands", {})]
    return found


@pytest.mark.parametrize("verb", every_command(), ids=" ".join)
def test_every_help_has_an_example_and_needs_no_app(shell: Shell, verb: list[str]) -> None:
    done = shell.run(*verb, "--help")
    assert done.code == 0
    assert f"Example: asyncjobs {' '.join(verb)}".strip() in done.out.replace(
        "--app app.jobs:jobs ", ""
    ).replace("--log-format json ", "")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (["migrat"], "'migrate'"),
        (["worker", "--indx", "0"], "--index"),
        (["clear", "--yess"], "--yes"),
        (["generate", "jab"], "'job'"),
        (["--log-format", "jsn", "work"], "json"),
    ],
    ids=str,
)
def test_a_misspelt_word_is_answered_with_the_nearest(
    shell: Shell, typed: list[str], answer: str
) -> None:
    done = shell.run(*typed)
    assert done.code == 2
    assert answer in done.err


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("list --limit 0", "'--limit': must be a whole number from 1 to 1000, got 0"),
        ("list --limit 1001", "'--limit': must be a whole number from 1 to 1000, got 1001"),
        ("list --limit 1.5", "'--limit': must be a whole number from 1 to 1000, got 1.5"),
        ("health --timeout nan", "'--timeout': must be a number of 0.1 or more, got nan"),
        ("worker --index 0 --id -1", "'--id': must be a whole number of 0 or more, got -1"),
        ("work --metrics-port 65536", "must be a whole number from 1 to 65535, got 65536"),
    ],
)
def test_a_number_out_of_bounds_is_answered_with_them_and_with_itself(
    shell: Shell, typed: str, answer: str
) -> None:
    done = shell.run(*typed.split())
    assert (done.code, answer in done.err) == (2, True), done.err


def test_the_version_needs_no_app(shell: Shell) -> None:
    done = shell.run("--version")
    assert (done.code, done.out.split()[0]) == (0, "asyncjobs")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("work --app a.b:c", "--app a.b:c work"),
        ("--app=a.b:c work -v", "--app=a.b:c -v work"),
        ("worker --index 0 --log-format json --id 1", "--log-format json worker --index 0 --id 1"),
        ("work -- --app x", "work -- --app x"),
        ("work --app", "work --app"),
    ],
)
def test_options_of_every_verb_may_come_after_it(typed: str, understood: str) -> None:
    assert common_options_first(typed.split()) == understood.split()
