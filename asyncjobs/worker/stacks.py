"""Where a job stands, for the log: the lines of its own code, without ours."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import FrameType

MOST_FRAMES = 20
"""The innermost so many are shown."""
RUNS_JOBS = (
    "asyncjobs.worker.executor",
    "asyncjobs.worker.performer",
    "asyncjobs.worker.threads",
)
"""The modules with the last frame that is ours, above those of the job."""


def stack_of_thread(thread: int) -> str:
    """Return where the thread of this number is; empty if it has ended."""
    frame = sys._current_frames().get(thread)
    frames = [] if frame is None else [each for each, _ in traceback.walk_stack(frame)][::-1]
    return _described(frames)


def stack_of_task(task: asyncio.Task[Any]) -> str:
    """Return where a task waits; empty if it has ended or waits outside of the job."""
    return _described(list(_waiting_frames(task.get_coro())))


def _waiting_frames(waiting: Any) -> Iterator[FrameType]:
    # A coroutine knows what it awaits, an asynchronous generator likewise.
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None:
            yield frame
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)


def _described(frames: list[FrameType]) -> str:
    ours = [
        place
        for place, frame in enumerate(frames)
        if frame.f_globals.get("__name__", "") in RUNS_JOBS
    ]
    shown = frames[ours[-1] + 1 :] if ours else frames
    summary = traceback.StackSummary.extract(
        ((frame, frame.f_lineno) for frame in shown[-MOST_FRAMES:]), capture_locals=False
    )
    return "".join(summary.format())
