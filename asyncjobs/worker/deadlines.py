"""Jobs that run for too long: cancelled at their deadline, and reported if that is no use.

A job that swallows its cancellation and a function in a thread go on as they like. After a
grace such a job is called stuck. It keeps its slot, because it still runs; what the worker
does about it is for `Executor` and `WorkerGroup(kill_stuck=…)` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.worker.outcome import Interruption

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from asyncjobs.worker.attempt import Attempt

NEAR = 1.0
"""Seconds before its deadline from which a job has a timer."""
STUCK_GRACE = 5.0
"""Seconds after its cancellation from which a job that still runs is stuck."""


class Deadlines:
    """Watches the running jobs of one worker."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, log: Any, on_stuck: Callable[[Attempt], None]
    ) -> None:
        self._loop, self._log, self._on_stuck = loop, log, on_stuck

    def begin(self, attempt: Attempt) -> None:
        """Note that *attempt* starts now; again for its function, which has the full time."""
        max_runtime = attempt.limit.max_runtime
        if attempt.timer is not None:
            attempt.timer.cancel()
            attempt.timer = None
        attempt.deadline = self._loop.time() + max_runtime
        if max_runtime < NEAR:
            self._set_timer(attempt)

    def watch(self, attempts: Iterable[Attempt]) -> None:
        """Look at all *attempts*; to be called more often than once in `NEAR` seconds."""
        now = self._loop.time()
        for attempt in attempts:
            if not attempt.begun:
                continue
            if attempt.interruption is not None:
                self._look_for_end(attempt, now)
            elif attempt.deadline < now + NEAR and attempt.timer is None:
                self._set_timer(attempt)

    def _set_timer(self, attempt: Attempt) -> None:
        attempt.timer = self._loop.call_at(
            attempt.deadline, attempt.interrupt, Interruption.TIMEOUT
        )

    def _look_for_end(self, attempt: Attempt, now: float) -> None:
        lasts = now - attempt.interrupted_at
        is_ending = attempt.interruption is Interruption.SHUTDOWN  # which has bounds of its own
        if lasts > STUCK_GRACE and not attempt.is_stuck and not is_ending:
            attempt.is_stuck = True
            row = attempt.row
            self._log.error(
                "job.stuck",
                job=row.name,
                id=row.id,
                attempt=row.attempt,
                seconds=round(lasts, 1),
                stack=attempt.stack(),
            )
            self._on_stuck(attempt)
