"""The trace in a job's row: what the configured propagator writes, as the key ``trace``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach
from opentelemetry.propagate import extract, inject

from asyncjobs.carrying import MAX_CARRIED
from asyncjobs.types import Extras, told_in

if TYPE_CHECKING:
    from asyncjobs.context import JobContext
    from asyncjobs.types import NewJob

KEY = "trace"


def headers_of(context: Context | None = None) -> dict[str, str]:
    """Return what the propagator says of *context*, by default the present one.

    Empty if there is no trace. At most `MAX_CARRIED` bytes: of more, the longest are left out,
    which are those of baggage.
    """
    headers: dict[str, str] = {}
    inject(headers, context)
    while len(json.dumps(headers)) > MAX_CARRIED:
        del headers[max(headers, key=lambda name: len(headers[name]))]
    return headers


def with_headers(row: NewJob, headers: dict[str, str]) -> NewJob:
    """Return *row* with *headers* in place of those it had."""
    extras = row.extras or Extras()
    extra = json.dumps({**told_in(extras.extra), KEY: headers})
    return row._replace(extras=extras._replace(extra=extra))


def context_of(job: JobContext) -> Context:
    """Return the context that *job* was scheduled in; an empty one if it has none."""
    headers = told_in(job.extra).get(KEY)
    return extract(headers if isinstance(headers, dict) else {}, Context())


def hand_down(job: JobContext, context: Context) -> None:
    """Let *context* be what `continue_trace` finds in *job*."""
    if headers := headers_of(context):
        job.extra = json.dumps({**told_in(job.extra), KEY: headers})


def continue_trace(job: JobContext) -> None:
    """Go on, in the process of a job with ``process=True``, with what was handed down."""
    attach(context_of(job))
