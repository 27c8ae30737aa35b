"""How much is measured: a full run, and a quick one that only shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of jobs, unless it says otherwise."""

    seconds: float = 2.0
    """How long each way to enqueue is tried."""
    most: int = 1_000_000
    """Upper bound of a drain; each peer says what takes it about three seconds."""
    samples: int = 300
    warming: int = 20
    others: int = 500_000
    """Waiting beside the measured ones, for all peers."""
    many_others: int = 1_000_000
    """Waiting, scheduled or finished beside the measured ones, for ours."""
    held: int = 1_000_000
    """Drained while another transaction holds a snapshot."""
    memory: int = 100_000
    """Waiting while the worker's memory is measured."""
    memory_seconds: float = 5.0
    load_seconds: float = 5.0
    """How long a worker is kept at half its peak."""
    naps: int = 1_000
    featured: int = 20_000
    """Jobs that are limited, or unique."""
    lane: int = 100_000
    """Waiting in one lane that is full."""

    def jobs(self, wanted: int) -> int:
        """Return how many to drain for a peer that says *wanted*."""
        return min(wanted, self.most)


FULL = Sizes()
QUICK = Sizes(
    seconds=0.3,
    most=1_000,
    samples=20,
    warming=5,
    others=2_000,
    many_others=3_000,
    held=5_000,
    memory=2_000,
    memory_seconds=0.5,
    load_seconds=1.0,
    naps=200,
    featured=500,
    lane=2_000,
)
