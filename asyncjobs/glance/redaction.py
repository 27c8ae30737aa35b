"""What of stored jobs is not shown, and how what was edited without seeing it is put back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asyncjobs import redaction
from asyncjobs.redaction import HIDDEN, Redact

if TYPE_CHECKING:
    from asyncjobs.schedule_types import Schedule
    from asyncjobs.types import JobRecord

__all__ = ["HIDDEN", "Redact", "Redaction", "arguments_of", "restore"]


class Redaction(redaction.Redaction):
    """Hides what *redact* says of stored jobs. Raises ConfigError for a name without a list."""

    def arguments_of(self, record: JobRecord) -> dict[str, Any]:
        """Return what may be shown of the arguments of a stored job."""
        return self.arguments(record.name, arguments_of(record))

    def unique_key_of(self, record: JobRecord) -> str | None:
        """Return what may be shown of what makes a stored job unique.

        It is a hash of the arguments, by which whoever knows most of them finds out the rest.
        """
        if record.unique_key is None or self.arguments_of(record) == arguments_of(record):
            return record.unique_key
        return HIDDEN


def arguments_of(record: JobRecord | Schedule) -> dict[str, Any]:
    """Return the stored arguments by name; what is no object has no names."""
    found = json.loads(record.args)
    return found if isinstance(found, dict) else {"args": found}


def restore(edited: Any, shown: Any, stored: Any) -> Any:
    """Return *edited* with what is still as it was *shown* put back as it is *stored*.

    So a form may hold what was hidden without knowing it.
    """
    if edited == shown:
        return stored
    if isinstance(edited, dict) and isinstance(shown, dict) and isinstance(stored, dict):
        return {
            name: restore(value, shown[name], stored[name])
            if name in shown and name in stored
            else value
            for name, value in edited.items()
        }
    if isinstance(edited, list) and isinstance(shown, list) and isinstance(stored, list):
        known = min(len(shown), len(stored))
        return [
            restore(value, shown[place], stored[place]) if place < known else value
            for place, value in enumerate(edited)
        ]
    return edited
