"""What a process of the pool does: jobs with ``process=True``, one after the other.

Its parent writes pickled `Work` to its stdin. On what was its stdout it answers in frames, a
length and a pickle each: any number of `Word`, then one `Answer`. The job sees neither pipe:
what it prints goes to stderr, and so does what a library or another program prints for it.
"""

from __future__ import annotations

import contextvars
import ctypes
import functools
import importlib
import multiprocessing.spawn
import os
import pickle
import signal
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from asyncjobs.context import JobContext, enter_job
from asyncjobs.worker.moving import packed
from asyncjobs.worker.outcome import traceback_of
from asyncjobs.worker.progress import MAX_MESSAGE, PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.job import Job

LENGTH = struct.Struct("!Q")
"""What stands before each frame."""
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""
PARENT_LOOK = 0.5
"""Seconds between two looks at whether the parent lives, where the system does not tell."""


class Work(NamedTuple):
    """What a process is asked to do."""

    module: str
    qualname: str
    args: str
    facts: dict[str, Any]
    before: bytes
    """What is to be called there before: what sets its log up, once, and the hooks. Pickled by
    itself, because reading it imports what may fail."""


class Word(NamedTuple):
    """What the job says of its progress."""

    done: float
    message: str | None


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


class RemoteTracebackError(Exception):
    """Shows where in the other process an error came from, as its cause."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class Teller:
    """Tells the parent of one attempt. `put` may be called from any thread of the job.

    The first word leaves at once, then the newest of each `PAUSE`, and the last one before
    the answer.
    """

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._newest: Word | None = None
        self._next_at = 0.0
        """By the monotonic clock; a word before that waits."""
        self._timer: threading.Timer | None = None
        self._over = False

    def put(self, job: int, attempt: int, done: float, message: str | None) -> None:
        """Take note of a word; *job* and *attempt* are known to the parent."""
        if message is not None:
            message = message[: MAX_MESSAGE + 1]  # one more, so that it shows that it goes on
        with self._lock:
            if self._over:
                return
            self._newest = Word(float(done), message)
            self._tell_in_time()

    def end(self, answer: bytes) -> None:
        """Tell the last word, and then the pickled *answer*. Later words are ignored."""
        with self._lock:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
            self._send_word()
            self._send(answer)

    def _tell_late(self) -> None:
        with self._lock:
            self._timer = None
            if not self._over and self._newest is not None:
                self._tell_in_time()  # the job may have told one while this waited for the lock

    def _tell_in_time(self) -> None:
        wait = self._next_at - time.monotonic()
        if wait <= 0:
            self._send_word()
        elif self._timer is None:
            self._timer = threading.Timer(wait, self._tell_late)
            self._timer.daemon = True
            self._timer.start()

    def _send_word(self) -> None:
        if self._newest is not None:
            self._send(pickle.dumps(self._newest))
            self._newest, self._next_at = None, time.monotonic() + PAUSE

    def _send(self, frame: bytes) -> None:
        self._pipe.write(LENGTH.pack(len(frame)) + frame)
        self._pipe.flush()


def serve(requests: BinaryIO, parent: int, main: dict[str, Any]) -> None:
    """Do what the process *parent* asks for, until it closes the pipe *requests*.

    *main* tells `multiprocessing` where the parent's main module is.
    """
    answers = _take_pipes()
    _die_with(parent)
    while True:
        try:
            work: Work = pickle.load(requests)  # noqa: S301 - of our parent
        except EOFError:
            return
        teller = Teller(answers)
        teller.end(_pickled(_perform(work, main, teller)))


class Known(NamedTuple):
    """The job of this process, whose row only the parent can reach."""

    told: JobContext

    @property
    def id(self) -> int:
        """The job's."""
        return self.told.id

    @property
    def storage(self) -> None:
        """None is here."""
        return

    def context(self) -> JobContext:
        """Return what the parent told of the job."""
        return self.told


def _perform(work: Work, main: dict[str, Any], teller: Teller) -> Answer:
    try:
        if main and (work.module == "__main__" or b"__main__" in work.before):
            multiprocessing.spawn.prepare(main)
            main.clear()  # once is enough
        # A context of its own: what one job sets must not reach the next one.
        return Answer(contextvars.copy_context().run(_call, work, teller))
    except BaseException as error:  # noqa: BLE001 - it is raised in the parent
        return _refusal(error)


def _call(work: Work, teller: Teller) -> Any:
    set_up_log, hooks = pickle.loads(work.before)  # noqa: S301 - of our parent
    if set_up_log is not None:
        _call_once(set_up_log)
    job = _find(work)
    context = JobContext(**work.facts, on_progress=teller.put)
    enter_job(Known(context))
    for enter in hooks:
        enter(context)
    return job.function(**job.codec.decode(work.args))


def _find(work: Work) -> Job[..., Any]:
    found: Any = importlib.import_module(work.module)
    for name in work.qualname.split("."):
        found = getattr(found, name)
    job: Job[..., Any] = found
    return job


@functools.cache
def _call_once(set_up: Callable[[], None]) -> None:
    set_up()  # before the job's module is imported, which may know better


def _pickled(answer: Answer) -> bytes:
    try:
        return pickle.dumps(answer)
    except BaseException as error:  # noqa: BLE001 - what it returns may be anything
        return pickle.dumps(_refusal(error))


def _refusal(error: BaseException) -> Answer:
    return Answer(error=packed(error), trace=traceback_of(error))


def _take_pipes() -> BinaryIO:
    # A copy is not inherited; what the job starts gets what stands in the old places.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def _die_with(parent: int) -> None:
    # A terminal and a service manager signal all processes; what to end now, the parent says.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which programs inherit
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK)
    os._exit(1)
