"""What workers and storage tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class WorkerInfo(NamedTuple):
    """What a worker says of itself when it registers."""

    name: str
    """The same after a restart."""
    group: str
    queues: list[str]
    host: str
    host_id: str
    """Equal for two processes exactly if they can see each other's process numbers."""
    pid: int
    started: float
    """The process's start in seconds after its system's: tells a reused process number."""
    lease: float
    version: str = "unknown"
    """Of this package."""
    concurrency: int | None = None
    """How many jobs it runs at once."""
    quiet: bool = False
    """It has been told to claim nothing, when it was registered before."""


class Heartbeat(NamedTuple):
    """The answer to a sign of life."""

    alive: bool
    """False: this worker was declared dead and its jobs were given to others."""
    cancel: list[int]
    """Jobs this worker runs whose cancellation was asked for."""
    clock_offset: float = 0.0
    """Seconds that the storage's clock is ahead of this machine's."""
    quiet: bool = False
    """The worker is to claim nothing more."""
    stop: bool = False
    """The worker is to end."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became due, and when to look again."""

    count: int
    next_in: float | None
    """Seconds until the next future job is due; None if there is none. When as many became
    due as were asked for, it may be 0 without one."""


class LocalWorker(NamedTuple):
    """A registered worker of the same machine."""

    id: int
    pid: int
    started: float


class Rescued(NamedTuple):
    """A job taken from a worker that fell silent."""

    id: int
    name: str
    worker: str
    attempt: int
    queue: str


ALL_QUEUES = "*"
"""In place of the names of queues: there are too many for one notification."""


class Signal(NamedTuple):
    """What a listener hears. Empty fields say nothing."""

    ready: frozenset[str] = frozenset()
    """Queues with a new job to run; "*" for any."""
    priority: int = 0
    """The most urgent of these jobs; lower is more urgent."""
    due_in: float | None = None
    """Seconds until the earliest of the new future jobs."""
    cancel: tuple[int, ...] = ()
    watched: tuple[int, ...] = ()
    """Running jobs that somebody wants to hear of from now on."""
    changed: tuple[int, ...] = ()
    """Watched jobs whose state or progress changed."""
    lanes: tuple[str, ...] = ()
    """Lanes with room, or with a new job in the line; "*" for all."""
    workers: tuple[int, ...] = ()
    """Workers of which something else is wished than before."""
    pauses: bool = False
    """Something was paused or resumed."""
    schedules: bool = False
    """A schedule was stored or changed."""
    missed: bool = False
    """Signals may have been lost, or there will be none: look at everything."""
    proven: bool = False
    """Signals are known to arrive, from now on until one says `missed`."""
