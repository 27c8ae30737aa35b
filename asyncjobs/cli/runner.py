"""Running a coroutine as the whole of a process: its signals, its loop and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from asyncjobs.cli.failures import exit_code, print_error
from asyncjobs.errors import AsyncJobsError
from asyncjobs.streams import flush_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAST_RESORT = 20.0
"""Seconds beyond its time after which a process that lost its supervisor ends by force."""


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run *main* in an event loop, the fast one where it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def run_then_exit(main: Coroutine[Any, Any, int]) -> NoReturn:
    """Run *main* and end the process at once, with what it returns.

    Nothing else is waited for: the thread of a job that is stuck would never end.
    """
    runner = asyncio.Runner(loop_factory=_loop_factory())
    code = 1
    try:
        code = runner.run(main)
    except AsyncJobsError as error:
        print_error(error)
        code = exit_code(error)
    except BaseException:  # noqa: BLE001 - it is shown, and this is the end anyway
        traceback.print_exc()
    finally:
        logging.shutdown()
        flush_streams()
        os._exit(code)


def on_signals(
    stop: Callable[[], object], hurry: Callable[[], object], *, supervised: bool = False
) -> None:
    """Call *stop* at the first SIGINT or SIGTERM, and *hurry* at the second.

    When *supervised* only a SIGINT can be the second: see `asyncjobs.supervisor`.
    """
    loop = asyncio.get_running_loop()
    steps = [hurry, stop]

    def handle(number: signal.Signals) -> None:
        counts = len(steps) == 2 or number == signal.SIGINT or not supervised
        if steps and counts:
            steps.pop()()

    for number in SIGNALS:
        loop.add_signal_handler(number, handle, number)


def watch_lifeline(descriptor: int, stop: Callable[[], None], *, patience: float) -> None:
    """Call *stop* in this loop when the pipe closes, and end the process after *patience*.

    A thread does it, for the loop may be blocked by a job.
    """
    os.set_inheritable(descriptor, False)
    loop = asyncio.get_running_loop()

    def watch() -> None:
        os.read(descriptor, 1)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the end is near
            loop.call_soon_threadsafe(stop)
        time.sleep(patience + LAST_RESORT)
        os._exit(1)

    threading.Thread(target=watch, name="asyncjobs lifeline", daemon=True).start()


def set_process_title(title: str) -> None:
    """Name this process for ps and top, where setproctitle is installed."""
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle  # noqa: PLC0415 - it is optional

        setproctitle(title)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - it is optional
    except ImportError:
        return None
    return uvloop.new_event_loop
