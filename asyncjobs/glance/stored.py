"""What stored jobs say of themselves, whoever wrote it: nothing of it makes a reader fail."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from asyncjobs.redaction import readable

if TYPE_CHECKING:
    from asyncjobs.schedule_types import Schedule
    from asyncjobs.types import JobRecord

NO_TEXT = "[no text]"
"""Stands for a tag that is none."""


def arguments_of(record: JobRecord | Schedule) -> dict[str, Any]:
    """Return the stored arguments by name; what is no object has no names."""
    found = readable(record.args)
    return found if isinstance(found, dict) else {"args": found}


def has_readable_arguments(record: JobRecord) -> bool:
    """Return whether `arguments_of` returns all that is stored, as it is stored."""
    try:
        return bool(json.loads(record.args) == readable(record.args))
    except (ValueError, RecursionError):
        return False


def errors_of(record: JobRecord) -> list[Any]:
    """Return the records of failed attempts, as they are stored."""
    found = readable(record.errors)
    return found if isinstance(found, list) else [found]


def error_records_of(record: JobRecord) -> list[dict[str, Any]]:
    """Return those of them that are objects, as workers write them."""
    return [error for error in errors_of(record) if isinstance(error, dict)]


def extra_of(record: JobRecord) -> dict[str, Any]:
    """Return what the job has beside its arguments."""
    found = readable(record.extra) if record.extra else {}
    return found if isinstance(found, dict) else {}


def meta_of(record: JobRecord) -> dict[str, Any]:
    """Return the user's own facts."""
    found = extra_of(record).get("meta")
    return found if isinstance(found, dict) else {}


def tags_of(record: JobRecord) -> list[str]:
    """Return the job's tags."""
    return [tag if isinstance(tag, str) else NO_TEXT for tag in record.tags]


def moment_of(text: Any) -> datetime | None:
    """Return the moment of an error, in UTC; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
