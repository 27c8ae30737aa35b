"""Classes whose options may be said elsewhere than in the code."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from asyncjobs.errors import ConfigError
from asyncjobs.settings.resolving import CODE, Resolved, resolve_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncjobs.settings.catalogue import Owner

T = TypeVar("T")


class Configured:
    """What knows where its options came from."""

    __slots__ = ("_resolved",)

    @property
    def resolved(self) -> Mapping[str, Resolved]:
        """What was said of the options of which anybody said anything, by name."""
        found: Mapping[str, Resolved] = getattr(self, "_resolved", {})
        return found


def configured(
    owner: Owner, *, unless: Mapping[str, str] | None = None
) -> Callable[[type[T]], type[T]]:
    """Make the options that the code leaves out of a class come from the other places.

    The class is a `Configured`. An option of *unless* is left alone when the code gives the
    other one. Errors about an option that was not given by the code say by whom it was.
    """
    apart = unless or {}

    def decorate(cls: type[T]) -> type[T]:
        init = cls.__init__
        signature = inspect.signature(init)

        @functools.wraps(init)
        def filling_init(self: Any, *args: Any, **options: Any) -> None:
            bound = signature.bind(self, *args, **options).arguments
            given = {name: value for name, value in bound.items() if name != "self"}
            group = given["name"] if isinstance(given.get("name"), str) else None
            resolved = {
                name: each
                for name, each in resolve_all(owner, given, group=group).items()
                if given.get(apart.get(name, "")) is None and name in signature.parameters
            }
            filled = {name: each.value for name, each in resolved.items()}
            try:
                init(self, **{**given, **filled})
            except ConfigError as error:
                raise _explained(error, resolved) from None
            object.__setattr__(self, "_resolved", resolved)

        cls.__init__ = filling_init  # type: ignore[method-assign] # the signature stays the same
        return cls

    return decorate


def _explained(error: ConfigError, resolved: Mapping[str, Resolved]) -> ConfigError:
    # Messages begin with the option that they are about.
    about = resolved.get(str(error).partition(" ")[0])
    if about is None or about.origin == CODE or type(error) is not ConfigError:
        return error
    return ConfigError(f"{error} (from {about.origin})")
