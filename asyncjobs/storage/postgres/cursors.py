"""The orders of lists of jobs, and how a page says where the next one begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncjobs.filters import FINAL
from asyncjobs.storage.admin import moment, read_cursor, small, text, whole
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from asyncjobs.filters import JobFilter
    from asyncjobs.storage.postgres.statements import Statements

Parameters: TypeAlias = Callable[[int, int], list[Any]]
"""(rows to return, rows to look at) -> the parameters behind those of the filter."""
EndOf: TypeAlias = Callable[[Any], list[Any]]
"""The last row of a page -> what the next page begins after."""
Found: TypeAlias = tuple[str, Parameters, EndOf]


def by_id(sql: Statements, where: JobFilter, after: str | None) -> Found:
    """Return how to find the newest jobs, the highest id first."""
    (below,) = read_cursor(after, whole) or [None]
    state = where.only_state
    # Of others no index tells in this order.
    indexed = state if state in {*FINAL, JobState.RUNNING} else None

    def parameters(limit: int, looked_at: int) -> list[Any]:
        return [below, limit, looked_at, indexed]

    return sql.find_jobs, parameters, lambda row: [row["id"]]


def by_time(sql: Statements, where: JobFilter, after: str | None) -> Found:
    """Return how to find scheduled jobs, the next one first."""
    run_at, number = read_cursor(after, moment, whole) or [None, None]

    def parameters(limit: int, looked_at: int) -> list[Any]:
        return [run_at, number, limit, looked_at]

    return sql.find_scheduled, parameters, lambda row: [row["run_at"], row["id"]]


def by_queue(sql: Statements, where: JobFilter, after: str | None) -> Found:
    """Return how to find available jobs, in the order in which each queue runs them."""
    place = read_cursor(after, text, small, whole) or [None, None, None]
    queues = where.queues
    only = queues[0] if queues is not None and len(queues) == 1 else None

    def parameters(limit: int, looked_at: int) -> list[Any]:
        return [*place, limit, looked_at, only]

    return sql.find_available, parameters, lambda row: [
        row["queue"], row["priority"], row["position"]
    ]  # fmt: skip


def list_of(where: JobFilter) -> Callable[[Statements, JobFilter, str | None], Found]:
    """Return the order of the jobs that fit *where*."""
    if where.ids is None and where.only_state is JobState.SCHEDULED:
        return by_time
    if where.ids is None and where.only_state is JobState.AVAILABLE:
        return by_queue
    return by_id
