"""The metrics of jobs, by OpenTelemetry's conventions for messaging, and how long jobs wait."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from opentelemetry.metrics import get_meter

from asyncjobs.integrations.opentelemetry import attributes as named
from asyncjobs.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider

    from asyncjobs.context import JobContext
    from asyncjobs.integrations.opentelemetry.attributes import Attributes
    from asyncjobs.types import NewJob

SHORT = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds: the boundaries of the conventions."""
LONG = (*SHORT, 30, 60, 300, 900, 3_600, 14_400)
"""Jobs run, and wait, for longer than messages do."""


class JobMetrics:
    """What is counted and measured of the jobs of one manager."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter(named.NAME, installed_version() or "", provider)
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Jobs that were to be stored."
        )
        self._sending = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Time that storing one call, or one batch of calls, took.",
            explicit_bucket_boundaries_advisory=SHORT,
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages", "{message}", "Attempts that began."
        )
        self._processing = meter.create_histogram(
            "messaging.process.duration",
            "s",
            "Time that an attempt took.",
            explicit_bucket_boundaries_advisory=LONG,
        )
        self._waiting = meter.create_histogram(
            "asyncjobs.job.wait.duration",
            "s",
            "Time from when an attempt was due until it began.",
            explicit_bucket_boundaries_advisory=LONG,
        )

    def sent(
        self, rows: Sequence[NewJob], told: Attributes, seconds: float, error: BaseException | None
    ) -> None:
        """Note that *rows* were stored, or were not because of *error*."""
        failed = _error(error)
        names = (named.QUEUE, named.JOB_NAME)
        of_all = {name: told[name] for name in names if name in told}
        self._sending.record(seconds, {**named.ENQUEUE, **of_all, **failed})
        for (queue, name), count in Counter((row.queue, row.name) for row in rows).items():
            which = {named.QUEUE: queue, named.JOB_NAME: name}
            self._sent.add(count, {**named.ENQUEUE, **which, **failed})

    def began(self, job: JobContext, wait: float | None, context: Context) -> None:
        """Note that an attempt began, after *wait* seconds if that is known."""
        told = _of(job)
        self._consumed.add(1, told, context)
        if wait is not None:
            self._waiting.record(wait, told, context)

    def ended(
        self,
        job: JobContext,
        word: str,
        seconds: float,
        error: BaseException | None,
        context: Context,
    ) -> None:
        """Note that an attempt ended, and as what."""
        told = {**_of(job), named.OUTCOME: word, **_error(error)}
        self._processing.record(seconds, told, context)


def _of(job: JobContext) -> Attributes:
    return {**named.RUN, named.QUEUE: job.queue, named.JOB_NAME: job.name}


def _error(error: BaseException | None) -> Attributes:
    return {} if error is None else {named.ERROR_TYPE: named.type_of(error)}
