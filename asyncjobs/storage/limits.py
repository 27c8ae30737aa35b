"""What a storage adapter does about limits and pauses; `Storage.limits` has it.

A limited job waits, in the state `waiting`, in the line of a lane: `key:…` for one key of a
job, `job:…` for all jobs of a name, `queue:…` for a queue. `admit` lets the first of the line
in, as many as the limit allows; then they are available, or go on to the line of their queue.
A job holds its own lane until its attempt has ended, and that of its queue likewise.

The rules of `asyncjobs.storage.protocol` hold here too. Every call may be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.types import Admission, KnownLimit, Limit, Pause


class LimitStorage(Protocol):
    """Lanes, their limits, and what is paused. See the module."""

    async def declare(self, limits: Sequence[Limit]) -> None:
        """Say what code says that holds from now on, for the jobs that wait already too.

        A limit of a name that was declared before replaces it. One that is declared as it was
        before somebody `change`d it changes nothing: what they said holds on. A lane without one
        lets everything in. Raises KeyInDoubtError.
        """
        ...

    async def change(self, limit: Limit) -> None:
        """Say what holds until another limit of this name is declared. Raises KeyInDoubtError."""
        ...

    async def known(self, limit: int = 1_000) -> list[KnownLimit]:
        """Return up to *limit* of the limits that hold, by name."""
        ...

    async def admit(self, lanes: Sequence[str], most: int) -> Admission:
        """Let the first jobs of *lanes* in, up to *most* of each, and wake workers.

        Never more than the limit of the line's first job allows, however many call this at
        once. Nobody is let in before who stands before him: by priority, then by id.
        """
        ...

    async def waiting(self, after: str, limit: int) -> list[str]:
        """Return up to *limit* lanes in which jobs wait, by name, behind the name *after*."""
        ...

    async def forget(self, unused: float) -> list[str]:
        """Forget some lanes that nobody used for *unused* seconds and return their names."""
        ...

    async def pause(self, lane: str) -> bool:
        """Pause a lane and return whether it was not paused before.

        A lane that is paused lets nobody in. Those that were let in by a `key:…`, and all of
        a `job:…`, go back to the line if they do not run yet, and let go of what they held.
        Of a queue nothing but the fact is noted: workers do not claim from it.
        """
        ...

    async def resume(self, lane: str) -> bool:
        """End a pause, wake workers, and return whether there was one."""
        ...

    async def pauses(self) -> list[Pause]:
        """Return what is paused, by name."""
        ...

    async def park(self, worker: int, jobs: Sequence[tuple[int, int, str]]) -> list[int]:
        """Put jobs that *worker* has just claimed, by id and attempt, into the line of a lane.

        Returns the ids of those that it held at that attempt. The attempt is not counted.
        """
        ...
