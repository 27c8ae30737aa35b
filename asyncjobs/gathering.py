"""Many rows of many callers in one insert, and to each caller his own answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncjobs.batching import Batcher
from asyncjobs.errors import ArgumentError, RowRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncjobs.types import NewJob, StoredJob

GATHERED = 1_000
"""Rows in one gathered insert."""


class Gatherer:
    """Stores rows by *store*; those that come while it is under way go together next."""

    def __init__(self, store: Callable[[list[NewJob]], Awaitable[list[StoredJob]]]) -> None:
        self._enqueue = store
        self._batches: Batcher[tuple[NewJob, asyncio.Future[StoredJob]]] = Batcher(
            self._store, GATHERED
        )
        self.add = self._batches.add
        """Takes a row and the future of its caller, as a pair."""
        self.drain = self._batches.drain
        """Waits until every row is stored or refused."""

    async def _store(self, batch: list[tuple[NewJob, asyncio.Future[StoredJob]]]) -> None:
        wanted = [pair for pair in batch if not pair[1].cancelled()]
        try:
            stored = await self._enqueue([row for row, _ in wanted])
        except RowRefusedError as error:
            await self._store_in_halves(wanted, error)
        except asyncio.CancelledError:  # the event loop is being ended
            for _, future in wanted:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every caller gets it
            for _, future in wanted:
                _refuse(future, error)
        else:
            for (_, future), one in zip(wanted, stored, strict=True):
                if not future.done():  # or its caller was cancelled meanwhile
                    future.set_result(one)

    async def _store_in_halves(
        self, batch: list[tuple[NewJob, asyncio.Future[StoredJob]]], error: RowRefusedError
    ) -> None:
        # A bad row fails only its own caller.
        if len(batch) == 1:
            [(row, future)] = batch
            _refuse(future, ArgumentError(row.name, error.problem))
            return
        middle = len(batch) // 2
        await self._store(batch[:middle])
        await self._store(batch[middle:])


def _refuse(future: asyncio.Future[StoredJob], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
