"""Whether our indexes can be used, and are not much larger than what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.doctor.finding import Finding, bad, good, warning
from asyncjobs.glance.words import printable, size
from asyncjobs.storage.postgres import maintenance
from asyncjobs.storage.postgres.statements import for_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.doctor.examination import Examination

LEAST_BYTES, TIMES = maintenance.LEAST_BYTES, maintenance.TIMES
"""What the workers' own maintenance goes by."""


async def indexes(exam: Examination) -> AsyncIterator[Finding]:
    """Indexes that are invalid, and such as have grown far beyond what they hold."""
    statement = exam.statements.inspect_indexes
    rows = await exam.rows(statement, exam.schema, LEAST_BYTES, TIMES)
    for row in rows:
        own = printable(row["name"]).replace('"', '""')
        name = for_schema(f':"schema"."{own}"', exam.schema)
        if row["broken"]:
            yield _of_broken(name, row["name"])
            continue
        yield warning(
            f"The index {name} takes {size(row['bytes'])} where about {size(row['needed'])} would "
            "do (an estimate).",
            "It fills memory and makes claims and vacuums slower.",
            f"reindex index concurrently {name}; or let workers do it: "
            "WorkerGroup(mend_tables=True).",
        )
    if not rows:
        yield good("All indexes are valid, and about as large as what they hold.")


def _of_broken(name: str, relation: str) -> Finding:
    if relation.rstrip("0123456789").endswith(maintenance.LEFT_BEHIND):
        return warning(
            f"The index {name} is invalid: a reindex that was cut off left it behind.",
            "It is not used, and written to all the same.",
            f"drop index concurrently {name};",
        )
    return bad(
        f"The index {name} is invalid.",
        "No statement uses it: claims may read the whole table, and what must be unique may not "
        "be.",
        f"reindex index concurrently {name};",
    )
