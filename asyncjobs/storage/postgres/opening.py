"""The first words with a server: what it can do, and which schema it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.storage.postgres.capabilities import Capabilities, probe
from asyncjobs.storage.postgres.migrate import check_migrated
from asyncjobs.storage.postgres.statements import Statements

if TYPE_CHECKING:
    from asyncjobs.storage.postgres.lanes import Lane, Lanes


async def get_to_know(
    lanes: Lanes, first: Lane, schema: str, wanted: Capabilities, known: Capabilities | None
) -> tuple[Statements, int, Capabilities]:
    """Return the statements that the server takes, the version of its schema, and what it can
    do; prepare *lanes* for it.

    *first* asks, unless the answer is *known*. Raises StorageError.
    """
    if known is None:
        async with first.connection() as connection:
            known = await probe(connection, wanted, Statements.load(schema))
    if not known.read_committed:
        lanes.isolate()
    if not known.prepared_statements and lanes.source.keep_no_statements():
        await first.release()
    version = await check_migrated(first, schema)
    statements = Statements.load(schema, version)
    if not known.skip_locked or not known.notify:
        statements = statements.without(skip_locked=not known.skip_locked, notify=not known.notify)
    return statements, version, known
