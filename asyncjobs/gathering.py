"""Calls that come while an insert is in flight leave together with the next one."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat
from threading import get_ident
from typing import TYPE_CHECKING, TypeAlias

import anyio

from asyncjobs.batching import LARGE, Batcher, portions
from asyncjobs.errors import ArgumentError, KeyInDoubtError, RowRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from asyncjobs.home import Home
    from asyncjobs.types import NewJob, StoredJob

    Waiting: TypeAlias = tuple[NewJob, asyncio.Future[StoredJob]]

GATHERED = 1_000
"""Rows in one gathered insert."""
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between two looks whether the transaction that holds a unique key has ended."""


class Gatherer:
    """Stores jobs in batches. A job that is refused, or has to wait, disturbs no other.

    All calls come from *home*, as far as that is known.
    """

    def __init__(
        self, put: Callable[[list[NewJob]], Awaitable[list[StoredJob]]], home: Home
    ) -> None:
        self._put, self._home = put, home
        self._batcher: Batcher[Waiting] = Batcher(self._store_all, GATHERED)
        self._doubtful: set[asyncio.Task[None]] = set()
        self._turn = anyio.Lock()
        """Of those in doubt: one try at a time stands before the next batch."""

    def add(self, row: NewJob) -> asyncio.Future[StoredJob]:
        """Store *row* with the next batch; await what is returned.

        That raises ArgumentError and StorageError. Raises RuntimeError in another event loop.
        """
        home = self._home
        loop = home.loop
        if loop is None or not loop.is_running():
            loop = asyncio.get_running_loop()  # asks the kernel each time, before Python 3.12
        elif get_ident() != home.thread:
            home.check()
        future: asyncio.Future[StoredJob] = loop.create_future()
        self._batcher.add((row, future))
        return future

    async def drain(self) -> None:
        """Wait until everything is stored or refused."""
        await self._batcher.drain()
        while self._doubtful:
            await asyncio.wait(self._doubtful)

    async def _store_all(self, batch: list[Waiting]) -> None:
        try:
            for some in portions(batch, [len(row.args) for row, _ in batch], LARGE):
                await self._store(some)
        except asyncio.CancelledError:  # the event loop is being ended
            for _, future in batch:
                future.cancel()
            raise

    async def _store(self, batch: list[Waiting]) -> None:
        wanted = [pair for pair in batch if not pair[1].cancelled()]
        try:
            stored = await self._put([row for row, _ in wanted])
        except (RowRefusedError, KeyInDoubtError) as error:
            await self._store_in_halves(wanted, error)
        except Exception as error:  # noqa: BLE001 - every caller gets it
            for _, future in wanted:
                _settle(future, error)
        else:
            for (_, future), one in zip(wanted, stored, strict=True):
                if not future.done():  # or its caller was cancelled meanwhile
                    future.set_result(one)

    async def _store_in_halves(
        self, batch: list[Waiting], error: RowRefusedError | KeyInDoubtError
    ) -> None:
        # A bad row fails only its own caller, and one in doubt lets only that one wait.
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._store(batch[:middle])
            await self._store(batch[middle:])
            return
        [(row, future)] = batch
        if isinstance(error, RowRefusedError):
            _settle(future, ArgumentError(row.name, error.problem))
        else:
            waiting = asyncio.get_running_loop().create_task(self._store_later(row, future))
            self._doubtful.add(waiting)
            waiting.add_done_callback(self._doubtful.discard)

    async def _store_later(self, row: NewJob, future: asyncio.Future[StoredJob]) -> None:
        for pause in pauses():
            await asyncio.sleep(pause)
            try:
                async with self._turn:
                    if future.cancelled():
                        return
                    [stored] = await self._put([row])
            except KeyInDoubtError:
                continue
            except RowRefusedError as error:
                _settle(future, ArgumentError(row.name, error.problem))
            except Exception as error:  # noqa: BLE001 - its caller gets it
                _settle(future, error)
            else:
                _settle(future, stored)
            return


def pauses() -> Iterator[float]:
    """Return the seconds to wait before each look whether a key is still in doubt, for ever."""
    return chain(PAUSES, repeat(PAUSES[-1]))


def _settle(future: asyncio.Future[StoredJob], result: StoredJob | Exception) -> None:
    if future.done():
        return  # its caller was cancelled meanwhile
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
