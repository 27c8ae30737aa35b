"""Measures the event loop from the heartbeat thread, and acts for it while it stands still.

A job that blocks the loop keeps everything from running: its own deadline, the recording of
other jobs, the shutdown. Python cannot stop it. What this thread can do, it does:

1. After a second it says which job it is and where it stands, and again as time passes.
2. When the job is beyond its max_runtime and a grace, it records the job as failed, by its
   own connection, and says so. What is told in the loop, as to hooks, is told when that goes
   on; if the job is not recorded by then, it is by the loop, as any that ends. A job that may
   be tried again is left alone: it still runs here.
3. With `kill_stuck` it records what else had ended, notes that this worker leaves, so that
   the jobs it holds cost no attempt, and ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import RowRefusedError, StorageError
from asyncjobs.worker.deadlines import STUCK_GRACE
from asyncjobs.worker.delays import growing_delays
from asyncjobs.worker.finisher import parts_of, plain_failures
from asyncjobs.worker.handover import call_in
from asyncjobs.worker.process import end_stuck_process
from asyncjobs.worker.reporter import LAST_WORD_DELAY
from asyncjobs.worker.stacks import stack_of_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncjobs.metering import Meter
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Outcome
    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher
    from asyncjobs.worker.reporter import Decision

BLOCKED = 1.0
"""Seconds without a step of the event loop after which something is said to block it."""
AGAIN = 4
"""It is said again when so many times the time has passed."""


class LoopWatch:
    """Watches the loop that it is made in. `look` is for the heartbeat thread."""

    def __init__(
        self, executor: Executor, finisher: Finisher, log: Any, *, kill_stuck: bool, lag: Meter
    ) -> None:
        self._executor, self._finisher, self._log = executor, finisher, log
        self._kill_stuck, self._lag = kill_stuck, lag
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._asked_at: float | None = None
        """When the loop was asked for a step that it has not taken yet."""
        self._ahead = self._loop.time() - time.monotonic()
        self._longest = 0.0
        self._say_at = BLOCKED
        self._given_up: Attempt | None = None
        self._went_on: Attempt | None = None
        """One that was recorded by the loop in the end, and may block it again."""
        self._acting: asyncio.Task[None] | None = None

    def look(self, storage: Storage | None, worker: int) -> None:
        """Look at the loop, and act as *worker* by *storage*, if that is there.

        Raises RuntimeError if the loop is closed.
        """
        silence = self._silence()
        if silence < BLOCKED:
            if self._asked_at is None:
                self._asked_at = time.monotonic()
                self._loop.call_soon_threadsafe(self._step)
                self._say_if_resumed()
            return
        self._longest = silence
        attempt = self._blocker()
        if silence >= self._say_at:
            self._say_at *= AGAIN
            self._log.warning(
                "loop.blocked",
                seconds=round(silence, 1),
                job=attempt and attempt.row.name,
                id=attempt and attempt.row.id,
                stack=stack_of_thread(self._thread),
            )
        if attempt is not None and storage is not None and self._is_overdue(attempt):
            self._given_up = attempt
            self._acting = asyncio.create_task(self._give_up(attempt, storage, worker))

    def _step(self) -> None:
        self._lag.add(self._silence())
        self._asked_at = None

    def _silence(self) -> float:
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def _say_if_resumed(self) -> None:
        if self._say_at > BLOCKED:
            self._say_at = BLOCKED
            self._log.warning("loop.resumed", seconds=round(self._longest, 1))

    def _blocker(self) -> Attempt | None:
        task = asyncio.current_task(self._loop)
        for attempt in list(self._executor.running.values()):
            if attempt.task is task:
                return attempt
        return None

    def _is_overdue(self, attempt: Attempt) -> bool:
        if attempt is self._given_up or (attempt.reported and attempt is not self._went_on):
            return False
        return time.monotonic() + self._ahead > attempt.deadline + STUCK_GRACE

    async def _give_up(self, attempt: Attempt, storage: Storage, worker: int) -> None:
        row = attempt.row
        with contextlib.suppress(Exception):  # a log that fails leaves no job as it is
            self._log.error(
                "job.stuck",
                job=row.name,
                id=row.id,
                attempt=row.attempt,
                seconds=round(self._silence(), 1),
                stack=stack_of_thread(self._thread),
            )
        decision = None if attempt.reported else self._last_word(attempt)
        if decision is not None:
            self._finisher.lend(decision.outcome)
            call_in(self._loop, self._go_on_with, attempt, decision)
            await self._record(decision.outcome, storage, worker)
            if not self._finisher.take_back(decision.outcome):  # the loop has told it
                decision = None
                if self._kill_stuck and self._silence() < BLOCKED:
                    self._given_up, self._went_on = None, attempt
                    return
        if self._kill_stuck:
            await self._leave(storage, worker)
        if decision is not None:
            self._executor.reporter.say(attempt, decision)
            call_in(self._loop, self._tell, attempt, decision)
        if self._kill_stuck and self._silence() > BLOCKED:
            self._log.error("worker.killed", job=row.name, id=row.id)
            end_stuck_process()

    async def _record(self, outcome: Outcome, storage: Storage, worker: int) -> None:
        for told in chain([outcome], plain_failures(outcome)):
            try:
                await self._insist(partial(storage.finish, worker, [told]), outcome)
            except RowRefusedError as error:
                self._log.error("finish.refused", id=outcome.id, error=error.problem)
            else:
                return

    async def _leave(self, storage: Storage, worker: int) -> None:
        # What else had ended is recorded if the database takes it now, and runs again if not.
        # What goes back is given back by our end: it must not start elsewhere before that.
        for some in parts_of([each for each in self._finisher.unsent() if not each.refund]):
            with contextlib.suppress(StorageError):
                await storage.finish(worker, some)
        await self._insist(partial(storage.leave, worker))

    async def _insist(
        self, ask: Callable[[], Awaitable[object]], lent: Outcome | None = None
    ) -> None:
        for delay in growing_delays():
            try:
                await ask()
            except RowRefusedError:
                raise
            except StorageError as error:
                if lent is not None and not self._finisher.still_has(lent):
                    return
                self._log.warning("finish.delayed", error=str(error), jobs=int(lent is not None))
                await asyncio.sleep(delay)
            else:
                return

    def _last_word(self, attempt: Attempt) -> Decision | None:
        if not self._kill_stuck and not attempt.times_out_for_good:
            return None
        least_delay = LAST_WORD_DELAY if self._kill_stuck else 0.0
        return self._executor.reporter.take_over(attempt, least_delay=least_delay)

    def _go_on_with(self, attempt: Attempt, decision: Decision) -> None:
        if self._finisher.take_back(decision.outcome):
            self._finisher.add(decision.outcome)
            self._executor.reporter.tell(attempt, decision)
            self._executor.reporter.say(attempt, decision)

    def _tell(self, attempt: Attempt, decision: Decision) -> None:
        self._finisher.note_freed([decision.outcome])
        self._executor.reporter.tell(attempt, decision)
