"""A program that works by itself, and schedules something more when it is ended."""

from __future__ import annotations

import asyncio

from chaos_app import jobs, later, quick


async def schedule_at_the_end() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await later(quick(0))


async def main() -> None:
    ending = asyncio.create_task(schedule_at_the_end())
    async with jobs:
        await jobs.work()
    del ending


asyncio.run(main())
