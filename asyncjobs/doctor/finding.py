"""What the doctor says: one thing found, what it means, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Level: TypeAlias = Literal["good", "note", "warning", "bad"]
LEVELS: tuple[Level, ...] = ("good", "note", "warning", "bad")
"""From what is as it should be to what has to be mended."""


class Finding(NamedTuple):
    """One thing found."""

    level: Level
    what: str
    meaning: str = ""
    """What comes of it; empty where that is plain."""
    advice: str = ""
    """What to do, with the command or the SQL; empty if nothing is to be done."""
    check: str = ""
    """The check that found it; the doctor fills it in."""


def good(what: str) -> Finding:
    """Return that something is as it should be."""
    return Finding("good", what)


def note(what: str, meaning: str = "", advice: str = "") -> Finding:
    """Return what one should know, and that needs nothing done."""
    return Finding("note", what, meaning, advice)


def warning(what: str, meaning: str, advice: str) -> Finding:
    """Return what will make trouble, or makes a little."""
    return Finding("warning", what, meaning, advice)


def bad(what: str, meaning: str, advice: str) -> Finding:
    """Return what keeps jobs from running, or may lose them."""
    return Finding("bad", what, meaning, advice)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the highest level among *findings*."""
    found: Level = "good"
    for finding in findings:
        if LEVELS.index(finding.level) > LEVELS.index(found):
            found = finding.level
    return found
