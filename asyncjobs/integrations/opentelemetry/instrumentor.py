"""For ``opentelemetry-instrument``: every manager that is made is instrumented.

It is found by the entry point ``asyncjobs`` of ``opentelemetry_instrumentor``, and imported by
nothing else, because it needs the package opentelemetry-instrumentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.utils import unwrap
from wrapt import wrap_function_wrapper

from asyncjobs.integrations.opentelemetry.instrumentation import instrument
from asyncjobs.manager import JobManager

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class AsyncJobsInstrumentor(BaseInstrumentor):
    """Instruments managers from now on. Takes the options of `instrument`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed."""
        return ("asyncjobs-pg >= 0.1",)

    def _instrument(self, **options: Any) -> None:
        given = {name: options[name] for name in OPTIONS if name in options}

        def make(
            init: Callable[..., None], jobs: JobManager, args: Any, kwargs: dict[str, Any]
        ) -> None:
            init(*args, **kwargs)
            instrument(jobs, **given)

        wrap_function_wrapper(JobManager, "__init__", make)

    def _uninstrument(self, **_: Any) -> None:
        # Those that exist go on: what runs around a job is looked up once.
        unwrap(JobManager, "__init__")


OPTIONS = ("tracer_provider", "meter_provider", "linked")
