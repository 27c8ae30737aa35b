"""What the command's log looks like: for people on a terminal, JSON lines otherwise."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from asyncjobs.cli.settings import LogFormat
from asyncjobs.integrations.logging import add_job
from asyncjobs.logs import set_up_in_processes

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

CHATTY = ("watchfiles", "asyncio")
"""Loggers of others that say at info and debug what nobody asked us for."""


@dataclass(frozen=True)
class LogSetup:
    """Sets up the log of a process that a worker starts as that of the worker."""

    verbose: bool
    log_format: LogFormat

    def __call__(self) -> None:
        configure_logging(verbose=self.verbose, log_format=self.log_format)


def configure_logging(*, verbose: bool, log_format: LogFormat) -> None:
    """Send structlog's lines, and those of `logging`, to stderr, with the job they are of.

    An app that configures structlog itself when it is imported has the last word.
    """
    level = logging.DEBUG if verbose else logging.INFO
    set_up_in_processes(LogSetup(verbose, log_format))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_job,
        _add_trace,
        structlog.processors.add_log_level,
    ]
    renderers = _pretty() if _is_pretty(log_format) else _json()
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=CurrentStderr()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(CurrentStderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class CurrentStderr:
    """Writes to whatever `sys.stderr` is at the moment: a progress bar replaces it.

    What cannot be written is lost: a worker whose terminal was closed has jobs to end.
    """

    def write(self, text: str) -> int:
        """Write *text*."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what is buffered."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def _add_trace(logger: Any, method: str, event: EventDict) -> EventDict:
    # Only where the app has imported it, which it does after the log is set up.
    found = sys.modules.get("asyncjobs.integrations.opentelemetry.logs")
    return event if found is None else found.add_trace_context(logger, method, event)


def _is_pretty(log_format: LogFormat) -> bool:
    if log_format is LogFormat.AUTO:
        return sys.stderr.isatty()
    return log_format is LogFormat.PRETTY


def _pretty() -> list[Processor]:
    colors = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        # Tracebacks without local variables: those may be secrets.
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _json() -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str),
    ]
