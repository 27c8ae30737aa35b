"""Rows on their way into storage: gathered, or by the user's own connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncjobs.errors import ArgumentError, JobExistsError, KeyInDoubtError, RowRefusedError
from asyncjobs.gathering import Gatherer, pauses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.home import Home
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Extras, NewJob, StoredJob


class Storer:
    """Stores rows in one storage, by calls from *home*."""

    def __init__(self, storage: Storage, home: Home) -> None:
        self.storage, self._home = storage, home
        self.gathered = Gatherer(self._put, home)
        # Apart, because a unique one may wait for a transaction of somebody else.
        self._gathered_unique = Gatherer(self._put, home)

    async def drain(self) -> None:
        """Wait until every gathered row is stored or refused."""
        await self.gathered.drain()
        await self._gathered_unique.drain()

    async def store(self, row: NewJob, connection: object | None) -> StoredJob:
        """Store *row*.

        Raises ArgumentError, JobExistsError and StorageError, and RuntimeError elsewhere than
        at home.
        """
        if row.extras is not None and row.extras.unique is not None:
            return await self._store_unique(row, row.extras, connection)
        if connection is None:
            return await self.gathered.add(row)
        [stored] = await self.store_all([row], connection)
        return stored

    async def store_all(self, rows: Sequence[NewJob], connection: object | None) -> list[StoredJob]:
        """Store all *rows* or none, in one statement. Raises as `store` does."""
        self._home.check()
        for pause in pauses():
            try:
                return await self.storage.enqueue(rows, connection=connection)
            except RowRefusedError as error:
                names = ", ".join(sorted({row.name for row in rows}))
                raise ArgumentError(names, error.problem) from error
            except KeyInDoubtError:
                await asyncio.sleep(pause)
        raise AssertionError("there is always another pause")

    async def _put(self, rows: list[NewJob]) -> list[StoredJob]:
        return await self.storage.enqueue(rows)

    async def _store_unique(
        self, row: NewJob, extras: Extras, connection: object | None
    ) -> StoredJob:
        unique = extras.unique
        assert unique is not None
        if may_not_exist := unique.on_conflict == "raise":
            # Told from the answer, so that a clash fails nobody else's call, nor a transaction.
            quiet = unique._replace(on_conflict="ignore")
            row = row._replace(extras=extras._replace(unique=quiet))
        if connection is None:
            stored = await self._gathered_unique.add(row)
        else:
            [stored] = await self.store_all([row], connection)
        if may_not_exist and not stored.is_new:
            raise JobExistsError(row.name, stored.id)
        return stored
