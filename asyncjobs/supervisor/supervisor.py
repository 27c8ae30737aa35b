"""`Supervisor`: runs the processes of several groups and ends them in order."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import anyio

from asyncjobs.logs import get_logger
from asyncjobs.supervisor.group import REFUSED, Keeper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.supervisor.group import ProcessGroup

KILL_AFTER = 10.0
"""Seconds beyond its time after which a process that does not end is hurried, then killed."""


class Supervisor:
    """Keeps the processes of *groups* running until it is stopped."""

    def __init__(self, groups: Sequence[ProcessGroup], *, logger: Any = None) -> None:
        self._log = get_logger() if logger is None else logger
        self._patience = max((group.shutdown_timeout for group in groups), default=0.0) + KILL_AFTER
        self._stopping, self._urgent = asyncio.Event(), asyncio.Event()
        self._exit_code = 0
        self._keepers = [
            Keeper(group, number, on_refusal=self._refuse, logger=self._log)
            for group in groups
            for number in range(group.count)
        ]

    def stop(self) -> None:
        """End all processes gracefully."""
        self._stopping.set()

    def hurry(self) -> None:
        """End all processes at once: they cancel their jobs, which go back to the queue."""
        self._stopping.set()
        self._urgent.set()

    async def run(self) -> int:
        """Run until stopped, or until every worker was told to end. Return the exit code.

        It is 0 if all ended by themselves, 1 if one had to be killed, and 2 if one found its
        configuration wrong at its first start, which ends the others too.
        """
        self._log.info("supervisor.started", processes=len(self._keepers))
        async with anyio.create_task_group() as ending:
            ending.start_soon(self._end_in_order)
            async with anyio.create_task_group() as keeping:
                for keeper in self._keepers:
                    keeping.start_soon(keeper.run)
            ending.cancel_scope.cancel()
        self._log.info("supervisor.stopped", exit_code=self._exit_code)
        return self._exit_code

    async def _end_in_order(self) -> None:
        await self._stopping.wait()
        self._log.info("supervisor.stopping")
        self._send(signal.SIGTERM)
        with anyio.move_on_after(self._patience):
            await self._urgent.wait()
        self._log.warning("supervisor.hurried")
        self._send(signal.SIGINT)
        await anyio.sleep(KILL_AFTER)
        if any([keeper.kill() for keeper in self._keepers]):  # noqa: C419 - each of them
            self._exit_code = self._exit_code or 1

    def _send(self, number: signal.Signals) -> None:
        for keeper in self._keepers:
            keeper.send(number)

    def _refuse(self) -> None:
        self._exit_code = REFUSED
        self._stopping.set()
