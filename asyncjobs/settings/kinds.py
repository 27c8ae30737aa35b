"""What a setting's value may be, as text of the environment and as a value of TOML."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NONE = "none"

Read: TypeAlias = "Callable[[str], Any]"
"""Makes a value of text. Raises ValueError."""
Takes: TypeAlias = "Callable[[Any], bool]"
"""Whether a value of TOML is one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value."""

    what: str
    """What it must be, in words: "a whole number"."""
    read: Read
    takes: Takes
    optional: bool = False
    """Whether ``none`` is a value too."""

    def from_text(self, name: str, text: str, *, is_secret: bool = False) -> Any:
        """Return what *text* says. Raises ConfigError, which does not show a secret."""
        if self.optional and text.strip().lower() == NONE:
            return None
        try:
            return self.read(text.strip())
        except ValueError:
            raise self._refusal(name, "another text" if is_secret else repr(text)) from None

    def from_toml(self, name: str, value: Any, *, is_secret: bool = False) -> Any:
        """Return *value* if it is one. Raises ConfigError, which does not show a secret."""
        if self.optional and value == NONE:
            return None
        if not self.takes(value):
            raise self._refusal(name, "another value" if is_secret else repr(value))
        return value

    def _refusal(self, name: str, got: str) -> ConfigError:
        none = f' or "{NONE}"' if self.optional else ""
        return ConfigError(f"{name} must be {self.what}{none}, got {got}")


def _flag(text: str) -> bool:
    if text.lower() in TRUE + FALSE:
        return text.lower() in TRUE
    raise ValueError


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _names(text: str) -> str | list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError
    return names if len(names) > 1 else names[0]


def _table(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are_names(value: Any) -> bool:
    is_list = isinstance(value, list) and bool(value) and all(_is_text(name) for name in value)
    return is_list or _is_text(value)


def one_of(words: Sequence[str]) -> Kind:
    """Return the kind that is one of *words*."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return Kind(f"one of {', '.join(words)}", read, lambda value: value in words)


WHOLE = Kind(
    "a whole number", int, lambda value: isinstance(value, int) and not isinstance(value, bool)
)
NUMBER = Kind("a number", float, _is_number)
FLAG = Kind("true or false", _flag, lambda value: isinstance(value, bool))
TEXT = Kind("text", _text, _is_text)
NAMES = Kind("a name, or several with commas", _names, _are_names)
TABLE = Kind("a JSON object", _table, lambda value: isinstance(value, dict))
LOG_WORDS = ("auto", "all", "failures")
LOG_JOBS = Kind(
    f"one of {', '.join(LOG_WORDS)}, or a number",
    lambda text: text if text in LOG_WORDS else float(text),
    lambda value: value in LOG_WORDS or _is_number(value),
)
OPTIONAL_WHOLE = Kind(WHOLE.what, WHOLE.read, WHOLE.takes, optional=True)
OPTIONAL_NUMBER = Kind(NUMBER.what, NUMBER.read, NUMBER.takes, optional=True)
