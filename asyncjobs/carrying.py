"""What is carried from where a job is scheduled to where it runs: a request id, a tenant.

`JobManager` takes ``carry=["request_id", tenant]``: a name is a context variable of structlog
(`structlog.contextvars`), a `contextvars.ContextVar` is carried by its own name. In the job
they have the values that they had when `later` was called, so the log lines of a request and
of all that it caused can be found together, and a job schedules jobs that carry them on.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_CARRIED = 4_000
"""Bytes of all that one job carries."""


class Carrier:
    """Takes what is to be carried out of the present context, and puts it into another."""

    def __init__(self, carry: Sequence[str | ContextVar[Any]] = ()) -> None:
        if isinstance(carry, str | ContextVar) or not all(
            isinstance(each, str | ContextVar) for each in carry
        ):
            raise ConfigError(f"carry must be a list of names and ContextVars, got {carry!r}")
        self._names = [each for each in carry if isinstance(each, str)]
        self._variables = {each.name: each for each in carry if isinstance(each, ContextVar)}
        self.is_idle = not carry
        """Whether there is nothing to carry at all."""
        if len({*self._names, *self._variables}) < len(carry):
            raise ConfigError(f"carry must be different names, got {carry!r}")

    def collect(self) -> dict[str, Any] | None:
        """Return what the present context holds of it; None for nothing.

        Raises ConfigError for what JSON cannot hold, or more than `MAX_CARRIED` bytes.
        """
        found = {}
        if self._names:
            from structlog.contextvars import get_contextvars  # noqa: PLC0415 - as in `logs`

            present = get_contextvars()
            found = {name: present[name] for name in self._names if name in present}
        for name, variable in self._variables.items():
            value = variable.get(_ABSENT)
            if value is not _ABSENT:
                found[name] = value
        return _checked(found) if found else None

    def restore(self, carried: Mapping[str, Any]) -> None:
        """Put what was *carried* into the present context."""
        names = {name: carried[name] for name in self._names if name in carried}
        if names:
            from structlog.contextvars import bind_contextvars  # noqa: PLC0415 - as in `logs`

            bind_contextvars(**names)
        for name, variable in self._variables.items():
            if name in carried:
                variable.set(carried[name])


_ABSENT = object()


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(found, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"what is carried must be JSON, got {sorted(found)}: {error}") from None
    if size > MAX_CARRIED:
        raise ConfigError(f"a job carries at most {MAX_CARRIED} bytes, got {size}: {sorted(found)}")
    return found
