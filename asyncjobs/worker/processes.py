"""Jobs with ``process=True``: each attempt in a process of a small pool.

The process finds the job by importing its module, so what it needs is what the module says.
It is killed when its attempt is cut off: by max_runtime, a cancellation or a shutdown, and
when this process dies, so that a rescued job never runs beside its former self.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import functools
import importlib
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import anyio.to_process

from asyncjobs.context import JobContext, enter_job
from asyncjobs.errors import ProcessDiedError
from asyncjobs.logs import in_processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.hooks import ProcessHook
    from asyncjobs.job import Job
    from asyncjobs.worker.attempt import Attempt

DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""
PARENT_LOOK = 0.5
"""Seconds between two looks at whether the parent lives, where the system does not tell."""


class Processes:
    """The processes of one worker, at most *limit*; by default one a processor."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit or os.cpu_count() or 1
        self.slots = asyncio.Semaphore(self._limit)
        """To be held by who performs."""

    async def perform(self, job: Job[..., Any], attempt: Attempt) -> Any:
        """Return what the job returns, or raise what it raises.

        Raises ProcessDiedError if the process ended without an answer.
        """
        work = Work(
            job.__module__,
            job.__qualname__,
            attempt.row.args,
            attempt.context().facts(),
            attempt.around.enter_process if attempt.around is not None else (),
            in_processes(),
        )
        try:
            answer: Answer = await anyio.to_process.run_sync(
                perform_here, work, os.getpid(), cancellable=True, limiter=self._limiter
            )
        except anyio.BrokenWorkerProcess as error:
            raise ProcessDiedError from error
        return answer.unpacked()

    @functools.cached_property
    def _limiter(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(self._limit)


class Work(NamedTuple):
    """What a process is asked to do."""

    module: str
    qualname: str
    args: str
    facts: dict[str, Any]
    enter: tuple[ProcessHook, ...] = ()
    """What is to be called there before."""
    set_up_log: Callable[[], None] | None = None


class RemoteTracebackError(Exception):
    """Shows where in the other process an error came from, as its cause."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class Answer(NamedTuple):
    """A result, or an error as far as it can be moved between processes."""

    result: Any = None
    error: bytes | None = None
    trace: str = ""

    def unpacked(self) -> Any:
        """Return the result, or raise the error."""
        if self.error is None:
            return self.result
        error: BaseException = pickle.loads(self.error)  # noqa: S301 - of our own process
        raise error from RemoteTracebackError(self.trace)


def perform_here(work: Work, parent: int) -> Answer:
    """Run the job *work* in this process, for the process *parent*."""
    _prepare(parent)
    try:
        if work.set_up_log is not None:
            _call_once(work.set_up_log)
        # A context of its own: what one job sets must not reach the next one.
        return Answer(contextvars.copy_context().run(_perform, work))
    except BaseException as error:  # noqa: BLE001 - it is raised in the parent
        return Answer(error=_packed(error), trace="".join(traceback.format_exception(error)))


def _perform(work: Work) -> Any:
    job = _find(work)
    context = JobContext(**work.facts)
    enter_job(lambda: context)
    for enter in work.enter:
        enter(context)
    return job.function(**job.codec.decode(work.args))


def _find(work: Work) -> Job[..., Any]:
    found: Any = importlib.import_module(work.module)
    for name in work.qualname.split("."):
        found = getattr(found, name)
    job: Job[..., Any] = found
    return job


def _packed(error: BaseException) -> bytes:
    with contextlib.suppress(Exception):
        packed = pickle.dumps(error)
        pickle.loads(packed)  # noqa: S301 - just packed here; many classes do not survive it
        return packed
    return pickle.dumps(RuntimeError(f"{type(error).__qualname__}: {error}"))


@functools.cache
def _prepare(parent: int) -> None:
    # The pool's process has its output closed, since its own protocol goes over it.
    sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


@functools.cache
def _call_once(set_up: Callable[[], None]) -> None:
    set_up()  # before the job's module is imported, which may know better


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK)
    os._exit(1)
