"""Jobs that are a plain ``def``: each runs in a thread, and no thread can be stopped."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from asyncjobs.job import refuse_coroutine

if TYPE_CHECKING:
    from concurrent.futures import Future

    from asyncjobs.job import Job


class ThreadCall:
    """The call of a function in a thread."""

    __slots__ = ("_arguments", "_context", "_job", "future", "thread")

    future: Future[Any]

    def __init__(self, job: Job[..., Any], arguments: dict[str, Any]) -> None:
        self._job, self._arguments = job, arguments
        self._context = contextvars.copy_context()
        self.thread = 0
        """The number of its thread, once it runs."""

    def run(self) -> Any:
        """Call the function, with the context variables of the task that waits for it."""
        self.thread = threading.get_ident()
        return self._context.run(self._call)

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
        """Run *call* in a thread, and return what its task waits for."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._most, "asyncjobs")
        call.future = self._pool.submit(call.run)
        self._calls.add(call.future)
        call.future.add_done_callback(self._calls.discard)
        return asyncio.wrap_future(call.future)

    def shut_down(self) -> None:
        """Let go of the threads without waiting for those that are busy."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
