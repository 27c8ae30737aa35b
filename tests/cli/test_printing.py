"""What the tables of the commands look like, in a terminal and in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from asyncjobs.cli.opened import print_table

if TYPE_CHECKING:
    import pytest


def test_a_table_has_a_line_a_row_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id>", "words"), [(1, "word " * 60), (2, "")], spare=("words",))
    assert capsys.readouterr().out.splitlines()[1].split() == ["1", *["word"] * 60]


def test_a_narrow_terminal_is_spared_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    seen = {}
    for width in (60, 30, 20, 10):
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(
            ("id>", "name", "host", "version"), [(1, "mails", "h" * 15, "1.0")],
            spare=("version", "host"),
        )  # fmt: skip
        heading, *_, last = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
        seen[width] = heading.split(), last
    assert [heading for heading, _ in seen.values()] == [
        ["id", "name", "host", "version"], ["id", "name", "host"], ["id", "name"], ["id", "name"],
    ]  # fmt: skip
    assert "1.0" in seen[60][1]
    assert seen[30][1] == "no room for: version"
    assert seen[20][1].endswith("version, host")  # wrapped
