"""Carries an attempt out: the job's function, with its arguments, in the way that fits it."""

from __future__ import annotations

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from asyncjobs.context import enter_job
from asyncjobs.job import refuse_coroutine
from asyncjobs.worker.outcome import Interruption

if TYPE_CHECKING:
    from asyncjobs.config import WorkerGroup
    from asyncjobs.job import Job
    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.reporter import Reporter


class Performer:
    """Performs the attempts of one worker: coroutines here, a plain ``def`` in a thread."""

    def __init__(self, group: WorkerGroup, reporter: Reporter, log: Any) -> None:
        self._group, self._reporter, self._log = group, reporter, log
        self._loop = asyncio.get_running_loop()
        self._threads: ThreadPoolExecutor | None = None

    async def perform(self, attempt: Attempt) -> None:
        """Run the job and raise what it raises. Raises StoredArgumentsError before that."""
        job = attempt.job
        arguments = job.codec.decode(attempt.row.args)
        attempt.began = time.time()
        enter_job(attempt.context)
        if job.runs_in_thread:
            await self._perform_in_thread(attempt, arguments)
        else:
            await job.function(**arguments)

    def close(self) -> None:
        """Start nothing else. Threads that still run are not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def _perform_in_thread(self, attempt: Attempt, arguments: dict[str, Any]) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._group.concurrency, "asyncjobs")
        context = contextvars.copy_context()
        future = self._loop.run_in_executor(
            self._threads, lambda: context.run(_call, attempt.job, arguments)
        )
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            if future.done():
                raise
            # No thread can be stopped. It keeps its slot, and its row unless that is final.
            self._log.warning("job.outlasting", job=attempt.row.name, id=attempt.row.id)
            is_final = not attempt.job.options.retry_on_timeout
            if attempt.interruption is Interruption.TIMEOUT and is_final:
                self._reporter.report(attempt, error)
            await asyncio.wait({future})
            raise


def _call(job: Job[..., Any], arguments: dict[str, Any]) -> None:
    try:
        refuse_coroutine(job, job.function(**arguments))
    except StopIteration as error:  # a future cannot hold it, and would never end
        raise RuntimeError("the job raised StopIteration") from error
