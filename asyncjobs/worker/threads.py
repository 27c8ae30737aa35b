"""Jobs that are a plain ``def``: each runs in a thread, and no thread can be stopped."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from asyncjobs.job import refuse_coroutine

if TYPE_CHECKING:
    from asyncjobs.job import Job


class ThreadCall:
    """The call of a function in a thread."""

    __slots__ = ("_arguments", "_context", "_job", "future", "thread")

    def __init__(self, job: Job[..., Any], arguments: dict[str, Any]) -> None:
        self._job, self._arguments = job, arguments
        self._context = contextvars.copy_context()
        self.future: Future[Any] = Future()
        """What the function returns or raises. Cancelled before it runs, it never will."""
        self.thread = 0
        """The number of its thread, once it runs."""

    def run(self) -> None:
        """Call the function, with the context variables of the task that waits for it."""
        future = self.future
        if not future.set_running_or_notify_cancel():
            return
        self.thread = threading.get_ident()
        try:
            result = self._context.run(self._call)
        except BaseException as error:  # noqa: BLE001 - the job's, for the task that waits
            future.set_exception(error)
            del future, self  # which the error's traceback would hold, and they the error
        else:
            future.set_result(result)

    def _call(self) -> Any:
        try:
            result = self._job.function(**self._arguments)
        except StopIteration as error:  # a future cannot hold it, and would never end
            raise RuntimeError("the job raised StopIteration") from error
        refuse_coroutine(self._job, result)
        return result


class Threads:
    """The threads of one worker, made when they are needed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: ThreadPoolExecutor | None = None
        self._calls: set[Future[Any]] = set()

    @property
    def are_busy(self) -> bool:
        """Whether any of them runs a job; may be asked from any thread."""
        return bool(self._calls)

    def start(self, call: ThreadCall) -> asyncio.Future[Any]:
        """Run *call* in a thread, and return what its task waits for.

        Raises RuntimeError if no thread can be started; the call is never made then.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._most, "asyncjobs")
        self._calls.add(call.future)
        call.future.add_done_callback(self._calls.discard)
        try:
            self._pool.submit(call.run)
        except BaseException:
            # The pool has queued it before it starts a thread: the next idle one would run it.
            if call.future.cancel():
                raise
        return asyncio.wrap_future(call.future)

    def shut_down(self) -> None:
        """Let go of the threads without waiting for those that are busy."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
