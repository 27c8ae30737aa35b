"""Arguments to JSON and back, by the parameters' own annotations.

Arguments are stored as one JSON object by parameter name, so that a row can be read in psql
and parameters can be reordered by a deploy. Storing is strict: what the annotation does not
say is refused by `later`, in the caller's own stack. Reading is lenient in pydantic's
sense, because JSON has fewer types than Python. Defaults are not stored: a job gets those of
the code that runs it.
"""

from __future__ import annotations

import inspect
import json
from contextlib import suppress
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NotRequired, cast, get_type_hints

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, from_json
from typing_extensions import TypedDict

from asyncjobs.errors import ArgumentError, ConfigError, StoredArgumentsError
from asyncjobs.explaining import explain, show_value, told_in
from asyncjobs.jsonb import keep_floats
from asyncjobs.sameness import differ, is_changed, is_rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from asyncjobs.types import Json

STRICT_JSON = ConfigDict(extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
PLAIN = ({"type": "int"}, {"type": "str"}, {"type": "bool"})
"""Schemas of what comes back from JSON and jsonb as it was, so that nobody has to look."""
SURE = 4_000
"""Characters of JSON in which no integer is too long to be read back."""


class ArgumentCodec:
    """Converts the arguments of one job."""

    def __init__(
        self, job: str, function: Callable[..., Any], injected: Container[str] = ()
    ) -> None:
        self.job = job
        self.signature = _without(inspect.signature(function), injected)
        self._function = function
        for parameter in self.signature.parameters.values():
            if parameter.kind not in NAMED:
                raise ConfigError(
                    f"job {job!r}: the parameter {parameter} cannot be stored by name; "
                    "give it a name and a list or dict as its type"
                )
        parameters = self.signature.parameters
        self._names = tuple(
            name
            for name, parameter in parameters.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        self._all = frozenset(parameters)
        self._needed = frozenset(
            name for name, parameter in parameters.items() if parameter.default is parameter.empty
        )

    def prepare(self) -> None:
        """Resolve the annotations now, unless a name in them is not defined yet.

        Raises ConfigError for an annotation that JSON cannot hold.
        """
        try:
            self._adapter  # noqa: B018 - built on first access
        except NameError:
            return  # defined below the job, or only for type checkers: `encode` will say so

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Json:
        """Return the arguments as a JSON object.

        Raises ArgumentError that names the argument.
        """
        bound = self._bind(args, kwargs)
        text: Json = ""
        try:
            # The adapter's core, without the options that nobody uses here: half the time.
            checked = self._validator.validate_python(bound, strict=True)
            text = self._serializer.to_json(checked, warnings=False).decode()
            if self._plain and len(text) <= SURE and "\\u0000" not in text:
                return text
            back = self._validator.validate_json(text)  # what a worker would fail at fails here
        except ValidationError as error:
            problem = explain(error, show=True)
            if text:
                problem = f"{self._name_unstorable(bound)} cannot be read back: {problem}"
            raise ArgumentError(self.job, problem, told_in(error)) from None
        except (PydanticSerializationError, UnicodeError, RecursionError) as error:
            problem = f"{self._name_unstorable(bound)} has no JSON: {error}"
            raise ArgumentError(self.job, problem) from None
        except NameError as error:
            raise ArgumentError(
                self.job, f"its annotations cannot be resolved at run time: {error}", ()
            ) from None
        if "\\u0000" in text or "NaN" in text or "Infinity" in text:
            self._refuse_outlaws(text)
        if differ(back, checked):
            self._refuse_changed(text, checked, back)
        if differ(checked, bound):
            self._refuse_rounded(bound, checked)
        return keep_floats(text)

    def encode_part(self, name: str, value: Any) -> Any:
        """Return what is stored of the argument *name*, as JSON has it. Raises ArgumentError."""
        try:
            text = self._serializer.to_json({name: value}, warnings=False).decode()
        except (PydanticSerializationError, UnicodeError, RecursionError) as error:
            raise ArgumentError(self.job, f"argument {name!r} has no JSON: {error}") from None
        return json.loads(text)[name]

    def decode(self, stored: Json) -> dict[str, Any]:
        """Return the arguments by name.

        Raises StoredArgumentsError if the function does not take them any more.
        """
        try:
            arguments: dict[str, Any] = self._validator.validate_json(stored)
        except ValidationError as error:
            raise StoredArgumentsError(self.job, explain(error, show=False)) from None
        except NameError as error:
            raise StoredArgumentsError(self.job, str(error)) from None
        return arguments

    @cached_property
    def stored_defaults(self) -> dict[str, Any]:
        """What would be stored of parameters that are given their defaults, as JSON has it.

        Without those whose default JSON cannot hold.
        """
        found: dict[str, Any] = {}
        for name, parameter in self.signature.parameters.items():
            if parameter.default is not parameter.empty:
                with suppress(PydanticSerializationError, UnicodeError, RecursionError):
                    text = self._adapter.dump_json({name: parameter.default}, warnings=False)
                    found |= json.loads(text)
        return found

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        bound = dict(zip(self._names, args))  # noqa: B905 - what is left over is seen below
        if not kwargs and len(args) == len(bound) == len(self._all):
            return bound
        bound.update(kwargs)
        each_once = len(bound) == len(args) + len(kwargs)
        if each_once and self._needed.issubset(bound) and self._all.issuperset(bound):
            return bound
        try:  # several times as long, but it says what is wrong
            return self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(self.job, str(error), ()) from None

    def _name_unstorable(self, bound: Mapping[str, Any]) -> str:
        for name, value in bound.items():
            try:
                from_json(self._adapter.dump_json({name: value}, warnings=False))
            except (PydanticSerializationError, ValueError, RecursionError):
                return f"argument {name!r}"
        return "an argument"

    def _refuse_rounded(self, bound: Mapping[str, Any], checked: dict[str, Any]) -> None:
        # Other changes are what the annotation's own validators want.
        for name, value in bound.items():
            if is_rounded(value, checked[name]):
                raise ArgumentError(
                    self.job,
                    f"argument {name!r} is not exact as a float: {show_value(value)}",
                    [name],
                )

    def _refuse_changed(self, text: str, checked: dict[str, Any], back: dict[str, Any]) -> None:
        again = self._validator.validate_json(text)
        for name, value in checked.items():
            if is_changed(value, back[name], again[name], is_loose=self._loose):
                hint = (
                    "with its real type instead of Any" if self._loose else "with a type that fits"
                )
                shown = show_value(back[name])
                raise ArgumentError(
                    self.job,
                    f"argument {name!r} comes back different from JSON, as {shown}; "
                    f"annotate the parameter {hint}",
                    [name],
                )

    def _refuse_outlaws(self, text: str) -> None:
        # PostgreSQL's jsonb knows neither; found here, so that the error names the job.
        def refuse(constant: str) -> None:
            raise ArgumentError(self.job, f"JSON has no {constant}", ())

        for name, value in json.loads(text, parse_constant=refuse).items():
            if "\0" in json.dumps(value, ensure_ascii=False).replace("\\u0000", "\0"):
                _refuse_null_characters(self.job, name, value)

    @cached_property
    def _validator(self) -> Any:
        return self._adapter.validator

    @cached_property
    def _serializer(self) -> Any:
        return self._adapter.serializer

    @cached_property
    def _adapter(self) -> TypeAdapter[dict[str, Any]]:
        hints = self._hints()
        fields = {}
        for name, parameter in self.signature.parameters.items():
            hint = hints.get(name, Any)
            hint = JsonValue if hint is Any else hint
            fields[name] = hint if parameter.default is parameter.empty else NotRequired[hint]
        try:
            return make_adapter(fields, f"job {self.job!r}: a parameter's type")
        except ConfigError:
            for name, hint in fields.items():  # the first that cannot be says its name
                make_adapter({name: hint}, f"job {self.job!r}: the type of parameter {name!r}")
            raise

    def _hints(self) -> dict[str, Any]:
        # Only of what is stored: the type of a dependency may be known to checkers only.
        function = inspect.unwrap(self._function)
        told = getattr(function, "__annotations__", {})
        stored = {name: told[name] for name in self.signature.parameters if name in told}
        return get_type_hints(
            SimpleNamespace(__annotations__=stored),
            globalns=getattr(function, "__globals__", {}),
            include_extras=True,
        )

    @cached_property
    def _plain(self) -> bool:
        schema = cast("Any", self._adapter.core_schema)
        if schema["type"] != "typed-dict":  # models that refer to each other stand apart
            return False
        return all(_is_plain(field["schema"]) for field in schema["fields"].values())

    @cached_property
    def _loose(self) -> bool:
        return mentions_any(self._adapter.core_schema)


def make_adapter(fields: dict[str, Any], owner: str) -> TypeAdapter[dict[str, Any]]:
    """Return what converts an object with *fields*. Raises ConfigError about *owner*."""
    kind = cast("Any", TypedDict)("fields", fields)
    kind.__pydantic_config__ = STRICT_JSON
    try:
        return TypeAdapter(kind)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        problem = str(error).split("\n", maxsplit=1)[0]
        raise ConfigError(f"{owner} has no JSON: {problem}") from error


def _without(signature: inspect.Signature, injected: Container[str]) -> inspect.Signature:
    # What is injected is not stored; what comes after it can be given by name only.
    kept: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name not in injected:
            is_behind = len(kept) < list(signature.parameters).index(parameter.name)
            by_name = is_behind and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            kept.append(parameter.replace(kind=parameter.KEYWORD_ONLY) if by_name else parameter)
    return signature.replace(parameters=kept)


def _refuse_null_characters(job: str, name: str, value: Any) -> None:
    if isinstance(value, str) and "\0" in value:
        problem = f"argument {name!r}: PostgreSQL stores no null character"
        raise ArgumentError(job, problem, ())
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for part in value:
            _refuse_null_characters(job, name, part)


def _is_plain(schema: dict[str, Any]) -> bool:
    # Without constraints, or validators of the user's.
    inner = schema["schema"] if schema.keys() == {"type", "schema"} else schema
    return inner in PLAIN and schema["type"] in ("nullable", inner["type"])


def mentions_any(schema: object) -> bool:
    """Return whether pydantic's *schema* takes anything anywhere."""
    if isinstance(schema, dict):
        if schema.get("type") == "any":
            return True
        return any(mentions_any(part) for key, part in schema.items() if key != "metadata")
    return isinstance(schema, list | tuple) and any(mentions_any(part) for part in schema)
