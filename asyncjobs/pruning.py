"""Removing what is over: a few rows at a time, so that jobs have room meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncjobs.storage.protocol import Storage

BATCH = 500
"""Rows that one statement removes."""
UNUSED = 3_600.0
"""Seconds without use after which a lane's row is removed."""


async def in_batches(
    prune: Callable[[int], Awaitable[int]],
    *,
    pause: float = 0.0,
    on_batch: Callable[[int], None] = lambda removed: None,
) -> int:
    """Call *prune* with how many rows it may remove until none are left; return how many were.

    *pause* is in seconds, between two calls. *on_batch* is told how many were removed so far.
    """
    total = 0
    while removed := await prune(BATCH):
        total += removed
        on_batch(total)
        if removed < BATCH:
            break
        await asyncio.sleep(pause)
    return total


async def forget_lanes(storage: Storage, *, pause: float = 0.0) -> int:
    """Remove the rows of lanes that are not used; return how many. *pause* as above."""
    total = 0
    while forgotten := await storage.limits.forget(UNUSED):
        total += len(forgotten)
        await asyncio.sleep(pause)
    return total
