"""What PostgreSQL's jsonb does not keep as it is, and how it is kept all the same."""

from __future__ import annotations

import re
from decimal import Decimal

EXPONENT = re.compile(r"\d[eE]\+?\d")
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?[eE]\+?\d+')
"""A text, which may look like anything inside, or a number with a positive exponent."""


def keep_floats(text: str) -> str:
    """Return the JSON *text* with large floats as jsonb gives them back as floats.

    jsonb knows one kind of number, and prints 1e23 as an integer of 24 digits, which is read
    as an int, and another one than the float was. With ``.0`` it stays a float.
    """
    return TOKEN.sub(_written_out, text) if EXPONENT.search(text) else text


def _written_out(token: re.Match[str]) -> str:
    found = token[0]
    if found.startswith('"'):
        return found
    digits = f"{Decimal(found):f}"
    return digits if "." in digits else f"{digits}.0"
