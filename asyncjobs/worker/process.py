"""The end of this process, when a job that does not end is in the way of every other end."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, NoReturn

from asyncjobs.errors import WorkerStuckError
from asyncjobs.streams import flush_streams

if TYPE_CHECKING:
    from collections.abc import Iterator

STUCK_EXIT = 70
"""The exit code of a process that ended itself because a job was stuck."""
FLUSH_TIMEOUT = 2.0
"""Seconds: the thread of the stuck job may hold the lock of a stream for ever."""


def end_stuck_process() -> NoReturn:
    """End this process at once, in the middle of whatever its threads do."""
    flushing = threading.Thread(target=flush_streams, daemon=True)
    flushing.start()
    flushing.join(FLUSH_TIMEOUT)
    os._exit(STUCK_EXIT)


@contextlib.contextmanager
def ended_if_stuck() -> Iterator[None]:
    """End this process if the workers inside ended because a job does not."""
    try:
        yield
    except WorkerStuckError:
        end_stuck_process()
