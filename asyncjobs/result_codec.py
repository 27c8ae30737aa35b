"""Results to JSON and back, by the job's return annotation.

As strict as the codec of arguments, and for the same reason: what comes out of `result()` is
what the job returned, or the attempt says that it cannot be.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import JsonValue, ValidationError
from pydantic_core import PydanticSerializationError

from asyncjobs.codec import make_adapter, mentions_any
from asyncjobs.errors import ResultError, StoredResultError
from asyncjobs.explaining import explain, shorten
from asyncjobs.sameness import differ, is_changed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from asyncjobs.types import Json

BEGIN, END = '{"result":', "}"
"""A result is converted inside an object, because only there pydantic takes our settings."""


class ResultCodec:
    """Converts what one job returns."""

    def __init__(self, job: str, function: Callable[..., Any]) -> None:
        self.job, self._function = job, function

    def prepare(self) -> None:
        """Resolve the annotation now, unless a name in it is not defined yet.

        Raises ConfigError for a type that JSON cannot hold.
        """
        try:
            self._adapter  # noqa: B018 - built on first access
        except NameError:
            return  # defined below the job, or only for type checkers: `encode` will say so

    def encode(self, value: Any, most: int) -> Json:
        """Return *value* as JSON of at most *most* bytes. Raises ResultError."""
        try:
            checked = self._adapter.validator.validate_python({"result": value}, strict=True)
            text = self._adapter.serializer.to_json(checked, warnings=False)
            if len(text) - len(BEGIN) - len(END) <= most:
                self._check(text.decode(), checked)
        except ValidationError as error:
            raise ResultError(self.job, explain(error, show=True, named=False)) from None
        except (PydanticSerializationError, UnicodeError, RecursionError) as error:
            raise ResultError(self.job, f"it has no JSON: {error}") from None
        except NameError as error:
            problem = f"its annotation cannot be resolved at run time: {error}"
            raise ResultError(self.job, problem) from None
        size = len(text) - len(BEGIN) - len(END)
        if size > most:
            raise ResultError(
                self.job,
                f"it has {size} bytes of JSON, more than the max_result of {most}; store it "
                "elsewhere, and return where",
            )
        return str(text.decode()[len(BEGIN) : -len(END)])

    def decode(self, stored: Json) -> Any:
        """Return the result. Raises StoredResultError if it does not fit the annotation now."""
        try:
            found = self._adapter.validator.validate_json(f"{BEGIN}{stored}{END}")
        except ValidationError as error:
            problem = explain(error, show=False, named=False)
            raise StoredResultError(self.job, problem) from None
        except NameError as error:
            raise StoredResultError(self.job, str(error)) from None
        return found["result"]

    def _check(self, text: str, checked: Any) -> None:
        # What `result()` would fail at, or PostgreSQL's jsonb, fails here.
        back = self._adapter.validator.validate_json(text)
        if "\\u0000" in text or "NaN" in text or "Infinity" in text:
            self._refuse_outlaws(text)
        if differ(back, checked):
            again = self._adapter.validator.validate_json(text)
            if is_changed(checked, back, again, is_loose=self._loose):
                hint = "its real type instead of Any" if self._loose else "a type that fits"
                raise ResultError(
                    self.job,
                    f"it comes back different from JSON; annotate what the job returns with {hint} "
                    f"(stored: {shorten(text[len(BEGIN) : -len(END)])})",
                )

    def _refuse_outlaws(self, text: str) -> None:
        def refuse(constant: str) -> None:
            raise ResultError(self.job, f"JSON has no {constant}")

        if "\0" in _all_text(json.loads(text, parse_constant=refuse)):
            raise ResultError(self.job, "PostgreSQL stores no null character")

    @cached_property
    def _adapter(self) -> TypeAdapter[dict[str, Any]]:
        hint = get_type_hints(self._function, include_extras=True).get("return", Any)
        fields = {"result": JsonValue if hint is Any else hint}
        return make_adapter(fields, f"job {self.job!r}: what it returns")

    @cached_property
    def _loose(self) -> bool:
        return mentions_any(self._adapter.core_schema)


def _all_text(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_all_text(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return "".join(map(_all_text, value))
    return value if isinstance(value, str) else ""
