"""What of arguments, results and meta is not shown."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

Redact: TypeAlias = "Collection[str] | Callable[[str, dict[str, Any]], Mapping[str, Any]]"
"""Names, whose values are hidden wherever they stand; or a function of a job's name and its
arguments that returns what to show of them."""

HIDDEN = "[hidden]"
SECRETS = (
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "client_secret",
    "cookie",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "token",
)
"""Names that the log hides when nobody says which."""


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
            return dict(self._shown(job, deepcopy(args)))  # it may change what it is given
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

    def result(self, value: Any) -> Any:
        """Return what may be shown of what a job returned: nothing, where a function decides."""
        return self.value(value) if self._shown is None else HIDDEN
