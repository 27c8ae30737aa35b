"""Whether our indexes can be used, and are not much larger than what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.doctor.finding import Finding, bad, good, note, printable, warning
from asyncjobs.glance.words import size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.doctor.examination import Examination

SWOLLEN = 4.0
"""How many times as large as need be an index is, to be told of."""
LARGE = 64_000_000
"""Bytes that could be had back, to be told of."""
LEFT_OVER = ("_ccnew", "_ccold")
"""How the names of indexes go on that a reindex left behind."""


async def indexes(exam: Examination) -> AsyncIterator[Finding]:
    """Indexes that are invalid, and such as have grown far beyond what they hold."""
    rows = await exam.rows(exam.statements.examine_indexes, exam.schema)
    found = False
    for row in rows:
        name = printable(row["name"])
        if not row["is_valid"]:
            found = True
            yield _of_invalid(name, row["relation"], is_building=row["is_building"])
        elif row["expected"] is not None and _is_swollen(row["bytes"], row["expected"]):
            found = True
            yield warning(
                f"The index {name} takes {size(row['bytes'])} where about "
                f"{size(row['expected'])} would do (an estimate).",
                "It fills memory and makes claims and vacuums slower.",
                f"reindex index concurrently {name};",
            )
    if not found:
        total = sum(row["bytes"] for row in rows)
        yield good(f"All {len(rows)} indexes are valid, and take {size(total)}.")


def _is_swollen(actual: float, expected: float) -> bool:
    return actual > SWOLLEN * expected and actual - expected > LARGE


def _of_invalid(name: str, relation: str, *, is_building: bool) -> Finding:
    if is_building:
        return note(f"The index {name} is being built.", "It is not used until then.")
    if any(ending in relation for ending in LEFT_OVER):
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
