"""Ctrl-C, twice, in a program whose `asyncio.run` is its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def second_interrupt_ignored() -> Iterator[None]:
    """Ignore one SIGINT in this block, which ends what a first one has cancelled already.

    `asyncio.run` cancels the program at the first and raises KeyboardInterrupt at the second,
    wherever the event loop is just then: also in the middle of a driver, whose connection
    cannot be used any more, when there are outcomes to record. The next one is raised again.
    Handlers of the program's own are left alone.
    """
    theirs = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not _is_of_asyncio(theirs):
        yield
        return

    def ignore(*_: object) -> None:
        signal.signal(signal.SIGINT, theirs)

    signal.signal(signal.SIGINT, ignore)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is ignore:
            signal.signal(signal.SIGINT, theirs)


def _is_of_asyncio(handler: Any) -> bool:
    if not isinstance(handler, functools.partial):
        return False
    return isinstance(getattr(handler.func, "__self__", None), asyncio.Runner)
