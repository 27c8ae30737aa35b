"""What ``@jobs.job(…)`` makes of a function, for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from asyncjobs.job import AsyncJob, ThreadJob

P = ParamSpec("P")
R = TypeVar("R")


class JobDecorator(Protocol):
    """Makes a job of a function: of an ``async def``, or of a ``def`` that runs in a thread."""

    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits counts
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncJob[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> ThreadJob[P, R]: ...
