"""Finding jobs in memory, and acting on many of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from asyncjobs.config import check_whole
from asyncjobs.storage.admin import (
    COUNTED,
    MAX_PAGE,
    Count,
    Page,
    Retried,
    cursor_after,
    ignore,
    moment,
    read_cursor,
    small,
    text,
    whole,
)
from asyncjobs.types import JobState, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.filters import JobFilter
    from asyncjobs.storage.admin import OnBatch
    from asyncjobs.storage.memory_rows import Row
    from asyncjobs.storage.memory_table import Table
    from asyncjobs.types import Json, NewLane


class Cancel(Protocol):
    """`Storage.cancel`."""

    async def __call__(self, ids: Sequence[int], *, interrupt: bool) -> list[int]: ...


class Order(NamedTuple):
    """An order of lists: where a job stands in it, and the kinds of that place's parts."""

    place: Callable[[Row], list[Any]]
    kinds: tuple[Callable[[Any], Any], ...]


NEWEST = Order(lambda row: [-row.id], (whole,))
ORDERS: dict[JobState | None, Order] = {
    JobState.SCHEDULED: Order(lambda row: [row.run_at, row.id], (moment, whole)),
    JobState.AVAILABLE: Order(
        lambda row: [row.job.queue, row.job.priority, row.position], (text, small, whole)
    ),
}


class MemoryAdmin:
    """The `AdminStorage` of MemoryAdapter."""

    def __init__(self, table: Table, cancel: Cancel) -> None:
        self._table, self._cancel = table, cancel

    async def find(self, where: JobFilter, *, after: str | None = None, limit: int = 100) -> Page:
        """Return a page of jobs; see `AdminStorage.find`."""
        check_whole("limit", limit, 1, MAX_PAGE)
        order = ORDERS.get(where.only_state if where.ids is None else None, NEWEST)
        start = read_cursor(after, *order.kinds)
        rows = sorted(self._fitting(where), key=order.place)
        page = [row for row in rows if start is None or order.place(row) > start][:limit]
        goes_on = len(page) == limit
        return Page(
            [row.record() for row in page], cursor_after(order.place(page[-1])) if goes_on else None
        )

    async def count(self, where: JobFilter, *, most: int = COUNTED) -> Count:
        """Count jobs; see `AdminStorage.count`."""
        check_whole("most", most, 0, 10_000_000)
        return Count(len(self._fitting(where)), True)

    async def cancel(self, where: JobFilter, *, interrupt: bool, on_batch: OnBatch = ignore) -> int:
        """Cancel jobs; see `AdminStorage.cancel`."""
        ids = [row.id for row in self._fitting(where)]
        return _told(on_batch, len(await self._cancel(ids, interrupt=interrupt)))

    async def retry(
        self,
        where: JobFilter,
        *,
        args: Json | None = None,
        unique_key: str | None = None,
        lane: NewLane | None = None,
        on_batch: OnBatch = ignore,
    ) -> Retried:
        """Let jobs run now; see `AdminStorage.retry`."""
        held_by, touched, left = None, [], set[str]()
        for row in sorted(self._fitting(where), key=NEWEST.place):
            is_there = row.state in {JobState.WAITING, JobState.AVAILABLE}
            if row.state is JobState.RUNNING or (is_there and args is None):
                continue
            if holder := self._table.keys.rival(row, unique_key):
                held_by = holder.id
                continue
            row.renew(args, unique_key, self._table.clock())
            if lane is not None and lane.name != row.lane:
                left |= {name for name in (row.lane, row.queue_lane) if name}
                self._table.change_lane(row, lane)
            if is_there:
                self._table.keys.take(row)
            else:
                self._table.place(row, self._table.clock())
            touched.append(row)
        self._table.wake(touched)
        if left:
            self._table.tell(Signal(lanes=tuple(left)))
        return Retried(_told(on_batch, len(touched)), held_by)

    async def reschedule(
        self,
        where: JobFilter,
        *,
        wait: float | None = None,
        wait_until: datetime | None = None,
        on_batch: OnBatch = ignore,
    ) -> int:
        """Set the time of waiting jobs; see `AdminStorage.reschedule`."""
        run_at = wait_until or self._table.clock() + timedelta(seconds=wait or 0)
        rows = [row for row in self._fitting(where) if row.waits]
        for row in rows:
            self._table.place(row, run_at)
        self._table.wake(rows)
        return _told(on_batch, len(rows))

    async def delete(self, where: JobFilter, *, on_batch: OnBatch = ignore) -> int:
        """Remove jobs; see `AdminStorage.delete`."""
        rows = [row for row in self._fitting(where) if row.state is not JobState.RUNNING]
        for row in rows:
            self._table.drop(row)
        return _told(on_batch, len(rows))

    def _fitting(self, where: JobFilter) -> list[Row]:
        return [row for row in self._table.rows.values() if where.fits(row.record())]


def _told(on_batch: OnBatch, count: int) -> int:
    if count:
        on_batch(count)
    return count
