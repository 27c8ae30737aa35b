"""Ending a task of ours for certain."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import anyio

PATIENCE = 10.0
"""Seconds after which a task that does not end is left behind."""
AGAIN = 0.5
"""Seconds between two cancellations."""


async def end_task(task: asyncio.Task[Any], patience: float = PATIENCE) -> bool:
    """Cancel *task* until it has ended, for at most *patience* seconds; return whether it has.

    Once is not always enough: a driver's cleanup may fail while a cancellation passes, and
    then its error takes the place of the cancellation.
    """
    deadline = time.monotonic() + patience
    with anyio.CancelScope(shield=True):
        while not task.done() and (left := deadline - time.monotonic()) > 0:
            task.cancel()
            await asyncio.wait({task}, timeout=min(AGAIN, left))
    return task.done()
