"""The event loop in which something is open, and in which alone it may be used.

A connection that two event loops drive from two threads is destroyed, and with it perhaps the
process. So who is asked from another loop refuses before anything happens.
"""

from __future__ import annotations

import asyncio
import threading


class Home:
    """Knows that event loop, if anybody says which it is."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0
        """The thread that said so. Whoever is in it is at home, and needs no `check`."""

    def settle(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Let *loop* be home from now on; None if that is not known any more."""
        self.loop, self.thread = loop, threading.get_ident()

    def check(self) -> None:
        """Raise RuntimeError in another event loop than this while this one runs."""
        if threading.get_ident() == self.thread:  # before Python 3.12 the loop takes longer
            return
        loop = self.loop
        if loop is not None and loop.is_running() and asyncio._get_running_loop() is not loop:
            raise RuntimeError(
                "the manager is open in another event loop: in this one write "
                "`later.from_thread(…)` without await, and await everything else there"
            )
