"""Writes down what this process tells of itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asyncjobs.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncjobs.metrics.sheet import Sheet
    from asyncjobs.storage.overview import Connections
    from asyncjobs.worker.workload import Workload


def write_workload(sheet: Sheet, workload: Workload) -> None:
    """Add to *sheet* what one worker of this process does."""
    labels = str(os.getpid()), workload.group, workload.worker
    sheet.gauge(catalogue.SLOTS, workload.slots, *labels)
    sheet.gauge(catalogue.RUNNING, workload.running, *labels)
    sheet.gauge(catalogue.BUFFERED, workload.buffered, *labels)
    sheet.gauge(catalogue.UNRECORDED, workload.unrecorded, *labels)
    sheet.counter(catalogue.STARTED, workload.started, *labels)
    sheet.meter(catalogue.CLAIM_SIZE, workload.meters.claims, *labels)
    sheet.meter(catalogue.CLAIM_SECONDS, workload.meters.claim_seconds, *labels)
    sheet.meter(catalogue.FINISH_SIZE, workload.meters.finishes, *labels)
    sheet.meter(catalogue.FINISH_SECONDS, workload.meters.finish_seconds, *labels)
    if any(workload.meters.loop_lag.counts):  # else nothing measures it: see `worker.lease`
        sheet.meter(catalogue.LOOP_LAG, workload.meters.loop_lag, *labels)


def write_connections(sheet: Sheet, adapter: str, found: Connections) -> None:
    """Add to *sheet* what connections *adapter* holds in this process."""
    labels = str(os.getpid()), adapter
    _by_state(sheet, catalogue.OWN_CONNECTIONS, labels, busy=found.busy, idle=found.idle)
    sheet.gauge(catalogue.TRANSACTIONS, found.transactions, *labels)
    sheet.gauge(catalogue.TRANSACTIONS_LIMIT, found.most_transactions, *labels)
    if found.pool is not None:
        used, idle, most = found.pool
        _by_state(sheet, catalogue.POOL, labels, used=used, idle=idle)
        sheet.gauge(catalogue.POOL_LIMIT, most, *labels)


def _by_state(sheet: Sheet, metric: catalogue.Metric, labels: Iterable[str], **states: int) -> None:
    for state, count in states.items():
        sheet.gauge(metric, count, *labels, state)
