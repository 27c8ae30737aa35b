"""The table of schedules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from asyncjobs.recurrence import timing_of
from asyncjobs.schedule_types import LATE, DueSchedules, Fired, Lateness, Schedule
from asyncjobs.storage.postgres.external import driver_connection
from asyncjobs.storage.postgres.failures import in_doubt, translated
from asyncjobs.storage.postgres.patience import fetch_patiently, patiently
from asyncjobs.storage.schedule_records import (
    Template,
    as_record,
    extras_as_json,
    run_of,
    split_runs,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncjobs.schedule_types import NewSchedule, Plan, Run, Standing
    from asyncjobs.storage.postgres.jobs import JobsTable
    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import StoredJob

T = TypeVar("T")
LIMIT = 1_000
"""Schedules in one look."""
PATIENCE = "1s"
"""How long declarations wait for a transaction that changes a schedule: others of a deploy do."""


class SchedulesTable:
    """The statements about schedules."""

    def __init__(self, lanes: Lanes, statements: Statements, schema: str, jobs: JobsTable) -> None:
        self._lanes, self._sql, self._schema, self._jobs = lanes, statements, schema, jobs

    async def put(self, schedule: NewSchedule, *, connection: object | None = None) -> Schedule:
        """Store a schedule; see `ScheduleStorage.put`."""
        if connection is not None:
            driver = await driver_connection(connection)
            with translated(self._schema, is_callers=True):
                return await self._put(schedule, driver)

        async def put(own: Any) -> Schedule:
            return await self._put(schedule, own)

        return await self._patiently(schedule.name, put)

    async def _patiently(self, name: str, ask: Callable[[Any], Awaitable[T]]) -> T:
        return await patiently(self._lanes.admin, f"the schedule {name!r}", ask)

    async def _put(self, schedule: NewSchedule, connection: Any) -> Schedule:
        job, when = schedule.job, schedule.recurrence
        await connection.fetch(
            self._sql.put_schedule,
            schedule.name,
            job.name,
            job.queue,
            job.priority,
            job.args,
            extras_as_json(job.extras),
            when.cron,
            when.timezone,
            when.every,
            when.starting_at,
            when.catch_up,
            when.overlap,
        )
        [row] = await connection.fetch(self._sql.get_schedules, [schedule.name])
        stored = Schedule(**row)
        if stored.next_at is None and stored.is_active:
            first = timing_of(stored).next(stored.after_at)
            await connection.fetch(self._sql.plan_schedule, stored.name, stored.after_at, first)
            stored = stored._replace(next_at=first)
        return stored

    async def declare(
        self, worker: int, schedules: Sequence[NewSchedule], queues: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Store what a worker's code declares; see `ScheduleStorage.declare`."""
        records = {schedule.name: as_record(schedule) for schedule in schedules}
        definitions = [record["definition"] for record in records.values()]
        async with self._lanes.fleet.transaction() as connection:
            with in_doubt("the same schedule"):
                living = await connection.fetch(
                    self._sql.record_declarations, worker, list(records), definitions, PATIENCE
                )
                if not living:
                    return [], []
                changed = await connection.fetch(
                    self._sql.declare_schedules, json.dumps(list(records.values()))
                )
                retired = await connection.fetch(self._sql.retire_schedules, list(queues))
        return [row[0] for row in changed], [row[0] for row in retired]

    async def due(self, jobs: Sequence[str]) -> DueSchedules:
        """Return the schedules that have a tick; see `ScheduleStorage.due`."""
        rows = await self._lanes.fleet.fetch(self._sql.due_schedules, list(jobs), LIMIT)
        next_in = 0.0 if len(rows) == LIMIT else rows[0]["next_in"]
        found = [
            Schedule(**{name: row[name] for name in Schedule._fields})
            for row in rows
            if row["name"] is not None
        ]
        return DueSchedules(rows[0]["now"], found, next_in)

    async def advance(self, plans: Sequence[Plan]) -> Fired:
        """Carry out plans; see `ScheduleStorage.advance`."""
        by_name = {plan.name: plan for plan in plans}
        async with self._lanes.fleet.transaction() as connection:
            rows = await connection.fetch(
                self._sql.lock_schedules, list(by_name), [plan.after_at for plan in plans]
            )
            names = [row["name"] for row in rows]
            if not names:
                return Fired([], [])
            before = {name: told for name, *told in rows}
            told = json.dumps([plan_record(by_name[name]) for name in names])
            runs = await connection.fetch(self._sql.advance_schedules, told)
            jobs = [run_of(name, tick, Template(*columns)) for name, tick, *columns in runs]
            stored = await self._jobs.enqueue(jobs, connection, is_patient=False)
            made, skipped = split_runs(jobs, stored)
            if skipped:
                await self._note_skipped(connection, before, made, skipped)
        return Fired(names, made)

    async def _note_skipped(
        self,
        connection: Any,
        before: dict[str, list[str | None]],
        made: Sequence[Run],
        skipped: Sequence[Run],
    ) -> None:
        # They were told before that these ticks have runs.
        last_made = {name: [tick.isoformat(), None] for name, tick, _ in made}
        last_skipped = {name: tick for name, tick, _ in skipped}
        last = [last_made.get(name) or before[name] for name in last_skipped]
        columns = [list(column) for column in zip(*last, strict=True)]
        skips = [list(last_skipped), *columns, list(last_skipped.values())]
        await connection.fetch(self._sql.skip_runs, *skips)

    async def get(self, names: Sequence[str] | None = None) -> list[Schedule]:
        """Return schedules by name."""
        wanted = None if names is None else list(names)
        rows = await self._lanes.admin.fetch(self._sql.get_schedules, wanted)
        return [Schedule(**row) for row in rows]

    async def find(
        self,
        *,
        after: str | None = None,
        containing: str | None = None,
        standing: Standing | None = None,
        limit: int = 100,
    ) -> list[Schedule]:
        """Return some schedules by name; see `ScheduleStorage.find`."""
        part = containing.lower() if containing else None
        names = await self._lanes.overview.fetch(
            self._sql.find_schedules, after, part, standing, limit
        )
        wanted = [row["name"] for row in names]
        rows = await self._lanes.overview.fetch(self._sql.get_schedules, wanted)
        return [Schedule(**row) for row in rows]

    async def counts(self) -> dict[Standing, int]:
        """Return how many schedules there are by how they stand."""
        rows = await self._lanes.overview.fetch(self._sql.count_schedules)
        return {row["standing"]: row["schedules"] for row in rows}

    async def lateness(self) -> Lateness:
        """Return how late those are that should run."""
        rows = await self._lanes.overview.fetch(self._sql.read_lateness, LATE.total_seconds())
        return Lateness(*rows[0])

    async def switch(self, name: str, *, enabled: bool) -> bool:
        """Switch a schedule on or off; see `ScheduleStorage.switch`."""
        return bool(await self._change(self._sql.switch_schedule, name, enabled))

    async def remove(self, name: str) -> bool:
        """Remove a schedule and return whether there was one."""
        return bool(await self._change(self._sql.remove_schedule, name))

    async def _change(self, statement: str, name: str, *args: Any) -> Sequence[Any]:
        what = f"the schedule {name!r}"
        return await fetch_patiently(self._lanes.admin, what, statement, name, *args)

    async def run_now(self, name: str) -> StoredJob | None:
        """Store a run for no tick; see `ScheduleStorage.run_now`."""

        async def store(connection: Any) -> StoredJob | None:
            rows = await connection.fetch(self._sql.lock_schedule, name)
            if not rows:
                return None
            *template, overlap = rows[0]
            if overlap == "skip" and await connection.fetchval(self._sql.has_run, name):
                return None
            run = run_of(name, None, Template(*template))
            [stored] = await self._jobs.enqueue([run], connection, is_patient=False)
            return stored

        return await self._patiently(name, store)

    async def report(self, name: str, problem: str) -> bool:
        """Note that a schedule cannot be read; see `ScheduleStorage.report`."""
        return bool(await self._lanes.fleet.fetch(self._sql.report_schedule, name, problem))

    async def report_orphans(
        self, jobs: Sequence[str], queues: Sequence[str]
    ) -> list[tuple[str, str]]:
        """Note which schedules nobody can run; see `ScheduleStorage.report_orphans`."""
        rows = await self._lanes.fleet.fetch(self._sql.report_orphans, list(jobs), list(queues))
        return [tuple(row) for row in rows]


def plan_record(plan: Plan) -> dict[str, Any]:
    """Return *plan* as an object of the statement advance_schedules."""
    return {
        "name": plan.name,
        "ticks": [tick.isoformat() for tick in plan.ticks],
        "skipped_at": plan.skipped_at and plan.skipped_at.isoformat(),
        "covered_at": plan.covered_at.isoformat(),
        "next_at": plan.next_at.isoformat(),
    }
