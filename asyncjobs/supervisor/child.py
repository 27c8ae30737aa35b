"""A process that this one started, and that ends when this one does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIFELINE = "--lifeline"
"""The option by which a child learns the number of the file descriptor that it watches."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended."""

    code: int
    """As `subprocess` has it: negative for a signal."""
    error: str | None = None
    """Why it was not even started."""

    @classmethod
    def unstarted(cls, error: OSError) -> Self:
        """Return the end of a process that could not be started, with a shell's code for that."""
        return cls(127, str(error))

    @property
    def facts(self) -> dict[str, int | str]:
        """The same for a line of log."""
        if self.error is not None:
            return {"error": self.error}
        if self.code >= 0:
            return {"exit_code": self.code}
        with contextlib.suppress(ValueError):
            return {"signal": signal.Signals(-self.code).name}
        return {"signal": -self.code}

    def __str__(self) -> str:
        return " ".join(f"{name.replace('_', ' ')} {fact}" for name, fact in self.facts.items())


class Child:
    """A running process. Made by `start`; whoever made it waits for it."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: int) -> None:
        self._process, self._lifeline = process, lifeline

    @classmethod
    async def start(cls, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Self:
        """Start *command*, whose last option becomes the lifeline. Raises OSError."""
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                LIFELINE,
                str(theirs),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs,),
                start_new_session=True,
                env=env,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def wait(self) -> Exit:
        """Return how it ended. To be called once; if cut off, the child ends gracefully."""
        try:
            return Exit(await self._process.wait())
        finally:
            os.close(self._lifeline)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it and what it started, except for what left its session."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
