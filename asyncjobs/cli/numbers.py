"""Options that take a number, and what is said of one that is out of bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = {int: "a whole number", float: "a number"}


def number_option(
    kind: type[int] | type[float],
    *names: str,
    help: str,  # noqa: A002 - what typer calls it
    least: float,
    most: float | None = None,
    **options: Any,
) -> Any:
    """Return the option *names* that takes a number from *least* to *most*.

    One that is none, or out of bounds, is answered with the bounds and with what was typed.
    """
    bounds = f"{least:g}.." if most is None else f"{least:g}..{most:.0f}"
    return typer.Option(
        *names,
        help=help,
        metavar=bounds,
        parser=_parser(kind, least, most),
        **options,
    )


def _parser(
    kind: type[int] | type[float], least: float, most: float | None
) -> Callable[[str], float]:
    known = f"of {least:g} or more" if most is None else f"from {least:g} to {most:.0f}"

    def parse(text: str) -> float:
        try:
            found = kind(text)
        except ValueError:
            found = math.nan
        if not least <= found <= (math.inf if most is None else most):
            raise typer.BadParameter(f"must be {WORDS[kind]} {known}, got {text}")
        return found

    return parse
