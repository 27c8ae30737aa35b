"""What stays of an attempt beyond its outcome: a result, the last progress, word to watchers.

Jobs that ask for none of it never come here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.types import Kept, told_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncjobs.types import ClaimedJob, Json, Outcome
    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.progress import ProgressWriter


class Keeper:
    """Completes the outcomes of the worker named *worker*. *max_result* is in bytes."""

    def __init__(self, progress: ProgressWriter, *, worker: str, max_result: int) -> None:
        self.progress, self.worker, self._max_result = progress, worker, max_result
        self._watched: set[int] = set()

    @property
    def has_notes(self) -> bool:
        """Whether anything is known here of a job that its row did not say when claimed."""
        return bool(self._watched or self.progress.pending)

    def watch(self, ids: Iterable[int], held: set[int]) -> None:
        """Note that somebody waits for *ids*, as far as this worker *held* them."""
        self._watched = held.intersection(self._watched.union(ids))

    def begin(self, row: ClaimedJob) -> None:
        """Tell those who watch that a job has begun."""
        if "watched" in _asked(row):
            self.progress.begin(row.id, row.attempt)

    def encoded(self, attempt: Attempt, value: Any) -> Json | None:
        """Return what an attempt returned as it is stored; None if it is not to be kept.

        Raises ResultError.
        """
        if "retain" not in _asked(attempt.row):
            return None
        return attempt.job.returns.encode(value, self._max_result)

    def complete(self, outcome: Outcome, row: ClaimedJob, result: Json | None) -> None:
        """Say in *outcome* what stays of the attempt, which has ended."""
        self._say(outcome, row, result, self.progress.take(row.id, row.attempt))
        self._watched.discard(row.id)

    def propose(self, outcome: Outcome, row: ClaimedJob) -> None:
        """Say the same in a success that may still be undone. Its result is not known yet."""
        if row.extra is not None or self.has_notes:
            self._say(outcome, row, None, self.progress.look(row.id, row.attempt))

    def forget(self, row: ClaimedJob) -> None:
        """Drop what is noted of an attempt whose success was recorded by `propose`."""
        if self.has_notes:
            self.progress.take(row.id, row.attempt)
            self._watched.discard(row.id)

    def _say(
        self, outcome: Outcome, row: ClaimedJob, result: Json | None, progress: Json | None
    ) -> None:
        asked = _asked(row)
        if "retain" in asked:
            outcome.delete = False
        watched = "watched" in asked or row.id in self._watched
        if watched or "retain" in asked or (progress is not None and not outcome.delete):
            outcome.kept = Kept(result, progress)


def _asked(row: ClaimedJob) -> dict[str, Any]:
    return told_in(row.extra)
