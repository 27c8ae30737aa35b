"""Workers that run while a test looks at what they do."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs import JobManager

PATIENCE = 60.0
"""Seconds that a test waits for an event that should come at once."""
ENDS_WITHIN = 30.0
"""Seconds that a worker may take to end which has been told to."""


@contextlib.asynccontextmanager
async def working(jobs: JobManager) -> AsyncIterator[asyncio.Event]:
    """Run a worker meanwhile; it stops gracefully at the end, or when the event is set."""
    stop = asyncio.Event()
    task = asyncio.create_task(jobs.work(stop))
    try:
        yield stop
    finally:
        stop.set()
        with anyio.fail_after(ENDS_WITHIN):
            await task
