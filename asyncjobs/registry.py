"""The jobs of one manager, by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from asyncjobs.carrying import Carrier
from asyncjobs.errors import DuplicateJobError, UnknownJobError
from asyncjobs.hooks import Hooks
from asyncjobs.redaction import SECRETS, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextvars import ContextVar

    from asyncjobs.job import Job
    from asyncjobs.redaction import Redact


class JobRegistry:
    """Holds the jobs of one manager, and what all of them share.

    Two managers never see each other's.
    """

    def __init__(
        self, carry: Sequence[str | ContextVar[Any]] = (), redact: Redact | None = None
    ) -> None:
        self._jobs: dict[str, Job[..., Any]] = {}
        self.hooks = Hooks()
        self.carrier = Carrier(carry)
        self.redaction = Redaction(SECRETS if redact is None else redact)
        """What of arguments the log does not show."""
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        """Dependencies to be replaced, for tests."""

    def add(self, job: Job[..., Any]) -> None:
        """Register *job*.

        A module that is imported again replaces its own jobs. Raises DuplicateJobError if
        another function has the name.
        """
        known = self._jobs.get(job.name)
        if known is not None and not _same_source(known, job):
            raise DuplicateJobError(job.name, known.location, job.location)
        self._jobs[job.name] = job
        if job.dependencies is not None:
            job.dependencies.overrides = self.dependency_overrides

    def get(self, name: str) -> Job[..., Any] | None:
        """Return the job named *name*, or None."""
        return self._jobs.get(name)

    def __getitem__(self, name: str) -> Job[..., Any]:
        """Return the job named *name*. Raises UnknownJobError."""
        try:
            return self._jobs[name]
        except KeyError:
            raise UnknownJobError(name, self._jobs) from None

    def __iter__(self) -> Iterator[Job[..., Any]]:
        """Go through the jobs in the order of their definition."""
        return iter(self._jobs.values())

    def __contains__(self, name: object) -> bool:
        return name in self._jobs

    def __len__(self) -> int:
        return len(self._jobs)


def _same_source(one: Job[..., Any], other: Job[..., Any]) -> bool:
    # Unwrapped: all functions with the same decorator have the code of its wrapper.
    codes = [getattr(inspect.unwrap(job.function), "__code__", None) for job in (one, other)]
    if None in codes:
        return one.function is other.function
    first, second = [(code.co_filename, code.co_firstlineno) for code in codes if code]
    return first == second
