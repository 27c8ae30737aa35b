"""Putting back what a form was not shown. What is not shown: `asyncjobs.redaction`."""

from __future__ import annotations

from typing import Any

from asyncjobs.redaction import HIDDEN, Redact, Redaction

__all__ = ["HIDDEN", "Redact", "Redaction", "restore"]

    def result(self, value: Any) -> Any:
        """Return what may be shown of what a job returned: nothing, where a function decides."""
        return self.value(value) if self._shown is None else HIDDEN


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
