"""Which job a log line was written in, for structlog and for the standard library.

The commands of ``asyncjobs`` do it by themselves. An application that configures its log, and
has workers inside, puts `add_job` among structlog's processors::

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, add_job, ...])

and `AddJob` at the handlers of `logging`::

    handler.addFilter(AddJob())
    handler.setFormatter(logging.Formatter("%(levelname)s %(job)s#%(job_id)s %(message)s"))

A job pays nothing for it until it writes a line.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from asyncjobs.context import log_facts

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["AddJob", "add_job"]

NAMES = {"job": "job", "id": "job_id", "queue": "queue", "attempt": "attempt", "worker": "worker"}
"""What `JobContext.log_facts` always has, and its name as an attribute of records."""


def add_job(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add `JobContext.log_facts` to *event*, as a processor of structlog.

    What the line says itself stays.
    """
    for name, value in log_facts().items():
        event.setdefault(name, value)
    return event


class AddJob(logging.Filter):
    """Adds the running job to records, as a filter that lets all of them pass.

    They get ``job``, ``job_id``, ``queue``, ``attempt`` and ``worker``, which are ``"-"``
    outside of jobs, and by its name what was carried to the job. What ``extra=`` says stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add them to *record*."""
        facts = log_facts()
        known = vars(record)
        for name, attribute in NAMES.items():
            known.setdefault(attribute, facts.get(name, "-"))
        for name, value in facts.items():
            if name not in NAMES:
                known.setdefault(name, value)
        return True
