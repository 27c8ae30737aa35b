"""The first question: which of the hosts answer, and is one of them the primary."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from asyncjobs.doctor.finding import Finding, bad, good, note, warning
from asyncjobs.errors import ConfigError
from asyncjobs.glance.words import printable
from asyncjobs.settings import mask_dsn
from asyncjobs.storage.postgres.address import is_torn
from asyncjobs.storage.postgres.failures import UNAVAILABLE
from asyncjobs.storage.postgres.hosts import HOST_TIMEOUT, Host, alone, several_hosts
from asyncjobs.storage.postgres.source import find_dsn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

    from asyncjobs.storage.postgres.access import Access

ROLE = "select pg_is_in_recovery() as standby, pg_postmaster_start_time() as started"


async def hosts(access: Access) -> AsyncIterator[Finding]:
    """Ask each host of the address by itself. Nothing if there is only one, or a pool."""
    if access.address is None:
        return
    dsn = find_dsn(access.address.value)
    if is_torn(dsn):
        return  # a host may be a piece of the password
    try:
        names = several_hosts(dsn, access.connect)
    except (ConfigError, ValueError):
        return  # connecting says it
    answers = await asyncio.gather(*(_ask(dsn, host, access) for host in names))
    asked = dict(zip(names, answers, strict=True))
    primaries = {  # one server may be listed by two names
        answer["started"]: host
        for host, answer in asked.items()
        if not isinstance(answer, str) and not answer["standby"]
    }
    for host, answer in asked.items():
        if not isinstance(answer, str):
            yield good(f"The host {host} is a {'standby' if answer['standby'] else 'primary'}.")
            continue
        what = f"The host {host} does not answer as it should: {answer}."
        if primaries:
            yield warning(
                what,
                "It cannot take over if the primary fails; until then it costs nothing.",
                "Start it, or take it out of the address.",
            )
        else:
            yield note(what)
    if len(primaries) > 1:
        yield bad(
            f"{' and '.join(map(str, primaries.values()))} each say that they are the primary.",
            "Jobs that are stored on one are not on the other: one of them came back by itself "
            "after a failover, or they are not of one cluster.",
            "Stop the one that is not to be it, at once; make it a standby with pg_rewind.",
        )


async def _ask(dsn: str, host: Host, access: Access) -> Mapping[str, Any] | str:
    rest, options = alone(host, dsn, access.connect)
    try:
        async with asyncio.timeout(2 * HOST_TIMEOUT):
            connection = await asyncpg.connect(rest, **{**options, "statement_cache_size": 0})
            try:
                found = await connection.fetch(ROLE)
            finally:
                connection.terminate()
    except (*UNAVAILABLE, asyncpg.PostgresError, ValueError) as error:
        return printable(mask_dsn(f"{type(error).__name__}: {error}".removesuffix(": ")))
    return dict(found[0])
