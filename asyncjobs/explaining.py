"""What pydantic refuses, in the words of our errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

SHOWN = 60
"""Characters of a refused value that an error shows."""


def explain(error: ValidationError, *, show: bool, named: bool = True) -> str:
    """Return what is wrong with which argument, or with the only one; *show* also the value."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in problem["loc"]]
        whole = "arguments" if named else "it"
        where = f"argument {path[0]!r}" if path and named else whole
        inside = f" at {shorten('.'.join(path[1:]))}" if path[1:] else ""
        value = problem["input"]
        kind = type(value).__name__
        shown = f"{show_value(value)} ({kind})" if show else f"a value of type {kind}"
        what = problem["msg"][:1].lower() + problem["msg"][1:]
        problems.append(f"{where}{inside}: {what}, got {shown}")
    return "; ".join(problems)


def told_in(error: ValidationError) -> frozenset[str] | None:
    """Return the arguments of which `explain` tells values; None if it may be of any."""
    names = set()
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = problem["loc"]
        if len(path) < (2 if problem["type"] == "missing" else 1):
            return None  # its value is that of all arguments
        names.add(str(path[0]))
    return frozenset(names)


def show_value(value: object) -> str:
    """Return *value* as an error shows it, whatever its own repr does."""
    try:
        return shorten(repr(value))
    except Exception:  # noqa: BLE001 - nested too deep, a huge int, or a repr of the user's
        return "…"


def shorten(text: str) -> str:
    """Return *text*, or its beginning."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
