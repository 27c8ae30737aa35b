"""Whether dead rows are removed: what a queue leaves behind slows it down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.doctor.finding import Finding, bad, good, note, warning
from asyncjobs.glance.words import duration, number, printable, size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

    from asyncjobs.doctor.examination import Examination

MANY_DEAD = 100_000
"""Rows. Autovacuum begins at 20 000 changed ones."""
OLD, VERY_OLD = 60.0, 600.0
"""Seconds. A claim passes over the rows that such a transaction keeps; after some minutes of a
busy queue these are many."""
OLD_AGE = 1_000_000
"""Transactions."""
SLOWER = "Claims pass over every row that it keeps, and get slower with each job done."


async def autovacuum(exam: Examination) -> AsyncIterator[Finding]:
    """Whether autovacuum runs at all, and for our tables."""
    server = await exam.server()
    off = [name for name in ("autovacuum", "track_counts") if server[name] != "on"]
    for name in off:
        yield bad(
            f"{name} is off: autovacuum does not run.",
            "Dead rows are never removed; a queue makes as many as it has jobs, and gets slower "
            "and larger for ever.",
            f"alter system set {name} = on; select pg_reload_conf();",
        )
    tables = await exam.rows(exam.statements.examine_tables, exam.schema)
    apart = [row["name"] for row in tables if row["is_left_alone"]]
    for name in apart:
        yield bad(
            f"Autovacuum is switched off for {printable(name)}.",
            "Its dead rows are never removed.",
            f"alter table {printable(name)} reset (autovacuum_enabled);",
        )
    if not off and not apart:
        yield good("Autovacuum is on.")


async def dead_rows(exam: Examination) -> AsyncIterator[Finding]:
    """How many dead rows our tables have, beside the live ones."""
    tables = await exam.rows(exam.statements.examine_tables, exam.schema)
    full = [row for row in tables if row["dead"] > max(MANY_DEAD, row["live"])]
    for row in full:
        ago = (
            "never vacuumed"
            if row["vacuumed"] is None
            else f"vacuumed {duration(row['vacuumed'])} ago"
        )
        yield warning(
            f"{printable(row['name'])} has about {number(row['dead'])} dead rows beside "
            f"{number(row['live'])} live ones, in {size(row['bytes'])}; {ago}.",
            "Autovacuum does not keep up, or something holds it back. Claims get slower.",
            f"vacuum (analyze, verbose) {printable(row['name'])}; if it says that dead rows "
            "cannot be removed yet, end what holds it back; else raise autovacuum_max_workers.",
        )
    if not full:
        total = sum(row["bytes"] for row in tables)
        dead = sum(row["dead"] for row in tables)
        yield good(f"The tables take {size(total)}, with about {number(dead)} dead rows.")


async def holders(exam: Examination) -> AsyncIterator[Finding]:
    """What keeps dead rows from being removed: open transactions, and forgotten slots."""
    found = False
    for row in await exam.rows(exam.statements.examine_holders):
        finding = _HOLDERS[row["kind"]](row)
        if finding is not None:
            found = True
            yield finding
    if (await exam.server())["is_hidden"]:
        found = True
        yield note(
            "Transactions of other users cannot be seen from here.",
            "Old ones would keep dead rows, and are not told of.",
            f'grant pg_monitor to "{printable((await exam.server())["account"])}";',
        )
    if not found:
        yield good("Nothing keeps dead rows from being removed.")


def _of_transaction(row: Mapping[str, Any]) -> Finding | None:
    if row["seconds"] <= OLD or (row["age"] is None and not row["is_idle"]):
        return None
    does = ", and is idle" if row["is_idle"] else ""
    kind = bad if row["seconds"] > VERY_OLD else warning
    return kind(
        f"A transaction ({printable(row['whose'])}, pid {row['name']}) has been open for "
        f"{duration(row['seconds'])}{does}.",
        f"It keeps every row that died since. {SLOWER}",
        f"select pg_terminate_backend({row['name']}); and against idle ones: alter system set "
        "idle_in_transaction_session_timeout = '5min';",
    )


def _of_prepared(row: Mapping[str, Any]) -> Finding | None:
    if row["seconds"] <= OLD:
        return None
    return bad(
        f"The prepared transaction {printable(row['name'])} ({printable(row['whose'])}) is "
        f"{duration(row['seconds'])} old.",
        f"It keeps every row that died since, even over a restart. {SLOWER}",
        f"rollback prepared {_literal(row['name'])}; or commit prepared, if that is known to be "
        "right.",
    )


def _of_slot(row: Mapping[str, Any]) -> Finding | None:
    if (row["age"] or 0) <= OLD_AGE:
        return None
    return bad(
        f"The replication slot {printable(row['name'])}, {row['whose']}, keeps the rows of the "
        f"last {number(row['age'])} transactions.",
        SLOWER,
        "Bring its subscriber back; or, if there is none any more: select "
        f"pg_drop_replication_slot({_literal(row['name'])});",
    )


def _of_standby(row: Mapping[str, Any]) -> Finding | None:
    if (row["age"] or 0) <= OLD_AGE:
        return None
    return warning(
        f"A query on the standby {printable(row['whose'])} keeps the rows of the last "
        f"{number(row['age'])} transactions.",
        SLOWER,
        "End it there, or give up hot_standby_feedback on that standby.",
    )


def _literal(text: str) -> str:
    return "'" + printable(text).replace("'", "''") + "'"


_HOLDERS = {
    "transaction": _of_transaction,
    "prepared": _of_prepared,
    "slot": _of_slot,
    "standby": _of_standby,
}
