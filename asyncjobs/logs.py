"""Where log lines go: structlog as the application configured it.

Without a configuration, structlog would print every debug line, which nobody asked for and
which costs more than a small job does; and its tracebacks would show local variables, which
may be secrets. Then lines from info on go to stderr, with plain tracebacks.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDED_FOR = 60.0
"""Seconds for which a warning of an outage is not said again."""
OUTAGES = (".failed", ".delayed")
"""How the events end that come again with each try until the database is back."""


def get_logger() -> Any:
    """Return the logger of this package, bound to its name."""
    import structlog  # noqa: PLC0415 - it brings rich along, which importing us must not

    if structlog.is_configured():
        return structlog.get_logger().bind(logger="asyncjobs")
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind(logger="asyncjobs")


class FoldingLog:
    """A structlog logger that says a warning of an outage once a minute, not with each try.

    When the minute is over, or the next time, it says how often it was left out. What differs
    in its error is another one. It may be used from several threads.
    """

    def __init__(self, log: Any) -> None:
        self._log, self._lock = log, threading.Lock()
        self._said: dict[tuple[str, object], tuple[float, int]] = {}

    def __getattr__(self, name: str) -> Any:
        """Everything else is the logger's own."""
        return getattr(self._log, name)

    def warning(self, event: str, **facts: Any) -> None:
        """Say *event*, unless it is an outage's and was just said."""
        if not event.endswith(OUTAGES) or "error" not in facts:
            self._log.warning(event, **facts)
            return
        now, key = time.monotonic(), (event, facts["error"])
        with self._lock:
            since, times = self._said.get(key, (now - FOLDED_FOR, 0))
            if now - since < FOLDED_FOR:
                self._said[key] = since, times + 1
                return
            self._said[key] = now, 0
        self._log.warning(event, **facts, **({"repeated": times} if times else {}))

    def tick(self) -> None:
        """Say how often was left out what is over; to be called several times a second."""
        if self._said:
            self._say_folded(time.monotonic() - FOLDED_FOR)

    def close(self) -> None:
        """Say how often anything was left out."""
        self._say_folded(math.inf)

    def _say_folded(self, since: float) -> None:
        with self._lock:
            over = {key: past for key, past in self._said.items() if past[0] <= since}
            for key in over:
                del self._said[key]
        for key, (began, times) in over.items():
            if times:
                event, error = key
                self._log.warning(
                    "log.folded", folded=event, error=error, more=times,
                    seconds=round(time.monotonic() - began, 1),
                )  # fmt: skip


def in_processes() -> Callable[[], None] | None:
    """Return what sets up the log in a process that a worker starts for jobs; None for nothing."""
    return _set_up


def set_up_in_processes(set_up: Callable[[], None]) -> None:
    """Make *set_up*, which can be pickled and compared, be called there once."""
    global _set_up  # noqa: PLW0603 - as the log itself: there is one in a process
    _set_up = set_up


_set_up: Callable[[], None] | None = None
