"""What limits jobs, and what is paused."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


ALL_LANES = "*"
"""In place of the names of lanes: every lane where jobs wait."""


class Limit(NamedTuple):
    """How many jobs of one name, or of one queue, may run or start at once."""

    name: str
    """`job:…`, which holds for each key of that job, or `queue:…`."""
    concurrency: int | None = None
    """How many are let in at once; None for any number."""
    burst: int | None = None
    """How many may start at once; None, with *gap*, if there is no rate."""
    gap: float | None = None
    """Seconds until one more may start."""


class KnownLimit(NamedTuple):
    """A limit as it is stored."""

    limit: Limit
    changed_at: datetime


class Admission(NamedTuple):
    """What lanes let in, and when to look again."""

    jobs: int
    """How many became available."""
    queues: tuple[str, ...] = ()
    """Their queues."""
    again: tuple[str, ...] = ()
    """Lanes to look at again at once."""
    later: Mapping[str, float] = MappingProxyType({})
    """Lanes to look at again after so many seconds, when their rate allows another start."""


class NewLane(NamedTuple):
    """The lane of its own that a stored job gets in place of the one it has."""

    name: str | None
    """None: it has none any more."""
    is_strict: bool = False
    """The job holds it while it waits for a retry."""


class Pause(NamedTuple):
    """Something that is paused."""

    kind: Literal["queue", "job", "key"]
    name: str
    since: datetime

    @property
    def lane(self) -> str:
        """The name of its lane."""
        return f"{self.kind}:{self.name}"


def as_pause(lane: str, since: datetime) -> Pause:
    """Return the pause of *lane*."""
    kind, _, name = lane.partition(":")
    return Pause(cast("Literal['queue', 'job', 'key']", kind), name, since)
