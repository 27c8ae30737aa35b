"""`Reloader`: one command, run again each time its source changes."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import anyio

from asyncjobs.logs import get_logger
from asyncjobs.supervisor.child import Child, Exit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

RELOAD_PATIENCE = 2.0
"""Seconds that running jobs may delay a reload; then they go back to the queue."""


class Reloader:
    """Runs *command* with *env*, and again for each item of *changes*, which are paths.

    *changes* is called with the event after which there shall be no more of them. A command
    that ends by itself, because the source is broken, waits for the next change.
    """

    def __init__(
        self,
        command: Sequence[str],
        changes: Callable[[asyncio.Event], AsyncIterator[Collection[str]]],
        *,
        env: Mapping[str, str] | None = None,
        logger: Any = None,
    ) -> None:
        self._command, self._changes, self._env = command, changes, env
        self._log = get_logger() if logger is None else logger
        self._stopping, self._urgent = asyncio.Event(), asyncio.Event()
        self._wake = asyncio.Event()
        self._was_started = False

    def stop(self) -> None:
        """End the command gracefully."""
        self._stopping.set()
        self._wake.set()

    def hurry(self) -> None:
        """End the command at once."""
        self.stop()
        self._urgent.set()

    async def run(self) -> None:
        """Run until stopped. Raises OSError if the command cannot be started the first time."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            while not self._stopping.is_set():
                self._wake.clear()
                await self._run_until_woken()
            group.cancel_scope.cancel()

    async def _watch(self) -> None:
        async for paths in self._changes(self._stopping):
            self._log.info("source.changed", paths=sorted(paths))
            self._wake.set()

    async def _run_until_woken(self) -> None:
        try:
            child = await Child.start(self._command, env=self._env)
        except OSError as error:  # as while it is being installed anew
            if not self._was_started:
                raise
            self._say_ended(Exit.unstarted(error))
            await self._wake.wait()
            return
        self._was_started = True
        end = asyncio.create_task(child.wait())
        wake = asyncio.create_task(self._wake.wait())
        await asyncio.wait({end, wake}, return_when=asyncio.FIRST_COMPLETED)
        if wake.done():
            await self._end(child, end)
        else:
            self._say_ended(end.result())
        await wake

    def _say_ended(self, end: Exit) -> None:
        self._log.error("workers.ended", **end.facts, until="the next change")

    async def _end(self, child: Child, end: asyncio.Task[Exit]) -> None:
        child.send(signal.SIGTERM)
        hurry = asyncio.create_task(self._urgent.wait())
        patience = None if self._stopping.is_set() else RELOAD_PATIENCE
        await asyncio.wait({end, hurry}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not end.done():
            child.send(signal.SIGINT)
        await end
