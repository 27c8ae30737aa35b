"""Finding jobs among millions, and acting on many of them.

A statement whose conditions may each be null has no plan that is good for all of them, so
these are planned for their values: every transaction here begins with settings that say so,
and that bound its time. What no index tells is looked for among so many jobs at a time only,
in the order of the list, and the page then says how far it came.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from asyncjobs.config import check_whole
from asyncjobs.errors import RowRefusedError, StorageUnavailableError
from asyncjobs.storage.admin import (
    COUNTED,
    MAX_PAGE,
    Count,
    Page,
    Retried,
    cursor_after,
    ignore,
)
from asyncjobs.storage.postgres.borrowed import abort
from asyncjobs.storage.postgres.cursors import by_id, list_of
from asyncjobs.storage.postgres.patience import THESE_JOBS, fetch_patiently
from asyncjobs.storage.postgres.transactions import HOT_TIMEOUT, transaction
from asyncjobs.types import JobRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from asyncjobs.filters import JobFilter
    from asyncjobs.storage.admin import OnBatch
    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import Json, NewLane

LOOKED_AT = 50_000
"""Jobs that one statement looks at."""
FIND_TIMEOUT = "10s"
COUNT_TIMEOUT = "500ms"
"""After this the planner's estimate is told instead."""
BATCH = 1_000
"""Jobs in one statement that changes them."""
CANCEL_BATCH = 300
"""The same for cancelling: a notification holds 8 000 bytes, an id up to 20."""
TRIES = 20
"""Statements for keys that others take and release all the time, between two of ours."""
SETTINGS = """
select
    set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('random_page_cost', '1.1', true),
    set_config('statement_timeout', $1, true)
"""


