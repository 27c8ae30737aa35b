"""What is said of a database's health: each finding in words, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from asyncjobs.glance.words import duration, number, relative, share, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from asyncjobs.storage.maintenance import MaintenanceTask
    from asyncjobs.storage.overview import Depth, Health, WorkerStatus

Level: TypeAlias = Literal["good", "warning", "bad"]

OLD_SNAPSHOT, VERY_OLD_SNAPSHOT = 60.0, 600.0
"""Seconds. A claim passes over the rows that such a transaction keeps; after some minutes of a
busy queue these are many."""
MANY_DEAD = 100_000
OLD_SLOT = 1_000_000
"""Transactions."""
FULL = 0.8
"""A share of what there is."""
LATE = 900.0
"""Seconds for which a task of maintenance has been due."""
RESUME = "Resume one, by the page of workers or asyncjobs workers --resume ID, or start one."
LONG_WAIT = 60.0
"""Seconds for which a job that could run has waited."""


class Finding(NamedTuple):
    """One thing to know."""

    level: Level
    what: str
    advice: str = ""
    """What to do; empty if nothing is to be done."""


def findings(
    health: Health | None,
    workers: Sequence[WorkerStatus],
    depths: Sequence[Depth],
    tasks: Sequence[MaintenanceTask] = (),
    now: datetime | None = None,
) -> list[Finding]:
    """Return what is to be said, the worst first. *tasks* are those of maintenance, *now*."""
    found = [*_of_work(workers, depths)]
    if now is not None:
        found += _of_maintenance(tasks, now)
    if health is not None:
        found += [
            *_of_snapshots(health),
            *_of_dead_rows(health),
            *_of_notifications(health, workers),
            *_of_connections(health),
        ]
    order: list[Level] = ["bad", "warning", "good"]
    return sorted(found, key=lambda finding: order.index(finding.level))


def _of_work(workers: Sequence[WorkerStatus], depths: Sequence[Depth]) -> Iterator[Finding]:
    alive = [worker for worker in workers if worker.is_alive]
    claiming = [worker for worker in alive if worker.state == "running"]
    if not alive:
        yield Finding("bad", "No worker runs.", "Start one: asyncjobs work.")
        return
    if not claiming:
        yield Finding("warning", "Every worker is quiet or stops, so nothing starts.", RESUME)
    served = {queue for worker in alive for queue in worker.queues}
    claimed = {queue for worker in claiming for queue in worker.queues}
    for depth in depths:
        if claiming and depth.queue in served - claimed:
            yield Finding(
                "warning",
                f"Every worker on the queue {depth.queue}, where jobs wait, is quiet or stops.",
                RESUME,
            )
        elif depth.queue not in served:
            yield Finding(
                "bad",
                f"Nobody works on the queue {depth.queue}, where jobs wait.",
                "Give it to a worker group: WorkerGroup(queue=…).",
            )
        elif depth.waited > LONG_WAIT and claiming:
            yield Finding(
                "warning",
                f"The oldest job of the queue {depth.queue} has waited {duration(depth.waited)}.",
                "Run more workers, or raise concurrency=, if this does not pass.",
            )
    for worker in workers:
        if not worker.is_alive:
            yield Finding(
                "warning",
                f"The worker {worker.name} on {worker.host} has been silent for "
                f"{duration(worker.silent)}.",
                "Its jobs go to others as soon as one of them looks.",
            )


def _of_maintenance(tasks: Sequence[MaintenanceTask], now: datetime) -> Iterator[Finding]:
    for task in tasks:
        late = (now - task.due_at).total_seconds()
        if task.problem:
            yield Finding(
                "warning",
                f"Maintenance, {task.task}: {task.problem}",
                f"It is tried again {relative(task.due_at, now)}.",
            )
        elif task.report and not task.done:
            yield Finding(
                "warning",
                f"Maintenance, {task.task}: {task.report}",
                "Or let a worker do it: WorkerGroup(mend_tables=True).",
            )
        elif task.worker is None and late > LATE:
            yield Finding(
                "warning",
                f"Maintenance, {task.task}: nobody does it since {duration(late)}.",
                "Run a worker of the group that it belongs to. If there is none any more, it is "
                "forgotten after 30 days.",
            )


def _of_snapshots(health: Health) -> Iterator[Finding]:
    if health.snapshot is not None and health.snapshot > OLD_SNAPSHOT:
        whose = health.snapshot_name or "no application_name"
        yield Finding(
            "bad" if health.snapshot > VERY_OLD_SNAPSHOT else "warning",
            f"A transaction ({whose}, user {health.snapshot_user}) is open for "
            f"{duration(health.snapshot)}, and keeps every dead row until it ends.",
            f"End it, if nobody needs it: select pg_terminate_backend({health.snapshot_pid});",
        )
    if health.prepared is not None and health.prepared > OLD_SNAPSHOT:
        yield Finding(
            "bad",
            f"A prepared transaction is open for {duration(health.prepared)}, and keeps every "
            "dead row.",
            "Look into pg_prepared_xacts, and commit prepared or rollback prepared.",
        )
    if health.slot is not None and (health.slot_age or 0) > OLD_SLOT:
        yield Finding(
            "bad",
            f"The replication slot {health.slot} keeps the dead rows of "
            f"{number(health.slot_age)} transactions.",
            "Bring its subscriber back, or drop it: select pg_drop_replication_slot(…);",
        )
    if health.is_hidden:
        yield Finding(
            "good",
            "Transactions of other users cannot be seen from here.",
            "To have old ones told: grant pg_monitor to this database user.",
        )


def _of_dead_rows(health: Health) -> Iterator[Finding]:
    told = f"{number(health.live)} rows, and {number(health.dead)} dead ones to be removed"
    vacuumed = (
        "never vacuumed yet"
        if health.vacuumed is None
        else f"vacuumed {duration(health.vacuumed)} ago"
    )
    bytes_ = f"{size(health.table_bytes)}, and {size(health.index_bytes)} of indexes"
    what = f"The table of jobs: {bytes_}; about {told}; {vacuumed}."
    if health.dead > max(MANY_DEAD, health.live):
        yield Finding(
            "warning",
            what,
            "Autovacuum does not keep up. Look for an old transaction; else run vacuum "
            "(analyze) on the table, and raise autovacuum_max_workers.",
        )
    else:
        yield Finding("good", what)


def _of_notifications(health: Health, workers: Sequence[WorkerStatus]) -> Iterator[Finding]:
    if not health.notifies:
        yield Finding(
            "warning",
            "Workers of this program poll, because listen=False or capabilities= says so, or "
            "because the server has no NOTIFY: a new job waits up to sleep_delay.",
            "Without a pooler in transaction mode, leave listen= out.",
        )
    elif health.listeners == 0 and any(worker.is_alive for worker in workers):
        yield Finding(
            "warning",
            "No worker hears NOTIFY, so all of them poll: a new job waits up to sleep_delay.",
            "If they reach the database by a pooler in transaction mode, lead LISTEN around it: "
            "listen_dsn=.",
        )
    else:
        yield Finding("good", "New jobs wake workers by NOTIFY.")
    if health.queue_usage > FULL / 2:
        yield Finding(
            "bad",
            f"The room for notifications is full to {share(health.queue_usage, 1)}; when it is "
            "full, NOTIFY fails for everybody.",
            "A connection listens in a transaction that does not end: look for one in "
            "pg_stat_activity.",
        )


def _of_connections(health: Health) -> Iterator[Finding]:
    used = f"{number(health.connections)} of {number(health.most_connections)} connections"
    if health.connections > FULL * health.most_connections:
        yield Finding(
            "warning",
            f"PostgreSQL {health.version}: {used} are taken.",
            "Use a pooler, or raise max_connections.",
        )
    else:
        yield Finding("good", f"PostgreSQL {health.version}: {used} are taken.")
