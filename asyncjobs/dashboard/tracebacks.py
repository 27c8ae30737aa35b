"""Tracebacks, folded to the frames of the user's own code."""

from __future__ import annotations

import re
from typing import NamedTuple

from asyncjobs.frames import is_of_library

FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+), in .*$')
MARGIN = re.compile(r"^ *\| ?")
"""What stands before each line of the exceptions of a group."""
RULE = re.compile(r"^ *\+")
"""What stands between them."""


class Fold(NamedTuple):
    """A part of a traceback."""

    text: str
    frames: int
    """How many frames of libraries it holds; 0 if it is to be shown."""


def fold(traceback: str) -> list[Fold]:
    """Return *traceback* in parts, of which those of libraries may be folded away.

    Those of exception groups have frames behind a margin. An empty one has no parts.
    """
    if not traceback:
        return []
    parts: list[Fold] = []
    for text, is_library in _pieces(traceback):
        if parts and bool(parts[-1].frames) == is_library:
            last = parts.pop()
            parts.append(Fold(f"{last.text}\n{text}", last.frames + is_library))
        else:
            parts.append(Fold(text, int(is_library)))
    shown = [part for part in parts if not part.frames]
    if not any(_frame(line) for part in shown for line in part.text.splitlines()):
        return [Fold(traceback, 0)]  # all of it is of libraries, so all of it may matter
    return parts


def _pieces(traceback: str) -> list[tuple[str, bool]]:
    pieces: list[tuple[list[str], bool]] = [([], False)]
    for line in traceback.rstrip("\n").split("\n"):
        if frame := _frame(line):
            pieces.append(([line], is_of_library(frame["file"])))
        elif _continues(line) and len(pieces) > 1:
            pieces[-1][0].append(line)
        elif pieces[-1][1]:
            pieces.append(([line], False))
        else:
            pieces[-1][0].append(line)
    return [("\n".join(lines), is_library) for lines, is_library in pieces if lines]


def _frame(line: str) -> re.Match[str] | None:
    return FRAME.match(MARGIN.sub("", line))


def _continues(line: str) -> bool:
    return not RULE.match(line) and MARGIN.sub("", line).startswith("    ")
