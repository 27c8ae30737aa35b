"""The figures of a soak: what was done, how long it took, and what grew."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import chaos_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from books import Books

WARM_UP = 0.2
"""The share of the time after which memory and table have their lasting size."""
MEGABYTE = 2**20
SHOWN = 50
"""How many violations are printed."""


@dataclass
class Figures:
    """What is counted on the way."""

    minutes: float
    lease: float
    workers: int = 0
    peak: float = 0.0
    acknowledged: int = 0
    cancelled: int = 0
    kills: int = 0
    lost: int = 0
    """Attempts of killed workers."""
    rescues: list[float] = field(default_factory=list)
    """Seconds."""
    memory: list[float] = field(default_factory=list)
    """Bytes, on average of the workers that are never killed."""
    table: list[int] = field(default_factory=list)
    """Bytes, with its indexes."""

    def sample(self, memory: Sequence[int], table: int) -> None:
        """Note the size of some workers and of the table."""
        self.memory.append(statistics.mean(memory))
        self.table.append(table)

    def judge_growth(self, wrong: list[str]) -> None:
        """Add to *wrong* what is larger at the end than it should be."""
        for what, (start, end), factor, more in (
            ("the table", self._table, 1.5, 16),
            ("the workers", self._memory, 1.2, 8),
        ):
            if end > factor * start + more:
                wrong.append(f"{what} grew from {start:.0f} to {end:.0f} MB")

    def report(self, books: Books) -> bool:
        """Print the table and what is wrong; return whether that is nothing."""
        for name, figure in self._rows(books).items():
            print(f"| {name} | {figure} |")
        for violation in books.wrong[:SHOWN]:
            print("WRONG:", violation)
        return not books.wrong

    @property
    def _table(self) -> tuple[float, float]:
        warm = int(len(self.table) * WARM_UP)
        return max(self.table[: warm + 1]) / MEGABYTE, self.table[-1] / MEGABYTE

    @property
    def _memory(self) -> tuple[float, float]:
        warm = int(len(self.memory) * WARM_UP)
        return self.memory[warm] / MEGABYTE, self.memory[-1] / MEGABYTE

    def _rows(self, books: Books) -> dict[str, str]:
        rescues = self.rescues or [0.0]
        turns = sum(n for lane, n in books.runs_in_lanes.items() if lane.startswith("key:turn:"))
        keys = [lane for lane in books.runs_in_lanes if lane.removeprefix("key:").isdigit()]
        runs = sum(books.runs_in_lanes[lane] for lane in keys)
        most = max((books.most_in_lanes[lane] for lane in keys), default=0)
        ticks = sum(len(ticks) for ticks in books.ticks.values())
        return {
            "machine": f"{os.cpu_count()} cores, load average {os.getloadavg()[2]:.1f}",
            "duration": f"{self.minutes:g} min",
            "peak, quick jobs only": f"{self.peak:,.0f} jobs/s",
            "load": f"{self.acknowledged / self.minutes / 60:,.0f} calls/s, "
            f"{len(chaos_app.QUEUES)} queues, {self.workers} worker processes",
            "calls acknowledged": f"{self.acknowledged:,}",
            "attempts that failed": f"{books.failed_attempts:,}",
            "cancelled, waiting or running": f"{self.cancelled:,}",
            "runs in lanes": f"{runs:,} in {len(keys)}, at most {most} at once in each "
            f"({chaos_app.IN_LANE} admitted), {books.most_in_lanes['queue:narrow']} in their "
            f"queue ({chaos_app.IN_QUEUE} admitted)",
            "turns, in strict order": f"{turns:,}",
            "ticks": f"{ticks:,} of {len(books.ticks)} schedules",
            "kills": f"{self.kills}",
            "attempts lost by them": f"{self.lost:,}",
            f"from kill to rescue, with a lease of {self.lease:g} s": (
                f"{statistics.mean(rescues):.1f} s, at most {max(rescues):.1f} s"
            ),
            "from call to start, p50 / p99": milliseconds(books.latencies),
            "from its time to the start of a delayed job, likewise": milliseconds(books.delays),
            "memory of a worker, after a fifth of the time / at the end": megabytes(self._memory),
            "table with its indexes, likewise": megabytes(self._table),
            "violations": f"{len(books.wrong)}",
        }


def milliseconds(waits: Sequence[float]) -> str:
    """Return the median and the 99th percentile of seconds, for people."""
    if not waits:
        return "none"
    ordered = sorted(waits)
    p50, p99 = (1_000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return f"{p50:,.0f} ms / {p99:,.0f} ms"


def megabytes(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.0f} MB / {pair[1]:.0f} MB"
