"""What a storage does to stay tidy, and who does it: the attribute `maintenance` of an adapter.

There is no leader. A task is a row that a worker takes when it is due, in one step, so that no
two do the same at once. A worker that dies is removed from the storage once its lease has run
out, and what it had begun is then due for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

AilmentKind: TypeAlias = Literal["bloated index", "broken index", "dead rows"]


class MaintenanceTask(NamedTuple):
    """One task, and what came of it when it was done last."""

    task: str
    due_at: datetime
    worker: str | None = None
    """The name of the worker that does it now."""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    """None: it was not done yet."""
    seconds: float | None = None
    """How long that took."""
    done: int = 0
    """How many rows were removed, or things mended, by that."""
    done_in_all: int = 0
    report: str | None = None
    """What was seen that somebody should know."""
    problem: str | None = None
    """Why it could not be done."""


class Ailment(NamedTuple):
    """Something of ours that needs more room or time than it should."""

    kind: AilmentKind
    name: str
    """Of the index or the table."""
    what: str
    """In words."""
    remedy: str
    """The SQL that mends it."""


class MaintenanceStorage(Protocol):
    """Tasks, and what some of them do."""

    async def declare(self, tasks: Sequence[str]) -> None:
        """Note that there are *tasks*. New ones are due at once."""
        ...

    async def begin(self, worker: int, tasks: Sequence[str]) -> str | None:
        """Give *worker*, a registration, one of *tasks* that is due; None if there is none.

        Nobody else gets it until `end` is called, or *worker* is not registered any more.
        """
        ...

    async def end(
        self,
        worker: int,
        task: str,
        *,
        every: float,
        done: int = 0,
        report: str | None = None,
        problem: str | None = None,
    ) -> bool:
        """Record what came of *task*, which is due again in *every* seconds.

        False if it is not *worker*'s any more.
        """
        ...

    async def tasks(self) -> list[MaintenanceTask]:
        """Return all tasks, by name."""
        ...

    async def prune_keys(self, limit: int) -> int:
        """Remove up to *limit* keys of unique jobs whose period is over; return how many."""
        ...

    async def ailments(self) -> list[Ailment]:
        """Return what should be mended."""
        ...

    async def mend(self, ailment: Ailment) -> None:
        """Mend it, beside the work that goes on. Raises StorageError."""
        ...
