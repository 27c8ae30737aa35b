"""Writes down what was read of a storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asyncjobs.metrics import catalogue
from asyncjobs.statistics import Tally
from asyncjobs.types import JobState
from asyncjobs.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Collection

    from asyncjobs.metrics.reading import Reading
    from asyncjobs.metrics.sheet import Sheet
    from asyncjobs.schedule_types import Standing

STANDINGS: tuple[Standing, ...] = ("active", "off", "gave up", "retired")


class Known(NamedTuple):
    """What the application has, whether or not anything happened to it."""

    queues: Collection[str]
    groups: Collection[str]
    """Worker groups by their labels."""
    jobs: Collection[tuple[str, str]]
    """By queue and name."""


def write_cluster(
    sheet: Sheet,
    adapter: str,
    reading: Reading | None,
    *,
    known: Known,
) -> None:
    """Add to *sheet* how it stands with *adapter*, in zeros for what is *known* and at rest.

    Without the zeros Prometheus would not see the first of anything.
    """
    sheet.gauge(catalogue.UP, reading is not None, adapter)
    if reading is None:
        return
    sheet.gauge(catalogue.READ_SECONDS, reading.seconds, adapter)
    server = "" if reading.health is None else reading.health.version
    sheet.gauge(catalogue.INFO, 1, adapter, installed_version() or "", server)
    queues = {*known.queues, *(one.queue for one in reading.queues)}
    _write_queues(sheet, adapter, reading, queues)
    _write_totals(sheet, adapter, reading, known.jobs)
    _write_schedules(sheet, adapter, reading)
    _write_workers(sheet, adapter, reading, known.groups)
    _write_maintenance(sheet, adapter, reading)
    _write_health(sheet, adapter, reading)


def _write_queues(sheet: Sheet, adapter: str, reading: Reading, queues: Collection[str]) -> None:
    jobs = {(one.queue, one.state): one.jobs for one in reading.queues}
    waited = {depth.queue: depth.waited for depth in reading.depths}
    paused = {pause.name for pause in reading.pauses if pause.kind == "queue"}
    for queue in sorted({*queues, *waited}):
        for state in JobState:
            sheet.gauge(catalogue.JOBS, jobs.get((queue, state.value), 0), adapter, queue, state)
        sheet.gauge(catalogue.OLDEST, waited.get(queue, 0), adapter, queue)
        sheet.gauge(catalogue.PAUSED, queue in paused, adapter, queue)


def _write_totals(
    sheet: Sheet, adapter: str, reading: Reading, jobs: Collection[tuple[str, str]]
) -> None:
    sheet.counter(catalogue.ENQUEUED, reading.enqueued, adapter)
    sheet.gauge(catalogue.UNTOLD, reading.are_more, adapter)
    by_queue: dict[str, Tally] = {}
    tallies = {key: Tally() for key in jobs} | {
        key: total.tally for key, total in reading.totals.items()
    }
    for (queue, name), tally in tallies.items():
        for outcome in ("succeeded", "failed", "retried", "cancelled"):
            count = getattr(tally, outcome)
            sheet.counter(catalogue.ATTEMPTS, count, adapter, queue, name, outcome)
        sheet.counter(catalogue.RESCUED, tally.rescued, adapter, queue, name)
        sheet.durations(catalogue.RUN, tally.runs, tally.ran, adapter, queue, name)
        by_queue.setdefault(queue, Tally()).add(tally)
    for queue, tally in by_queue.items():
        sheet.durations(catalogue.WAIT, tally.waits, tally.waited, adapter, queue)


def _write_schedules(sheet: Sheet, adapter: str, reading: Reading) -> None:
    for standing in STANDINGS:
        count = reading.standings.get(standing, 0)
        sheet.gauge(catalogue.SCHEDULES, count, adapter, standing.replace(" ", "_"))
    sheet.gauge(catalogue.SCHEDULES_OVERDUE, reading.lateness.overdue, adapter)
    sheet.gauge(catalogue.SCHEDULE_LAG, reading.lateness.seconds, adapter)
    sheet.gauge(catalogue.SCHEDULE_PROBLEMS, reading.lateness.problems, adapter)


def _write_workers(sheet: Sheet, adapter: str, reading: Reading, groups: Collection[str]) -> None:
    silences: dict[str, list[tuple[float, bool]]] = {group: [] for group in groups}
    for worker in reading.workers:
        told = worker.silent, worker.is_alive
        silences.setdefault(worker.group, []).append(told)
    for group, found in sorted(silences.items()):
        alive = sum(is_alive for _, is_alive in found)
        sheet.gauge(catalogue.WORKERS, alive, adapter, group, "alive")
        sheet.gauge(catalogue.WORKERS, len(found) - alive, adapter, group, "silent")
        if found:
            sheet.gauge(catalogue.HEARTBEAT, max(found)[0], adapter, group)


def _write_maintenance(sheet: Sheet, adapter: str, reading: Reading) -> None:
    for task in reading.maintenance:
        is_failing = task.problem is not None
        late = 0.0 if task.worker else (reading.now - task.due_at).total_seconds()
        sheet.gauge(catalogue.MAINTENANCE_FAILING, is_failing, adapter, task.task)
        sheet.gauge(catalogue.MAINTENANCE_LATE, max(0.0, late), adapter, task.task)


def _write_health(sheet: Sheet, adapter: str, reading: Reading) -> None:
    health = reading.health
    if health is None:
        return
    sheet.gauge(catalogue.TABLE_ROWS, health.live, adapter, "live")
    sheet.gauge(catalogue.TABLE_ROWS, health.dead, adapter, "dead")
    sheet.gauge(catalogue.TABLE_BYTES, health.table_bytes, adapter, "table")
    sheet.gauge(catalogue.TABLE_BYTES, health.index_bytes, adapter, "indexes")
    sheet.gauge(catalogue.SNAPSHOT, health.snapshot or 0, adapter)
    sheet.gauge(catalogue.CONNECTIONS, health.connections, adapter)
    sheet.gauge(catalogue.CONNECTIONS_LIMIT, health.most_connections, adapter)
    sheet.gauge(catalogue.NOTIFY_USAGE, health.queue_usage, adapter)
