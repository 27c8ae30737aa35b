"""The schedules of MemoryAdapter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConnectionKindError
from asyncjobs.recurrence import timing_of
from asyncjobs.schedule_types import LATE, DueSchedules, Fired, Lateness, Schedule
from asyncjobs.storage.schedule_records import (
    Template,
    as_record,
    extras_as_json,
    notes_of,
    run_of,
    split_runs,
)
from asyncjobs.types import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from datetime import datetime

    from asyncjobs.schedule_types import NewSchedule, Plan, Standing
    from asyncjobs.storage.memory_rows import Row
    from asyncjobs.types import NewJob, Outcome, StoredJob

NOT_YET = (
    "next_at", "last_at", "last_result", "finished_at", "skipped_at", "gave_up_at", "retired_at",
    "problem",
)  # fmt: skip
WHEN = ("cron", "timezone", "every", "starting_at")


@dataclass
class Entry:
    """A schedule, and the definitions that it had, the oldest first."""

    row: Schedule
    definitions: list[str] = field(default_factory=list)


class MemorySchedules:
    """Keep schedules in memory; see `asyncjobs.storage.schedules.ScheduleStorage`."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        store: Callable[[Sequence[NewJob]], list[StoredJob]],
        runs: Mapping[int, Row],
        workers: Container[int],
        tell: Callable[[Signal], None],
    ) -> None:
        self._clock, self._store, self._tell = clock, store, tell
        self._runs, self._workers = runs, workers
        self._entries: dict[str, Entry] = {}
        self._declared: dict[int, dict[str, str]] = {}
        self.takes_connections = False
        """Whether `put` does with a connection as without; otherwise it is refused."""

    async def put(self, schedule: NewSchedule, *, connection: object | None = None) -> Schedule:
        """Store a schedule. There are no transactions, so a *connection* is refused."""
        if connection is not None and not self.takes_connections:
            kind = type(connection).__name__
            raise ConnectionKindError(f"MemoryAdapter has no transactions: got {kind}")
        entry = self._write(schedule, declared=None)
        entry.definitions = []
        row = self._change(entry, failures=0, gave_up_at=None, retired_at=None)
        if row.next_at is None and row.is_active:
            row = self._change(entry, next_at=timing_of(row).next(row.after_at))
        return row

    async def declare(
        self, worker: int, schedules: Sequence[NewSchedule], queues: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Store what the code of *worker* declares, and retire what nobody's code does."""
        if worker not in self._workers:
            return [], []
        told = {schedule.name: as_record(schedule)["definition"] for schedule in schedules}
        self._declared[worker] = told
        self._declared = {w: names for w, names in self._declared.items() if w in self._workers}
        changed = [one.name for one in schedules if self._declare(one, told[one.name])]
        living = {name for names in self._declared.values() for name in names}
        gone = [
            entry
            for name, entry in self._entries.items()
            if entry.row.declared and not entry.row.retired_at
            and entry.row.queue in queues and name not in living
        ]  # fmt: skip
        for entry in gone:
            self._change(entry, retired_at=self._clock())
        return changed, [entry.row.name for entry in gone]

    def _declare(self, schedule: NewSchedule, definition: str) -> bool:
        entry = self._entries.get(schedule.name)
        counts_now = entry.row.declared if entry else None
        known = entry.definitions if entry else []
        if entry and counts_now == definition and entry.row.retired_at is None:
            return False
        order = known if definition in known else [*known, definition]
        names = [declared.get(schedule.name) for declared in self._declared.values()]
        living = [order.index(name) for name in names if name in order]
        if order.index(definition) < max(living, default=0):
            return False
        entry = self._write(schedule, declared=definition)
        entry.definitions = order[-20:]
        facts: dict[str, Any] = {"retired_at": None}
        if counts_now != definition:
            facts |= {"gave_up_at": None, "failures": 0}
        self._change(entry, **facts)
        return True

    def _write(self, schedule: NewSchedule, declared: str | None) -> Entry:
        job, when = schedule.job, schedule.recurrence
        facts: dict[str, Any] = {
            "job": job.name, "queue": job.queue, "priority": job.priority, "args": job.args,
            "extras": extras_as_json(job.extras), "declared": declared, **when._asdict(),
        }  # fmt: skip
        now = self._clock()
        entry = self._entries.get(schedule.name)
        if when.every is not None and when.starting_at is None:
            as_before = entry is not None and entry.row.every == when.every
            facts["starting_at"] = entry.row.starting_at if entry and as_before else now
        if entry is not None:
            self._change(entry, **facts)
            return entry
        blank: dict[str, Any] = dict.fromkeys(NOT_YET)
        row = Schedule(
            name=schedule.name, enabled=True, after_at=now, created_at=now, failures=0,
            **blank, **facts,
        )  # fmt: skip
        self._entries[schedule.name] = Entry(row)
        self._tell(Signal(schedules=True))
        return self._entries[schedule.name]

    def _change(self, entry: Entry, **facts: Any) -> Schedule:
        # What the trigger keep_schedule does in PostgreSQL.
        old, new = entry.row, entry.row._replace(**facts)
        if not new.is_active:
            new = new._replace(next_at=None)
        elif not old.is_active or any(getattr(old, key) != getattr(new, key) for key in WHEN):
            new = new._replace(after_at=self._clock(), next_at=None, problem=None)
        entry.row = new
        if new.is_active and new.next_at is None:
            self._tell(Signal(schedules=True))
        return new

    async def due(self, jobs: Sequence[str]) -> DueSchedules:
        """Return the active schedules of *jobs* that have a tick or are to be planned."""
        now = self._clock()
        rows = [e.row for e in self._entries.values() if e.row.is_active and e.row.job in jobs]
        later = [row.next_at for row in rows if row.next_at is not None and row.next_at > now]
        due = [row for row in rows if row.next_at is None or row.next_at <= now]
        return DueSchedules(now, due, (min(later) - now).total_seconds() if later else None)

    async def advance(self, plans: Sequence[Plan]) -> Fired:
        """Carry out *plans*, and store the runs they make."""
        planned = [plan for plan in plans if self._is_as_seen(plan)]
        ticks = sorted((tick, p.name) for p in planned for tick in self._ticks_to_run(p))
        jobs = [run_of(name, tick, self._template(name)) for tick, name in ticks]
        made, _ = split_runs(jobs, self._store(jobs))
        for plan in planned:
            self._advance(plan, [tick for name, tick, _ in made if name == plan.name])
        return Fired([plan.name for plan in planned], made)

    def _is_as_seen(self, plan: Plan) -> bool:
        entry = self._entries.get(plan.name)
        return entry is not None and entry.row.is_active and entry.row.after_at == plan.after_at

    def _ticks_to_run(self, plan: Plan) -> list[datetime]:
        if self._entries[plan.name].row.overlap == "skip" and self._has_run(plan.name):
            return []
        had = {run.job.extras.tick for run in self._runs_of(plan.name) if run.job.extras}
        return [tick for tick in plan.ticks if tick not in had]

    def _advance(self, plan: Plan, made: list[datetime]) -> None:
        row = self._entries[plan.name].row
        skipped = [tick for tick in plan.ticks if tick not in made]
        skipped += [tick for tick in (plan.skipped_at, row.skipped_at) if tick is not None]
        self._entries[plan.name].row = row._replace(
            after_at=plan.covered_at,
            next_at=plan.next_at,
            last_at=max(made, default=row.last_at),
            last_result=None if made else row.last_result,
            skipped_at=max(skipped, default=None),
            problem=None,
        )

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Say in their schedules how runs ended."""
        for note in notes_of(outcomes):
            if entry := self._entries.get(note.schedule):
                now, row = self._clock(), entry.row
                failures = note.failures + (0 if note.cleared else row.failures)
                gives_up = note.result == "failed" and failures >= note.most
                gave_up_at = row.gave_up_at or now if gives_up else row.gave_up_at
                self._change(
                    entry, last_result=note.result, finished_at=now,
                    failures=failures, gave_up_at=gave_up_at,
                )  # fmt: skip

    async def get(self, names: Sequence[str] | None = None) -> list[Schedule]:
        """Return schedules by name."""
        wanted = self._entries if names is None else set(names) & self._entries.keys()
        return [self._entries[name].row for name in sorted(wanted)]

    async def find(
        self,
        *,
        after: str | None = None,
        containing: str | None = None,
        standing: Standing | None = None,
        limit: int = 100,
    ) -> list[Schedule]:
        """Return some schedules by name."""
        part = (containing or "").lower()
        return [
            row
            for row in await self.get()
            if (after is None or row.name > after)
            and (part in row.name.lower() or part in row.job.lower())
            and standing in {None, row.standing}
        ][:limit]

    async def counts(self) -> dict[Standing, int]:
        """Return how many schedules there are by how they stand."""
        return dict(Counter(entry.row.standing for entry in self._entries.values()))

    async def lateness(self) -> Lateness:
        """Return how late those are that should run."""
        now = self._clock()
        active = [entry.row for entry in self._entries.values() if entry.row.is_active]
        late = [now - (row.next_at or row.after_at) for row in active]
        return Lateness(
            sum(each > LATE for each in late),
            max((each.total_seconds() for each in late if each > timedelta()), default=0.0),
            sum(row.problem is not None for row in active),
        )

    async def switch(self, name: str, *, enabled: bool) -> bool:
        """Switch a schedule on or off, and return whether there is one."""
        entry = self._entries.get(name)
        if entry is not None:
            restart = {"gave_up_at": None, "failures": 0} if enabled else {}
            self._change(entry, enabled=enabled, **restart)
        return entry is not None

    async def remove(self, name: str) -> bool:
        """Remove a schedule but not its runs, and return whether there was one."""
        return self._entries.pop(name, None) is not None

    async def run_now(self, name: str) -> StoredJob | None:
        """Store a run of a schedule that is for no tick."""
        entry = self._entries.get(name)
        if entry is None or (entry.row.overlap == "skip" and self._has_run(name)):
            return None
        [stored] = self._store([run_of(name, None, self._template(name))])
        return stored

    async def report(self, name: str, problem: str) -> bool:
        """Note that a schedule cannot be read, if nobody could for a minute."""
        entry = self._entries.get(name)
        if entry is None or entry.row.problem == problem or not self._is_forgotten(entry.row):
            return False
        self._change(entry, problem=problem)
        return True

    async def report_orphans(
        self, jobs: Sequence[str], queues: Sequence[str]
    ) -> list[tuple[str, str]]:
        """Note which schedules of *queues* nobody ran for a minute and *jobs* does not have."""
        found = [
            entry
            for entry in self._entries.values()
            if entry.row.is_active and entry.row.job not in jobs and entry.row.queue in queues
            and entry.row.problem is None and self._is_forgotten(entry.row)
        ]  # fmt: skip
        for entry in found:
            self._change(entry, problem=f"no worker knows the job {entry.row.job}")
        return [(entry.row.name, entry.row.job) for entry in found]

    def _is_forgotten(self, row: Schedule) -> bool:
        return (row.next_at or row.after_at) < self._clock() - LATE

    def _template(self, name: str) -> Template:
        row = self._entries[name].row
        return Template(row.job, row.queue, row.priority, row.args, row.extras)

    def _has_run(self, name: str) -> bool:
        return any(run.finished_at is None for run in self._runs_of(name))

    def _runs_of(self, name: str) -> list[Row]:
        return [
            row for row in self._runs.values() if row.job.extras and row.job.extras.schedule == name
        ]
