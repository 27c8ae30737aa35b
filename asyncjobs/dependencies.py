"""Dependencies of jobs, as FastAPI's users know them.

``async def job(user_id: int, db: Database = Depends(get_db))`` is scheduled as
``later(job(7))``; *db* is made when the attempt runs. `Depends` is FastAPI's or fast-depends';
both mean the same here: a function or a class, ``async`` or not, that returns or yields; one
result for all who depend on it within an attempt unless ``use_cache=False``; what stands
behind a ``yield`` runs after the job. What is no coroutine runs in a thread, as in FastAPI. A
dependency may itself depend on others, and may name arguments of the job as parameters.

The resolving is done by the library fast-depends, without its conversions.
"""

from __future__ import annotations

import functools
import inspect
import types
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack

MARKERS = {("fastapi.params", "Depends"), ("fast_depends.dependencies.model", "Dependant")}
HINT = "install the extra `asyncjobs-pg[depends]`"


def injected_names(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the parameters of *function* that are dependencies."""
    parameters = inspect.signature(function).parameters.values()
    names = {parameter.name for parameter in parameters if _is_marker(parameter.default)}
    return frozenset(names | _annotated_names(function))


class Dependencies:
    """The dependencies of one job. Raises ConfigError for what can never be resolved."""

    def __init__(self, job: str, function: Callable[..., Any], names: frozenset[str]) -> None:
        self._job, self._function, self._names = job, function, names
        self._given = {name for name in _parameters(function) if name not in names}
        self._check(function, set())
        self._model = self._build({})
        self.overrides: Mapping[Callable[..., Any], Callable[..., Any]] = {}
        """What stands in for dependencies, in tests."""

    async def resolve(self, arguments: Mapping[str, Any], stack: AsyncExitStack) -> dict[str, Any]:
        """Return the dependencies by name; what they hold open is closed with *stack*."""
        model = self._build(self.overrides) if self.overrides else self._model
        found: dict[str, Any] = await model.asolve(
            stack=stack, cache_dependencies={}, nested=False, **arguments
        )
        return found

    def _build(self, overrides: Mapping[Callable[..., Any], Callable[..., Any]]) -> Any:
        try:
            from fast_depends.core import build_call_model  # noqa: PLC0415 - an extra
            from fast_depends.dependencies import Provider  # noqa: PLC0415
        except ImportError:
            raise ConfigError(f"job {self._job!r} has dependencies: {HINT}") from None

        async def resolved(**values: Any) -> dict[str, Any]:
            return {name: values[name] for name in self._names}

        translate = _Translator(overrides)
        resolved.__signature__ = translate.signature(  # type: ignore[attr-defined]
            self._function, keyword_only=True
        )
        return build_call_model(resolved, dependency_provider=Provider(), serializer_cls=None)

    def _check(self, function: Callable[..., Any], above: set[Any]) -> None:
        # What a request would give to FastAPI, nobody gives here.
        for name, parameter in _parameters(function).items():
            dependency = _dependency(parameter)
            if dependency is not None:
                if dependency in above:
                    raise ConfigError(f"job {self._job!r}: {dependency!r} depends on itself")
                self._check(dependency, {*above, dependency})
            elif above and parameter.default is parameter.empty and name not in self._given:
                needs = getattr(function, "__qualname__", repr(function))
                raise ConfigError(
                    f"job {self._job!r}: the dependency {needs} needs {name!r}, which is neither "
                    "a dependency nor an argument of the job"
                )


class _Translator:
    """Makes functions whose markers are those of fast-depends; the same for the same."""

    def __init__(self, overrides: Mapping[Callable[..., Any], Callable[..., Any]]) -> None:
        self._overrides = overrides
        self._made: dict[Any, Any] = {}

    def signature(
        self, function: Callable[..., Any], *, keyword_only: bool = False
    ) -> inspect.Signature:
        parameters = []
        for parameter in _parameters(function).values():
            dependency, default = _dependency(parameter), parameter.default
            if dependency is not None:
                default = self._dependant(dependency, _marker(parameter))
            kind = parameter.KEYWORD_ONLY if keyword_only else parameter.kind
            parameters.append(parameter.replace(default=default, annotation=Any, kind=kind))
        return inspect.Signature(parameters)

    def _dependant(self, dependency: Callable[..., Any], marker: Any) -> Any:
        from fast_depends.dependencies import Dependant  # noqa: PLC0415 - an extra

        actual = self._overrides.get(dependency, dependency)
        if actual not in self._made:
            self._made[actual] = _copied(actual, self.signature(actual))
        return Dependant(
            self._made[actual],
            use_cache=getattr(marker, "use_cache", True),
            cast=False,
            cast_result=False,
        )


def _copied(function: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    # Of the same kind, generator or coroutine, and with a signature of its own.
    copy: Any
    if isinstance(function, types.FunctionType):
        copy = types.FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__dict__.update(function.__dict__)
        copy.__dict__.pop("__wrapped__", None)
    else:
        copy = _forwarding(function)
    copy.__signature__ = signature
    return copy  # type: ignore[no-any-return]


def _forwarding(function: Callable[..., Any]) -> Callable[..., Any]:
    # For bound methods, classes and objects that can be called.
    is_class = inspect.isclass(function)
    target: Any = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004
    if not is_class and inspect.isasyncgenfunction(target):
        opened = asynccontextmanager(target)

        async def streaming(**values: Any) -> Any:
            async with opened(**values) as value:
                yield value

        return streaming
    if not is_class and inspect.iscoroutinefunction(target):

        async def awaiting(**values: Any) -> Any:
            return await target(**values)

        return awaiting
    if not is_class and inspect.isgeneratorfunction(target):
        entered = contextmanager(target)

        def generating(**values: Any) -> Any:
            with entered(**values) as value:
                yield value

        return generating

    def calling(**values: Any) -> Any:
        return function(**values)

    return calling


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    # With annotations resolved where they can be: a marker may stand in Annotated.
    try:
        hints = get_type_hints(
            function.__init__ if inspect.isclass(function) else function, include_extras=True
        )
    except (NameError, TypeError):
        hints = {}
    return {
        name: parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _annotated_names(function: Callable[..., Any]) -> set[str]:
    return {name for name, parameter in _parameters(function).items() if _marker(parameter)}


def _marker(parameter: inspect.Parameter) -> Any:
    if _is_marker(parameter.default):
        return parameter.default
    if get_origin(parameter.annotation) is Annotated:
        _, *extras = get_args(parameter.annotation)
        return next((extra for extra in extras if _is_marker(extra)), None)
    return None


def _dependency(parameter: inspect.Parameter) -> Callable[..., Any] | None:
    marker = _marker(parameter)
    if marker is None:
        return None
    dependency: Callable[..., Any] | None = marker.dependency
    if dependency is None and get_origin(parameter.annotation) is Annotated:
        return get_args(parameter.annotation)[0]  # type: ignore[no-any-return]
    # Depends() without a function means the annotation, as in FastAPI.
    return parameter.annotation if dependency is None else dependency


@functools.cache
def _is_marker_class(kind: Any) -> bool:
    return any((each.__module__, each.__name__) in MARKERS for each in kind.__mro__)


def _is_marker(value: object) -> bool:
    kind: Any = type(value)
    return bool(_is_marker_class(kind))
