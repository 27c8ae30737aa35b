"""What people wish of a worker: to claim nothing more for a while, or to end.

The storage keeps it and tells it with every heartbeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncjobs.types import Heartbeat
    from asyncjobs.worker.claimer import Claimer
    from asyncjobs.worker.executor import Executor


class Wishes:
    """What is wished of one worker, as far as it has heard; it stays so if its lease is lost."""

    def __init__(self, claimer: Claimer, executor: Executor, log: Any) -> None:
        self._claimer, self._executor, self._log = claimer, executor, log
        self._asked_at = 0.0
        self.quiet = False
        """Nothing more is claimed."""
        self.stop = False
        """The worker ends; there is no way back."""

    def hear(self, answer: Heartbeat, asked_at: float) -> None:
        """Do what *answer* says. Heartbeats of two connections may overtake each other."""
        if asked_at < self._asked_at:
            return
        self._asked_at = asked_at
        if answer.quiet is not self.quiet:
            self.quiet = answer.quiet
            running = len(self._executor.running)
            if self.quiet:
                self._log.info("worker.quiet", running=running)
            else:
                self._log.info("worker.resumed", running=running)
            self._executor.rest(self.quiet)
            self._claimer.look()
        if answer.stop and not self.stop:
            self.stop = True
            self._log.info("worker.dismissed", running=len(self._executor.running))
            self._claimer.end()
