"""Records what became of attempts, in batches, through every outage."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from asyncjobs.batching import LARGE, Batcher, portions
from asyncjobs.errors import KeyInDoubtError, RowRefusedError, StorageError
from asyncjobs.types import Kept, Outcome
from asyncjobs.worker.delays import growing_delays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.worker.workload import Meters

BATCH = 1_000
LOOK, LEAST = 0.05, 0.5
"""Seconds between two looks at the end; and at least until runs are tried again whose schedule
somebody's open transaction changes: each try holds up others for a moment."""


class Finisher:
    """Sends outcomes for one worker registration after the other."""

    def __init__(
        self,
        storage: Storage,
        log: Any,
        *,
        meters: Meters,
        on_doubt: Callable[[], None],
        on_recorded: Callable[[], None],
        on_freed: Callable[[Iterable[str]], None],
    ) -> None:
        self.storage, self._log = storage, log
        self._on_doubt, self._on_recorded = on_doubt, on_recorded
        self._on_freed, self._meters = on_freed, meters
        self._outcomes: Batcher[Outcome] = Batcher(self._record_all, BATCH)
        self._put_off: list[Outcome] = []
        self._pauses: Iterator[float] | None = None
        """Between the tries of those; None if there are none."""
        self._lent: dict[int, Outcome] = {}
        """What another thread records while the event loop stands still, by id."""
        self.worker = 0
        """The registration whose outcomes these are."""
        self.add = self._outcomes.add

    def __len__(self) -> int:
        """Return how many outcomes wait."""
        return len(self._outcomes) + len(self._put_off) + len(self._lent)

    def unsent(self) -> list[Outcome]:
        """Return what waits or is under way."""
        return [*self._outcomes.unsent(), *self._put_off, *list(self._lent.values())]

    def lend(self, outcome: Outcome) -> None:
        """Leave it to the thread that calls this to record *outcome*, until it is taken back."""
        self._lent[outcome.id] = outcome

    def still_has(self, outcome: Outcome) -> bool:
        """Return whether *outcome* is lent, waits or is under way. From any thread."""
        return any(each is outcome for each in self.unsent())

    def take_back(self, outcome: Outcome) -> bool:
        """Note that *outcome* is not lent any more; return whether it was. From any thread."""
        return self._lent.pop(outcome.id, None) is not None

    def begin(self, worker: int) -> None:
        """Record for *worker* from now on; what an earlier one left unsent is void."""
        put_off, self._put_off = self._put_off, []
        for outcome in (*self._outcomes.discard(), *put_off):
            self._log.warning("finish.dropped", id=outcome.id, attempt=outcome.attempt)
        self.worker = worker

    async def drain(self, timeout: float) -> bool:
        """Wait until all is recorded, at most *timeout* seconds; return whether it is."""
        try:
            async with asyncio.timeout(timeout):
                await self._outcomes.drain()
                while self._put_off or self._lent:
                    await asyncio.sleep(LOOK)
                    await self._outcomes.drain()
        except TimeoutError:
            return False
        return True

    async def _record_all(self, outcomes: list[Outcome]) -> None:
        worker = self.worker
        parts = deque(parts_of(outcomes))
        while parts and worker == self.worker:
            try:
                left = await self._record(worker, parts[0])
            except asyncio.CancelledError:  # the event loop is being ended: say it once more
                for outcome in chain.from_iterable(parts):
                    if not outcome.refund:
                        self.add(outcome)
                raise
            parts.popleft()
            parts.extendleft(reversed(left))
        if self._pauses is not None and not self._put_off and any(out.run for out in outcomes):
            self._pauses = None

    async def _record(self, worker: int, outcomes: list[Outcome]) -> list[list[Outcome]]:
        # Returns what is to be recorded by itself, because together it was refused.
        for delay in growing_delays():
            began = time.monotonic()
            try:
                recorded = await self.storage.finish(worker, outcomes)
            except RowRefusedError as error:
                if len(outcomes) > 1:
                    middle = len(outcomes) // 2
                    return [outcomes[:middle], outcomes[middle:]]
                await self._record_failure(worker, outcomes[0], error)
                break
            except KeyInDoubtError as error:
                if parts := halves_by_schedule(outcomes):
                    return parts
                self._try_later(worker, outcomes, error)
                break
            except StorageError as error:
                self._log.warning("finish.delayed", error=str(error), jobs=len(outcomes))
                self._on_doubt()
                # Only what counts an attempt can be said twice: see `reconciler`.
                outcomes = [outcome for outcome in outcomes if not outcome.refund]
                await asyncio.sleep(delay)
                if worker != self.worker:
                    return []
            else:
                self._meters.finish_seconds.add(time.monotonic() - began)
                self._meters.finishes.add(len(outcomes))
                self._learn(outcomes, recorded)
                break
        self._on_recorded()
        return []

    def _try_later(self, worker: int, runs: list[Outcome], error: KeyInDoubtError) -> None:
        # Nothing of them was recorded, so that all may be said again; others go on meanwhile.
        if self._pauses is None:
            self._pauses = growing_delays()
            self._log.warning("finish.delayed", error=str(error), jobs=len(runs))
        if not self._put_off:
            pause = LEAST + next(self._pauses)
            asyncio.get_running_loop().call_later(pause, self._add_again, worker)
        self._put_off += runs

    def _add_again(self, worker: int) -> None:
        if worker == self.worker:
            runs, self._put_off = self._put_off, []
            for outcome in runs:
                self.add(outcome)

    def _learn(self, outcomes: list[Outcome], recorded: list[int]) -> None:
        if len(recorded) < len(outcomes):
            self._report_lost(outcomes, set(recorded))
        self.note_freed(outcomes)

    def note_freed(self, outcomes: Iterable[Outcome]) -> None:
        """Have the lanes looked at that *outcomes* have left."""
        if freed := {lane for outcome in outcomes for lane in outcome.lanes}:
            self._on_freed(freed)

    async def _record_failure(self, worker: int, outcome: Outcome, error: RowRefusedError) -> None:
        # One that the database refuses costs no other: it fails, with what can be stored.
        self._log.error("finish.refused", id=outcome.id, error=error.problem)
        for plain in plain_failures(outcome):
            with contextlib.suppress(StorageError):  # then its lease decides, when this one ends
                await self.storage.finish(worker, [plain])
                return

    def _report_lost(self, outcomes: list[Outcome], recorded: set[int]) -> None:
        # Rescued or cleared meanwhile; or a repeated statement whose first answer was lost; or
        # somebody edited the row, which then is ours without our knowing.
        self._on_doubt()
        for outcome in outcomes:
            if outcome.id not in recorded:
                self._log.warning("finish.superseded", id=outcome.id, attempt=outcome.attempt)


