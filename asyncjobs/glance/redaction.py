"""What of arguments, results and meta is not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

Redact: TypeAlias = "Collection[str] | Callable[[str, dict[str, Any]], Mapping[str, Any]]"
"""Names, whose values are hidden wherever they stand; or a function of a job's name and its
arguments that returns what to show of them."""

HIDDEN = "[hidden]"


class Redaction:
    """Hides what *redact* says. Raises ConfigError for a single name that is not in a list."""

    def __init__(self, redact: Redact) -> None:
        if isinstance(redact, str):
            raise ConfigError(f"redact must be a list of names or a function, got {redact!r}")
        self._shown = redact if callable(redact) else None
        self._names = frozenset() if callable(redact) else {name.lower() for name in redact}

    def hides(self, name: str) -> bool:
        """Return whether nothing may be asked by the value of the argument *name*."""
        return self._shown is not None or name.lower() in self._names

    def arguments(self, job: str, args: dict[str, Any]) -> dict[str, Any]:
        """Return what may be shown of *args*."""
        if self._shown is not None:
            return dict(self._shown(job, args))
        shown: dict[str, Any] = self.value(args)
        return shown

    def value(self, value: Any) -> Any:
        """Return what may be shown of JSON that is no job's arguments."""
        if isinstance(value, dict):
            return {
                name: HIDDEN if name.lower() in self._names else self.value(inner)
                for name, inner in value.items()
            }
        return [self.value(inner) for inner in value] if isinstance(value, list) else value


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
