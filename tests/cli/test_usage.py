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
