"""Whether a value has come back as it was."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def is_rounded(given: Any, checked: Any) -> bool:
    """Whether a number somewhere in *given* became another one as a float in *checked*."""
    if isinstance(checked, float):
        return isinstance(given, int | Decimal) and given != checked
    if isinstance(given, list | tuple) and isinstance(checked, list | tuple):
        return any(map(is_rounded, given, checked))
    if isinstance(given, dict) and isinstance(checked, dict):
        return any(is_rounded(part, checked.get(key)) for key, part in given.items())
    return False


def differ(one: object, other: object) -> bool:
    """Whether two values are known to be different, whatever their own equality does."""
    try:
        return bool(one != other)
    except Exception:  # noqa: BLE001 - the user's types
        return False


def is_changed(given: Any, back: Any, again: Any, *, is_loose: bool) -> bool:
    """Whether *given* is known to have come back from its JSON as another value.

    *back* and *again* are two readings of that one JSON: where they differ, the type has no
    equality, and nothing is known. Unless the type *is_loose*, a tuple for a Sequence may come
    back as a list.
    """
    if not is_loose:
        return differ(as_lists(back), as_lists(given)) and not differ(back, again)
    return differ(back, given) and not differ(back, again)


def as_lists(value: Any) -> Any:
    """Return *value* with lists in place of its tuples."""
    if isinstance(value, list | tuple):
        return [as_lists(part) for part in value]
    if isinstance(value, dict):
        return {key: as_lists(part) for key, part in value.items()}
    return value
