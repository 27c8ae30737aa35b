"""A database that a doctor looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from asyncjobs.doctor import Finding, diagnose

if TYPE_CHECKING:
    import asyncpg


@dataclass(frozen=True)
class Patient:
    """The database at *dsn*, and a connection to change it by."""

    dsn: str
    connection: asyncpg.Connection

    async def sql(self, statement: str, *values: Any) -> None:
        """Run *statement*."""
        await self.connection.execute(statement, *values)

    async def findings(
        self, check: str, *, dsn: str | None = None, jobs: JobManager | None = None, **options: Any
    ) -> list[Finding]:
        """Return what the doctor finds by *check*."""
        adapter = PostgresAdapter(dsn or self.dsn, **options)
        found = await diagnose(adapter, "main", jobs)
        return [finding for finding in found if finding.check == check]

    async def finding(self, check: str, **options: Any) -> Finding:
        """Return the one thing that the doctor finds by *check*."""
        [finding] = await self.findings(check, **options)
        return finding

    def manager(self, **group: Any) -> JobManager:
        """Return an application of this database with one group and the job ``greet``."""
        jobs = JobManager(
            adapters={"main": PostgresAdapter(self.dsn)},
            queues=["default", "email"],
            workers=[WorkerGroup(adapter="main", **group)],
        )

        @jobs.job
        async def greet(name: str) -> None: ...

        return jobs

    async def add_job(self, state: str = "available", **columns: Any) -> None:
        """Store a job by hand."""
        row = {"name": "greet", "queue": "default", "state": state, "args": "{}", **columns}
        row = {"position": 1, "run_at": "now()", **row}
        given = [(name, value) for name, value in row.items() if not _is_sql(value)]
        plain = [(name, value) for name, value in row.items() if _is_sql(value)]
        names = ", ".join(name for name, _ in [*given, *plain])
        places = [f"${n + 1}" for n in range(len(given))] + [value for _, value in plain]
        await self.sql(
            f"insert into asyncjobs.jobs ({names}) values ({', '.join(places)})",
            *(value for _, value in given),
        )

    async def add_worker(self, silent: str = "0 s", queues: str = "{default,email}") -> None:
        """Register a worker by hand, with a lease of 30 s, that was *silent* for so long."""
        await self.sql(
            f"""insert into asyncjobs.workers (name, worker_group, queues, host, host_id, pid,
            process_started, lease, heartbeat_at) values ('w', '*', '{queues}', 'h', 'h', 7, 1,
            '30 s', clock_timestamp() - interval '{silent}')"""
        )


def _is_sql(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("now()")
