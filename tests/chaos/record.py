"""What the jobs wrote, and what must be true of it whatever was done to their workers."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

ENDS = ("succeeded", "failed", "cancelled")


class Line(NamedTuple):
    """What a job wrote."""

    kind: str
    """``begin``, or how it ended."""
    job: int
    attempt: int
    pid: int
    at: int
    """Nanoseconds of the monotonic clock."""
    facts: dict[str, str]
    """What else the job said of itself."""

    @classmethod
    def parse(cls, text: str) -> Line:
        """Read what `recording` wrote."""
        kind, job, attempt, pid, at, *facts = text.split()
        pairs = (fact.split("=", 1) for fact in facts)
        return cls(kind, int(job), int(attempt), int(pid), int(at), dict(pairs))


class Run(NamedTuple):
    """One attempt, as the job itself saw it. Times are nanoseconds of the monotonic clock."""

    job: int
    attempt: int
    pid: int
    begin: int
    end: int | None
    """None if the process died before."""
    how: str | None


class JobRow(NamedTuple):
    """What the table says of a job."""

    id: int
    name: str
    state: str
    attempt: int
    errors: str | None


@dataclass
class Record:
    """The runs of each job, in the order of their beginning."""

    runs: dict[int, list[Run]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, path: Path) -> Record:
        """Return what has been written so far."""
        record = cls()
        open_runs: dict[tuple[int, int], Run] = {}
        text = path.read_text() if path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # the last may be half written
        for line in lines:
            kind, job, attempt, pid, at, _ = Line.parse(line)
            if kind == "begin":
                run = open_runs[job, pid] = Run(job, attempt, pid, at, None, None)
                record.runs[job].append(run)
            elif kind in ENDS:
                begun = open_runs.pop((job, pid))
                place = record.runs[job].index(begun)
                record.runs[job][place] = begun._replace(end=at, how=kind)
        for runs in record.runs.values():
            runs.sort(key=lambda run: run.begin)
        return record

    def all(self) -> Iterable[Run]:
        """Go through all runs of all jobs."""
        for runs in self.runs.values():
            yield from runs

    def succeeded(self) -> set[int]:
        """Return the jobs that came to their end at least once."""
        return {run.job for run in self.all() if run.how == "succeeded"}


def overlaps(
    record: Record, *, deaths: Mapping[int, int], lapses: Mapping[int, int] | None = None
) -> list[tuple[Run, Run]]:
    """Return the pairs of runs of one job that happened at the same time.

    *deaths* says when a process died, for runs without an end. *lapses* says from when on
    the lease of a process was over, because the test stopped it: from then on others may run
    its jobs.
    """
    found = []
    for runs in record.runs.values():
        for earlier, later in pairwise(runs):
            end = earlier.end if earlier.end is not None else deaths.get(earlier.pid)
            lapse = (lapses or {}).get(earlier.pid)
            excused = lapse is not None and later.begin >= lapse
            if (end is None or later.begin < end) and not excused:
                found.append((earlier, later))
    return found


def missing(record: Record, acknowledged: Collection[int]) -> set[int]:
    """Return the jobs that were stored and have never succeeded."""
    return set(acknowledged) - record.succeeded()


def unaccounted(record: Record, rows: Iterable[JobRow], acknowledged: Collection[int]) -> set[int]:
    """Return the jobs that were stored and are gone, or count as succeeded and have not."""
    kept = {row.id: row.state for row in rows}
    succeeded = record.succeeded()
    return {
        job
        for job in acknowledged
        if job not in kept or (kept[job] == "succeeded" and job not in succeeded)
    }


def miscounted(record: Record, rows: Iterable[JobRow]) -> list[tuple[JobRow, list[Run]]]:
    """Return the finished jobs whose attempts are not exactly what happened to them.

    Each failure counts, each loss of a worker but the second, and the success; runs that
    came to no end must be among the losses.
    """
    wrong = []
    for row in rows:
        runs = record.runs.get(row.id, [])
        errors = [error["error"] for error in json.loads(row.errors or "[]")]
        losses = errors.count("WorkerLost")
        counted = len(errors) - (losses >= 2) + (row.state == "succeeded")
        unended = sum(run.how is None for run in runs)
        highest = max((run.attempt for run in runs), default=0)
        if row.attempt != counted or unended > losses or highest > row.attempt:
            wrong.append((row, runs))
    return wrong
