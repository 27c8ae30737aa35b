"""What a peer is, to the harness that measures it and to the processes that run it.

A peer is one file in `benchmarks.peers`. It defines a ``PEER``, read by the harness, and an
``Adapter``, used in the peer's own environment: so that only its methods import the peer.
Nothing here needs more than the standard library.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(IntEnum):
    """How urgent a job is. The measured ones are NORMAL; each peer has its own numbers."""

    URGENT = 0
    NORMAL = 1
    LOW = 2


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A job runner, and how to have and to judge it."""

    name: str
    """Of its file, its environment and on the command line."""
    title: str
    package: str = ""
    """Whose version is reported."""
    requirements: tuple[str, ...] = ()
    """What pip, or npm, installs; pinned. None: it runs in the harness's own environment."""
    python: tuple[int, int] = (3, 11)
    """The least version that the peer itself asks for."""
    script: str = ""
    """A program for Node beside the file, instead of an ``Adapter``."""
    store: str = "postgres"
    """What it keeps jobs in: postgres or redis."""
    jobs: int = 10_000
    """In one drain: about three seconds' work."""
    unfinished: str = ""
    """SQL that counts the jobs not yet stored as finished, the LOW ones left out. Without it
    the client is asked."""
    backlog: Mapping[str, str] = field(default_factory=dict)
    """SQL by kind (waiting, scheduled, finished) that stores $1 other jobs at once. A kind
    ``waiting`` without SQL is enqueued in bulk by the client."""
    fills: bool = True
    """Whether the client may enqueue a backlog: it has priorities, and is fast enough."""
    needs_listener: bool = False
    """It runs only what is enqueued while a worker listens: its drain is measured that way."""


class Adapter(Protocol):
    """What a peer's file does in the peer's own environment.

    ``Adapter(url)`` must be cheap. `many` may be missing: then the peer has no bulk insert.
    """

    def __init__(self, url: str) -> None: ...

    async def install(self) -> None:
        """Make the tables, in an empty database."""

    async def open(self) -> None:
        """Connect as a client does, before anything is timed."""

    async def later(self, sent: int, level: Level) -> None:
        """Store one job with the argument *sent*, and return when it is stored."""

    async def many(self, count: int, level: Level) -> None:
        """Store *count* jobs with the argument 0 in the fastest way that is documented."""

    async def work(self, options: Mapping[str, Any]) -> None:
        """Work until the process ends. The job calls ``RECORD.started(sent)`` first."""


class Record:
    """What the jobs of this process did."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.count = self.first = self.last = 0
        """Jobs started, without the LOW ones; when the first and the last one did (ns)."""
        self.delays: list[int] = []
        """From `later` to the first line of the job (ns), of the jobs that were stamped."""

    def started(self, sent: int) -> None:
        """Note the start of a job: *sent* is when `later` was called, 0, or -1 for a LOW one."""
        if sent < 0:
            return
        now = time.monotonic_ns()
        if not self.count:
            self.first = now
        self.count += 1
        self.last = now
        if sent:
            self.delays.append(now - sent)


RECORD = Record()
"""Of this process: jobs are functions of a module, and most peers want them so."""


def argument(level: Level) -> int:
    """Return what a job is given that nobody waits for."""
    return -1 if level is Level.LOW else 0
