"""What jobs leave in a table of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs import current_job

if TYPE_CHECKING:
    import asyncpg


async def effects(database: asyncpg.Connection) -> list[int]:
    return [row["job"] for row in await database.fetch("select job from effects order by job")]


async def note(connection: Any) -> None:
    await connection.execute("insert into effects values ($1)", current_job().id)
