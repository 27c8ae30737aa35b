"""Where log lines go: structlog as the application configured it.

Without a configuration, structlog would print every debug line, which nobody asked for and
which costs more than a small job does; and its tracebacks would show local variables, which
may be secrets. Then lines from info on go to stderr, with plain tracebacks.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def get_logger() -> Any:
    """Return the logger of this package, bound to its name."""
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