class Admin:
    """The `AdminStorage` of PostgresAdapter."""

    def __init__(self, lanes: Lanes, statements: Statements, channel: str) -> None:
        self._lane, self._sql, self._channel = lanes.admin, statements, channel

    async def find(self, where: JobFilter, *, after: str | None = None, limit: int = 100) -> Page:
        """Return a page of jobs; see `AdminStorage.find`."""
        check_whole("limit", limit, 1, MAX_PAGE)
        order = list_of(where)
        statement, parameters, end_of = order(self._sql, where, after)
        async with self._planned() as connection:
            rows = await connection.fetch(
                statement, *conditions(where), *parameters(limit, LOOKED_AT)
            )
            ids = [row["id"] for row in rows if row["matches"]]
            records = await connection.fetch(self._sql.get_jobs, ids) if ids else []
        by_number = {record["id"]: JobRecord(*record) for record in records}
        jobs = [by_number[number] for number in ids if number in by_number]
        is_cut_short = bool(rows) and rows[-1]["place"] == LOOKED_AT and len(ids) < limit
        goes_on = is_cut_short or len(ids) == limit
        return Page(jobs, cursor_after(end_of(rows[-1])) if goes_on else None, is_cut_short)

    async def count(self, where: JobFilter, *, most: int = COUNTED) -> Count:
        """Count jobs; see `AdminStorage.count`."""
        check_whole("most", most, 0, 10_000_000)
        found = await self._count_up_to(where, most + 1)
        if found is not None and found <= most:
            return Count(found, True)
        return await self._estimate(where, least=found or 0)

    async def cancel(self, where: JobFilter, *, interrupt: bool, on_batch: OnBatch = ignore) -> int:
        """Cancel jobs; see `AdminStorage.cancel`."""
        count, states = 0, where.states
        async for ids in self._batches(where):
            for start in range(0, len(ids), CANCEL_BATCH):
                some = ids[start : start + CANCEL_BATCH]
                rows = await self._change(
                    self._sql.cancel_jobs, some, interrupt, self._channel, states
                )
                count += len(rows)
            on_batch(count)
        return count

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
        count, held_by = 0, None
        told = lane and json.dumps({"lane": lane.name, "strict": lane.is_strict})
        async for ids in self._batches(where):
            for row in await self._retry(ids, where.states, args, unique_key, told):
                if row["held_by"] is None:
                    count += 1
                else:
                    held_by = row["held_by"]
            on_batch(count)
        return Retried(count, held_by)

    async def reschedule(
        self,
        where: JobFilter,
        *,
        wait: float | None = None,
        wait_until: datetime | None = None,
        on_batch: OnBatch = ignore,
    ) -> int:
        """Set the time of waiting jobs; see `AdminStorage.reschedule`."""
        when = (wait, wait_until)
        count = 0
        async for ids in self._batches(where):
            rows = await self._change(
                self._sql.reschedule_jobs, ids, where.states, *when, self._channel
            )
            count += len(rows)
            on_batch(count)
        return count

    async def delete(self, where: JobFilter, *, on_batch: OnBatch = ignore) -> int:
        """Remove jobs; see `AdminStorage.delete`."""
        count = 0
        async for ids in self._batches(where):
            count += len(await self._change(self._sql.delete_jobs, ids, where.states))
            on_batch(count)
        return count

    async def _batches(self, where: JobFilter) -> AsyncIterator[list[int]]:
        # From the newest id on downwards: what is stored meanwhile is never met.
        after: str | None = None
        while True:
            statement, parameters, end_of = by_id(self._sql, where, after)
            async with self._planned() as connection:
                rows = await connection.fetch(
                    statement, *conditions(where), *parameters(BATCH, LOOKED_AT)
                )
            if ids := [row["id"] for row in rows if row["matches"]]:
                yield ids
            if not rows or (len(rows) < BATCH and rows[-1]["place"] < LOOKED_AT):
                return
            after = cursor_after(end_of(rows[-1]))

    async def _retry(self, ids: list[int], states: Any, *asked: Json | None) -> Sequence[Any]:
        for _ in range(TRIES):
            try:
                return await self._change(self._sql.retry_jobs, ids, states, *asked, self._channel)
            except RowRefusedError as error:
                if not isinstance(error.__cause__, asyncpg.UniqueViolationError):
                    raise
                # Somebody took a key meanwhile: the next statement can see that.
        raise StorageUnavailableError("others take the jobs' unique keys all the time")

    async def _change(self, statement: str, *args: Any) -> Sequence[Any]:
        return await fetch_patiently(self._lane, THESE_JOBS, statement, *args)

    async def _count_up_to(self, where: JobFilter, most: int) -> int | None:
        # None if it takes too long.
        async with self._lane.connection() as connection:
            try:
                async with planned(connection, COUNT_TIMEOUT):
                    found: int = await connection.fetchval(
                        self._sql.count_found, *conditions(where), most
                    )
                    return found
            except asyncpg.QueryCanceledError:
                return None
            except asyncpg.InternalClientError:
                # The time was over right after the statement was described: asyncpg takes no
                # error then, and the connection is of no use any more.
                abort(connection)
                return None

    async def _estimate(self, where: JobFilter, least: int) -> Count:
        async with self._planned() as connection:
            explain = f"explain (format json) {self._sql.count_found}"
            text = await connection.fetchval(explain, *conditions(where), None)
        [plan] = json.loads(text)
        [found] = plan["Plan"]["Plans"]
        return Count(max(least, round(found["Plan Rows"])), False)

    @asynccontextmanager
    async def _planned(self) -> AsyncIterator[Any]:
        async with (
            self._lane.connection() as connection,
            planned(connection, FIND_TIMEOUT),
        ):
            yield connection


@asynccontextmanager
async def planned(connection: Any, timeout: str) -> AsyncIterator[None]:
    """Let the statements of the block be planned for their values, and bounded in time."""
    async with transaction(connection):
        await connection.fetch(SETTINGS, timeout, timeout=HOT_TIMEOUT)
        yield


def conditions(where: JobFilter) -> list[Any]:
    """Return *where* as the first parameters of the statements that find jobs."""
    return [
        None if where.ids is None else list(where.ids),
        where.names,
        where.queues,
        where.states,
        where.tags,
        where.json_args,
        range_of(*where.priorities),
        where.created_after,
        where.created_before,
        where.error,
        range_of(*where.attempts),
        where.schedules,
        where.parent,
    ]


def range_of(least: int | None, most: int | None) -> str | None:
    """Return the numbers from *least* to *most* as PostgreSQL writes a range; None for all."""
    if least is None and most is None:
        return None
    return f"[{'' if least is None else least},{'' if most is None else most}]"
