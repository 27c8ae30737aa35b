"""Jobs with ``process=True``: each attempt in a process of a small pool.

The process finds the job by importing its module, so what it needs is what the module says.
It is killed when its attempt is cut off: by max_runtime, a cancellation or a shutdown, and
when this process dies, so that a rescued job never runs beside its former self. `child` is
its side of all this.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ProcessDiedError
from asyncjobs.logs import in_processes
from asyncjobs.worker.child import LENGTH, Answer, Word, Work
from asyncjobs.worker.waiting import outlast

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.job import Job
    from asyncjobs.worker.attempt import Attempt

IDLE = 300.0
"""Seconds that a process without a job is kept."""
LAST_STEPS = 2.0
"""Seconds that a process without a job has to end by itself."""
START = """
import os, pickle, sys
requests = os.fdopen(os.dup(0), "rb")
parent, main, sys.path[:] = pickle.load(requests)
from asyncjobs.worker.child import serve
serve(requests, parent, main)
"""
"""What a process runs."""


class Processes:
    """The processes of one worker: as many as perform at once."""

    def __init__(self) -> None:
        self._idle: list[Child] = []
        self._dismissed: list[Child] = []
        self._closed = False

    async def perform(self, job: Job[..., Any], attempt: Attempt) -> Any:
        """Return what the job returns, or raise what it raises.

        Raises ProcessDiedError if the process ended without an answer.
        """
        context = attempt.context()
        hooks = attempt.around.enter_process if attempt.around is not None else ()
        work = Work(
            job.__module__,
            job.__qualname__,
            attempt.row.args,
            context.facts(),
            pickle.dumps((in_processes(), hooks)),
        )
        child = await self._take()
        has_answered = False
        try:
            answer = await child.perform(
                work, lambda word: context.progress(word.done, word.message)
            )
            has_answered = True
        finally:
            if has_answered and not self._closed:
                self._keep(child)
            else:
                await child.kill()
        return answer.unpacked()

    async def close(self) -> None:
        """End the processes that have no job, and soon those that have."""
        self._closed = True
        ending = [*self._idle, *self._dismissed]
        self._idle, self._dismissed = [], []
        await asyncio.gather(*(child.end() for child in ending))

    async def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            child.retiring.cancel()
            if child.is_alive:
                return child
            await child.kill()
        return await Child.start()

    def _keep(self, child: Child) -> None:
        self._idle.append(child)
        child.retiring = asyncio.get_running_loop().call_later(IDLE, self._retire, child)

    def _retire(self, child: Child) -> None:
        self._idle.remove(child)
        child.dismiss()
        self._dismissed = [one for one in self._dismissed if not one.is_closed] + [child]


class Child(asyncio.SubprocessProtocol):
    """One process, as its parent sees it."""

    retiring: asyncio.TimerHandle
    _transport: asyncio.SubprocessTransport
    _answer: asyncio.Future[Answer]
    _on_word: Callable[[Word], None]

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._exited = asyncio.Event()
        self._is_mute = False
        """Whether it can answer no more; that it has ended may be heard of later."""

    @classmethod
    async def start(cls) -> Child:
        """Start a process that waits for work."""
        loop = asyncio.get_running_loop()
        exec_python = loop.subprocess_exec(cls, sys.executable, "-c", START, stderr=None)
        starting = asyncio.create_task(exec_python)
        try:
            _, child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await outlast([starting])
            if not starting.cancelled() and starting.exception() is None:
                await starting.result()[1].kill()
            raise
        child._send((os.getpid(), _main(), sys.path))
        return child

    @property
    def is_alive(self) -> bool:
        """Whether it can be given work, as far as is known."""
        return not (self._is_mute or self._exited.is_set() or self.is_closed)

    @property
    def is_closed(self) -> bool:
        """Whether nothing of it is left here: some time after its end, or once it is killed."""
        return self._transport.is_closing()

    async def perform(self, work: Work, on_word: Callable[[Word], None]) -> Answer:
        """Return what becomes of *work*; tell *on_word* what the job says meanwhile.

        Raises ProcessDiedError.
        """
        self._on_word, self._answer = on_word, self._loop.create_future()
        if self._is_mute:  # it died before it was given anything
            raise ProcessDiedError
        self._send(work)
        return await self._answer

    async def kill(self) -> None:
        """End it in the middle of whatever it does, and wait until it is gone."""
        if not self._exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
            await outlast([asyncio.create_task(self._exited.wait())])
        self._transport.close()

    async def end(self) -> None:
        """End it, which has no work, and wait until it is gone."""
        self.retiring.cancel()
        self.dismiss()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), LAST_STEPS)
        await self.kill()

    def dismiss(self) -> None:
        """Let it end when its work is done."""
        self._requests.close()

    def connection_made(self, transport: Any) -> None:
        """Keep *transport*, which is the process. Called by the event loop, as what follows."""
        self._transport, self._requests = transport, transport.get_pipe_transport(0)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what the process says, frame by frame."""
        self._received += data
        while len(self._received) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._received)
            end = LENGTH.size + length
            if len(self._received) < end:
                return
            frame = bytes(self._received[LENGTH.size : end])
            del self._received[:end]
            self._hear(frame)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note that no answer comes any more."""
        if fd != 1:
            return
        self._is_mute = True
        answer = getattr(self, "_answer", None)
        if answer is not None and not answer.done():
            answer.set_exception(ProcessDiedError())

    def process_exited(self) -> None:
        """Note that the process is gone. What it had started may hold its pipes open."""
        self._exited.set()
        self._loop.call_later(LAST_STEPS, self._transport.close)

    def _hear(self, frame: bytes) -> None:
        if self._answer.done():  # it was cut off, or is one that nobody can read
            return
        try:
            told: Word | Answer = pickle.loads(frame)  # noqa: S301 - of our own process
            if isinstance(told, Answer):
                self._answer.set_result(told)
            else:
                self._on_word(told)
        except BaseException as error:  # noqa: BLE001 - a result may be of any class of the user's
            # A future takes no StopIteration, and what is no Exception would end the worker.
            if isinstance(error, StopIteration) or not isinstance(error, Exception):
                error = RuntimeError(f"{type(error).__qualname__} came of reading its answer")
            self._answer.set_exception(error)

    def _send(self, what: object) -> None:
        self._requests.write(pickle.dumps(what))


def _main() -> dict[str, Any]:
    # As multiprocessing has it; its own way to say it settles how the user may use it.
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return {"init_main_from_name": main.__spec__.name}
    path = getattr(main, "__file__", None)
    return {} if path is None else {"init_main_from_path": str(Path(path).absolute())}
