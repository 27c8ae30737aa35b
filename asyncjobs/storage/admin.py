"""What people and their tools ask of a storage: to find jobs, and to act on many of them.

An action takes the jobs that fit its filter, and whose state allows it, in batches: each batch
is taken or not as a whole, and jobs that are stored meanwhile are not met. *on_batch* is told
after each of how many jobs the action came in time, so far.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from asyncjobs.config import MAX_PRIORITY
from asyncjobs.errors import ConfigError
from asyncjobs.filters import MAX_ID
from asyncjobs.storable import is_storable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.filters import JobFilter
    from asyncjobs.types import JobRecord, Json, NewLane

MAX_PAGE = 1_000
COUNTED = 10_000
"""Up to how many jobs are counted one by one."""
INFINITIES = (datetime.min, datetime.max)
"""What PostgreSQL's infinite moments are here: the only ones without a zone."""
SHOWN = 100
"""Characters of a wrong place that its error shows."""

OnBatch: TypeAlias = "Callable[[int], None]"


def ignore(count: int) -> None:
    """Be told of a batch, and do nothing."""


class Page(NamedTuple):
    """Some of the jobs that fit a filter."""

    jobs: Sequence[JobRecord]
    after: str | None
    """What to ask the next page with; None if there is none."""
    is_cut_short: bool = False
    """So much was looked at that the page ends before it is full. The next one goes on."""


class Count(NamedTuple):
    """How many jobs fit a filter."""

    jobs: int
    is_exact: bool


class Retried(NamedTuple):
    """What became of jobs that were to run again."""

    jobs: int
    """How many will."""
    held_by: int | None = None
    """A job whose unique key one of the others has: that one was left as it is."""


class AdminStorage(Protocol):
    """The `admin` of a storage. Raises StorageUnavailableError for what takes too long."""

    async def find(self, where: JobFilter, *, after: str | None = None, limit: int = 100) -> Page:
        """Return up to *limit* jobs that fit.

        The available ones alone come in the order in which each queue runs them, the scheduled
        ones alone in that of their time, and all others newest first. *after* is what the page
        before says. Raises ConfigError for another one.
        """
        ...

    async def count(self, where: JobFilter, *, most: int = COUNTED) -> Count:
        """Return how many jobs fit: exactly up to *most*, and otherwise about."""
        ...

    async def cancel(self, where: JobFilter, *, interrupt: bool, on_batch: OnBatch = ignore) -> int:
        """Cancel the jobs that fit, as `Storage.cancel` does, and return how many."""
        ...

    async def retry(
        self,
        where: JobFilter,
        *,
        args: Json | None = None,
        unique_key: str | None = None,
        lane: NewLane | None = None,
        on_batch: OnBatch = ignore,
    ) -> Retried:
        """Make the jobs that fit available now, unless they are or they run.

        One that had ended begins anew: its attempts so far do not count, its errors are kept.
        With *args* it gets these, and *unique_key* and *lane* if those are given, even if it is
        available. One that was let in, or waits to be, has to be let in by another lane anew.
        """
        ...

    async def reschedule(
        self,
        where: JobFilter,
        *,
        wait: float | None = None,
        wait_until: datetime | None = None,
        on_batch: OnBatch = ignore,
    ) -> int:
        """Set the time of the waiting jobs that fit, and return how many."""
        ...

    async def delete(self, where: JobFilter, *, on_batch: OnBatch = ignore) -> int:
        """Remove the jobs that fit and do not run, and return how many."""
        ...


def cursor_after(place: Sequence[Any]) -> str:
    """Return what a page says of its last job, which has this *place* in the list."""
    return json.dumps(place, default=lambda moment: moment.isoformat())


def read_cursor(after: str | None, *kinds: Callable[[Any], Any]) -> list[Any] | None:
    """Return the place that `cursor_after` told, each part made by its kind.

    Kinds are `whole`, `small`, `text` and `moment`. Raises ConfigError for what it did not
    tell, as that of a list in another order.
    """
    if after is None:
        return None
    try:
        parts = json.loads(after)
        return [kind(part) for kind, part in zip(kinds, parts, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError):
        shown = repr(after[:SHOWN]) + ("…" if len(after) > SHOWN else "")
        raise ConfigError(f"after must be what the page before said, got {shown}") from None


def whole(part: Any) -> int:
    """Return a part of a place that is an id or a position."""
    return _between(part, MAX_ID)


def small(part: Any) -> int:
    """Return a part of a place that is a priority."""
    return _between(part, MAX_PRIORITY)


def text(part: Any) -> str:
    """Return a part of a place that is a name."""
    if not is_storable(part):
        raise ValueError(part)
    return part


def moment(part: Any) -> datetime:
    """Return a part of a place that is a moment, of those that UTC has too."""
    found = datetime.fromisoformat(part)
    if found in INFINITIES:
        return found
    if found.tzinfo is None:
        raise ValueError(part)
    return found.astimezone(UTC)


def _between(part: Any, most: int) -> int:
    if type(part) is not int or not -most - 1 <= part <= most:
        raise ValueError(part)
    return part
