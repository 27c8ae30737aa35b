"""The processes of one worker group, and what keeps one of them running."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncjobs.supervisor.child import Child, Exit

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
HEALTHY_AFTER = 60.0
"""Seconds. A process that lived so long was well: after its end the delays begin anew."""
REFUSED = 2
"""The exit code of a process that finds its configuration wrong."""
DISMISSED = 79
"""The exit code of a worker that somebody told to end, and not to be replaced. Only for us: to
anybody else such a process exits with 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessGroup:
    """How many processes there are of one kind, and how one is started."""

    name: str
    count: int
    command: Callable[[int], Sequence[str]]
    """The command of the process with this number, from 0."""
    shutdown_timeout: float = 30.0
    """Seconds that a process may take to end after it was asked to."""


class Keeper:
    """Keeps one process running until it is told to end it."""

    def __init__(
        self,
        group: ProcessGroup,
        number: int,
        *,
        on_refusal: Callable[[], None],
        logger: Any,
    ) -> None:
        self._command = group.command(number)
        self._on_refusal = on_refusal
        self._log = logger.bind(group=group.name, number=number)
        self._child: Child | None = None
        self._asked: signal.Signals | None = None
        self._ending = asyncio.Event()

    async def run(self) -> None:
        """Run the process, and another one whenever it died, unless it was told to end.

        Raises OSError if the first one cannot be started; a later one counts as died at once.
        """
        delay, first = FIRST_DELAY, True
        while not self._ending.is_set():
            lived, end = await self._live(is_first=first)
            if self._ending.is_set():
                return
            if first and end.code == REFUSED:
                self._on_refusal()
                return
            if end.code == DISMISSED:
                self._log.warning("worker.gone", reason="told to stop", back="after a restart")
                return
            delay = FIRST_DELAY if lived >= HEALTHY_AFTER else delay
            self._log.warning("worker.died", **end.facts, restart_in=delay)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._ending.wait()
            delay, first = min(2 * delay, LONGEST_DELAY), False

    def send(self, number: signal.Signals) -> None:
        """Start no other process, and ask the one that runs to end."""
        self._asked = number
        self._ending.set()
        if self._child is not None:
            self._child.send(number)

    def kill(self) -> bool:
        """Kill the process. Return whether there was one."""
        if self._child is not None:
            self._log.warning("worker.killed", pid=self._child.pid)
            self._child.kill()
        return self._child is not None

    async def _live(self, *, is_first: bool) -> tuple[float, Exit]:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            self._child = await Child.start(self._command)
        except OSError as error:  # as while the program is being replaced, or memory is short
            if is_first:
                raise
            return 0.0, Exit.unstarted(error)
        self._log.debug("worker.spawned", pid=self._child.pid)
        if self._asked is not None:  # while it was being started
            self._child.send(self._asked)
        try:
            end = await self._child.wait()
        finally:
            self._child = None
        return clock() - began, end
