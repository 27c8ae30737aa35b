"""JSON, and tuples that are made quickly."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

tuple_of = tuple.__new__
"""Makes a NamedTuple of all its fields, in half the time of a call of it: for what is made once
a job. Nothing counts the fields, and defaults are not filled in."""

Json: TypeAlias = str
"""JSON as text. Storage passes it through and never looks inside."""


def told_in(extra: Json | None) -> dict[str, Any]:
    """Return what *extra* says, without what somebody made something else of than it is."""
    try:
        found = json.loads(extra) if extra else {}
    except (ValueError, RecursionError):  # numbers, and depths, that PostgreSQL takes
        return {}
    if not isinstance(found, dict):
        return {}
    wrong = [name for name in found.keys() & READ if not READ[name](found[name])]
    for name in wrong:
        del found[name]
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_run(value: object) -> bool:
    return isinstance(value, dict) and _is_text(value.get("name"))


READ = {
    "before": _is_whole,
    "context": _is_object,
    "lanes": _is_list_of_texts,
    "meta": _is_object,
    "schedule": _is_run,
}
"""What of a job's `extra` is read where nobody may fail, and of what kind it has to be."""
