"""Values as somebody would write them in Python, for the line that is copied."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable


def literal(value: Any) -> str:
    """Return the expression that makes *value*, whose types are imported by their names."""
    kind = type(value).__name__
    if isinstance(value, Enum):
        is_named = value.name is not None and value.name.isidentifier()
        return f"{kind}.{value.name}" if is_named else f"{kind}({value.value!r})"
    if isinstance(value, date | time):  # a datetime is a date
        return f"{kind}.fromisoformat({value.isoformat()!r})"
    if isinstance(value, timedelta):
        return repr(value).removeprefix("datetime.")
    if (parts := _parts(value)) is not None:
        return f"{kind}({', '.join(f'{name}={literal(part)}' for name, part in parts)})"
    return _collected(value)


def _parts(value: Any) -> Iterable[tuple[str, Any]] | None:
    """Return what *value* is made of, by the names of its constructor's parameters."""
    if isinstance(value, BaseModel):
        known = type(value).model_fields.items()
        return [(field.alias or name, getattr(value, name)) for name, field in known]
    if is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in fields(value) if field.init]
    as_dict = getattr(value, "_asdict", None) if isinstance(value, tuple) else None
    return None if as_dict is None else list(as_dict().items())


def _collected(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(key)}: {literal(one)}' for key, one in value.items())}}}"
    if not isinstance(value, list | tuple | set | frozenset):
        return repr(value)
    inside = ", ".join(map(literal, value))
    if isinstance(value, list):
        return f"[{inside}]"
    if isinstance(value, tuple):
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, set):
        return f"{{{inside}}}" if value else "set()"
    return f"frozenset({{{inside}}})" if value else "frozenset()"
