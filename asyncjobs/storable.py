"""What PostgreSQL's text holds: neither null characters nor half surrogates."""

from __future__ import annotations

from typing import TypeGuard

STORABLE = "without null characters and half surrogates"


def is_storable(text: object) -> TypeGuard[str]:
    """Return whether PostgreSQL can hold *text*."""
    if not isinstance(text, str) or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def made_storable(text: str) -> str:
    """Return *text* with what PostgreSQL cannot hold written as escapes, which are longer."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
