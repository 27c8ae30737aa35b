"""Jobs that may be what kills their workers.

When a process dies, all jobs that it held have lost an attempt, and nobody can tell which of
them was the cause. The first loss counts, as any attempt does. A second one may be due to
the same neighbour, so it does not count (free_jobs.sql has that half). From then on the job
is a suspect, and a worker runs one suspect at a time: the next time that it dies, at most one
of them was there. So a job that kills its process comes to the end of its attempts, and
others lose one attempt by it at most.

Jobs that lost less pay nothing for this, and run beside suspects as ever.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncjobs.types import ClaimedJob
    from asyncjobs.worker.attempt import Attempt

LOSSES = 2
"""From so many on a job is a suspect."""
DELAY = (1.0, 5.0)
"""Seconds, at random between these, until one that has to wait is looked at again."""


class Suspects:
    """Lets one suspect at a time run in this worker."""

    def __init__(self, running: dict[int, Attempt]) -> None:
        self._running = running
        self._present: ClaimedJob | None = None

    def must_wait(self, row: ClaimedJob) -> bool:
        """Return whether *row*, a suspect, must not start now; if it may, it is the one."""
        present = self._present
        if present is not None:
            attempt = self._running.get(present.id)
            if attempt is not None and attempt.row is present:
                return True
        self._present = row
        return False

    def delay(self) -> float:
        """Return the seconds until one that must wait is looked at again, by any worker."""
        return random.uniform(*DELAY)  # noqa: S311 - not a secret
