"""Carries an attempt out: the job's function, with its arguments, in the way that fits it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from asyncjobs import hooks
from asyncjobs.context import enter_job
from asyncjobs.types import told_in
from asyncjobs.worker.outcome import Interruption
from asyncjobs.worker.processes import Processes
from asyncjobs.worker.threads import ThreadCall, Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asyncjobs.config import WorkerGroup
    from asyncjobs.context import JobContext
    from asyncjobs.registry import JobRegistry
    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.deadlines import Deadlines
    from asyncjobs.worker.keeper import Keeper
    from asyncjobs.worker.reporter import Reporter


class Performer:
    """Performs the attempts of one worker.

    Coroutines run here; a plain ``def`` runs in a thread, or in a process. *deadlines* and
    *keeper* hear of one when its function begins, after hooks and dependencies; these have the
    same time before it.
    """

    def __init__(
        self,
        registry: JobRegistry,
        group: WorkerGroup,
        reporter: Reporter,
        log: Any,
        *,
        deadlines: Deadlines,
        keeper: Keeper,
    ) -> None:
        self._reporter, self._log = reporter, log
        self._carrier, self._deadlines, self._keeper = registry.carrier, deadlines, keeper
        self._threads = Threads(group.concurrency)
        self._processes = Processes()

    @property
    def is_busy(self) -> bool:
        """Whether a thread runs a job; may be asked from any thread."""
        return self._threads.are_busy

    def perform(self, attempt: Attempt) -> Awaitable[Any]:
        """Begin the job in the attempt's task, which is to await the rest at once.

        That returns or raises what the job does. Raises StoredArgumentsError if the arguments
        do not fit. (A coroutine of our own around the job's would cost each job something, and
        each step that one takes.)
        """
        if attempt.refusal is not None:
            raise attempt.refusal
        job, extra = attempt.job, attempt.row.extra
        arguments = job.codec.decode(attempt.row.args)
        attempt.began = time.time()
        enter_job(attempt)
        if extra is not None and (carried := told_in(extra).get("context")):
            self._carrier.restore(carried)
        if attempt.around is not None:
            self._deadlines.begin(attempt)
            return self._perform_inside(attempt, arguments, attempt.around)
        if job.dependencies is not None:
            self._deadlines.begin(attempt)
        if job.runs_in_thread or job.dependencies is not None:
            return self._call(attempt, arguments)
        self._begin(attempt)
        rest: Awaitable[Any] = job.function(**arguments)
        return rest

    async def close(self) -> None:
        """Start nothing else. Threads that still run are not waited for."""
        self._threads.shut_down()
        await self._processes.close()

    async def _perform_inside(
        self, attempt: Attempt, arguments: dict[str, Any], around: hooks.Around
    ) -> Any:
        async def innermost(_: JobContext) -> Any:
            return await self._call(attempt, arguments)

        context = attempt.context()
        for hook in around.before_perform:
            await hooks.call(hook, context)
        return await hooks.wrapped(around.middleware, innermost)(context)

    async def _call(self, attempt: Attempt, arguments: dict[str, Any]) -> Any:
        dependencies = attempt.job.dependencies
        if dependencies is None:
            return await self._call_by_kind(attempt, arguments)
        async with contextlib.AsyncExitStack() as stack:
            found = await dependencies.resolve(arguments, stack)
            return await self._call_by_kind(attempt, {**arguments, **found})

    async def _call_by_kind(self, attempt: Attempt, arguments: dict[str, Any]) -> Any:
        job = attempt.job
        self._begin(attempt)
        if attempt.around is not None or job.dependencies is not None:
            attempt.context().called = time.time()
        if job.options.process:
            return await self._processes.perform(job, attempt)
        if job.runs_in_thread:
            return await self._perform_in_thread(attempt, arguments)
        return await job.function(**arguments)

    def _begin(self, attempt: Attempt) -> None:
        if attempt.row.extra is not None:
            self._keeper.begin(attempt.row)
        self._deadlines.begin(attempt)

    async def _perform_in_thread(self, attempt: Attempt, arguments: dict[str, Any]) -> Any:
        attempt.call = ThreadCall(attempt.job, arguments)
        future = self._threads.start(attempt.call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if future.done():
                raise
            # No thread can be stopped. It keeps its slot, and its row unless that is final.
            self._log.warning("job.outlasting", job=attempt.row.name, id=attempt.row.id)
            if attempt.interruption is Interruption.TIMEOUT:
                self._reporter.report_final(attempt)
            await asyncio.wait({future})
            raise
