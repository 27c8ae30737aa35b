"""What of arguments, results and meta is not shown, or cannot be."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

Redact: TypeAlias = "Collection[str] | Callable[[str, dict[str, Any]], Mapping[str, Any]]"
"""Names, whose values are hidden wherever they stand; or a function of a job's name and its
arguments that returns what to show of them."""

HIDDEN = "[hidden]"
MOST_NESTED = 200
"""Lists and objects in each other that are shown. Calls of `later` have hardly more."""
TOO_DEEP = f"[nested more than {MOST_NESTED} deep]"
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
            try:
                return dict(self._shown(job, deepcopy(args)))  # it may change what it is given
            except Exception as error:  # noqa: BLE001 - at arguments that it was not made for
                return {"args": f"[hidden: redact raised {type(error).__qualname__}]"}
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


def readable(text: str) -> Any:
    """Return JSON that anybody may have stored, as far as it can be shown.

    In place of an integer that has more digits than Python reads, and of what is nested deeper
    than `MOST_NESTED`, there is a text in brackets that says so.
    """
    try:
        try:
            found = json.loads(text)
        except ValueError:
            found = json.loads(text, parse_int=_read_integer)
        return _cut(found, MOST_NESTED)
    except RecursionError:
        return TOO_DEEP


def _read_integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return f"[an integer of {len(digits.lstrip('-'))} digits]"


def _cut(value: Any, most: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if not most:
        return TOO_DEEP
    if isinstance(value, list):
        return [_cut(inner, most - 1) for inner in value]
    return {name: _cut(inner, most - 1) for name, inner in value.items()}
