"""Waiting for tasks that bring themselves to an end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterable


async def outlast(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Wait until all *tasks* have ended, however often this is cancelled meanwhile."""
    left = {task for task in tasks if not task.done()}
    with anyio.CancelScope(shield=True):
        while left:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(left)
            left = {task for task in left if not task.done()}
