"""What one worker tells of itself, to whoever asks in its process: see `asyncjobs.metrics`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from asyncjobs.metering import DURATIONS, SIZES, Meter

if TYPE_CHECKING:
    from asyncjobs.config import WorkerGroup
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.finisher import Finisher


@dataclass(frozen=True, slots=True)
class Meters:
    """What is measured batch by batch, never job by job."""

    claims: Meter = field(default_factory=lambda: Meter(SIZES))
    """Jobs of each claim; 0 if it found none."""
    claim_seconds: Meter = field(default_factory=lambda: Meter(DURATIONS))
    finishes: Meter = field(default_factory=lambda: Meter(SIZES))
    """Outcomes of each batch that was recorded."""
    finish_seconds: Meter = field(default_factory=lambda: Meter(DURATIONS))
    loop_lag: Meter = field(default_factory=lambda: Meter(DURATIONS))
    """Seconds that the event loop took to come to a step that the heartbeat's thread asked
    for, about four times a second."""


class Workload(NamedTuple):
    """A worker at this moment."""

    worker: str
    group: str
    slots: int
    """Jobs that may run at once."""
    running: int
    buffered: int
    """Claimed, and not started yet."""
    unrecorded: int
    """Outcomes that are not recorded yet."""
    started: int
    """Attempts so far."""
    meters: Meters


def workload_of(
    name: str, group: WorkerGroup, executor: Executor, finisher: Finisher, meters: Meters
) -> Workload:
    """Return what the worker *name* does at this moment."""
    return Workload(
        name,
        group.label,
        slots=group.concurrency,
        running=len(executor.running),
        buffered=executor.buffered,
        unrecorded=len(finisher),
        started=executor.started,
        meters=meters,
    )