def parts_of(outcomes: list[Outcome]) -> Iterator[list[Outcome]]:
    """Return *outcomes* as they are recorded: what is large in parts, and runs by themselves."""
    if not any(each.run or each.kept for each in outcomes):  # as is usual
        yield outcomes
        return
    runs = [outcome for outcome in outcomes if outcome.run]
    others = [outcome for outcome in outcomes if not outcome.run]
    for some in (others, runs):
        if some:
            sizes = [len(each.kept.result or "") if each.kept else 0 for each in some]
            yield from portions(some, sizes, LARGE)


def halves_by_schedule(runs: list[Outcome]) -> list[list[Outcome]]:
    """Return *runs* in two parts that share no schedule; nothing if they are of one only."""
    names = sorted({each.run.schedule for each in runs if each.run})
    some = set(names[: len(names) // 2])
    parts: tuple[list[Outcome], list[Outcome]] = ([], [])
    for each in runs:
        parts[each.run is not None and each.run.schedule in some].append(each)
    return list(parts) if some else []


def plain_failures(outcome: Outcome) -> Iterator[Outcome]:
    """Return what to record of *outcome* if the database refuses what it says, the best first."""
    record = json.dumps({
        "attempt": outcome.attempt, "at": datetime.now(UTC).isoformat(),
        "error": "RowRefusedError", "message": "its outcome could not be stored",
        "traceback": None, "worker": None,
    })  # fmt: skip
    for told in (record, None):
        yield Outcome(
            outcome.id, outcome.attempt, "failed", error=told, kept=outcome.kept and Kept()
        )
