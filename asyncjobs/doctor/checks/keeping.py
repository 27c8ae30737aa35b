"""Whether failures pile up, and what was kept is removed some day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from asyncjobs.doctor.finding import Finding, bad, good, warning
from asyncjobs.glance.words import count_of, duration, number, plural, printable, share

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.doctor.examination import Examination

HOUR = (60, 60)
"""The width of a span in seconds, and how many of them."""
FEW, MANY = 10, 0.1
"""Failed jobs in an hour, and which share of all that ended, to be told of."""
MOST = 0.5
"""The share at which it is bad."""
LATE = timedelta(minutes=15)
"""After which a row that was to be removed should be gone: workers look once a minute."""
PILE = 100_000
"""Kept rows for which nobody says how long, to be told of."""


async def failures(exam: Examination) -> AsyncIterator[Finding]:
    """How many jobs failed for good in the last hour, and which."""
    ended, failed = 0, Counter[str]()
    for row in await exam.rows(exam.statements.read_durations, *HOUR, None):
        ended += row["succeeded"] + row["failed"] + row["cancelled"]
        failed[row["name"]] += row["failed"]
    total = failed.total()
    if total < FEW or total < MANY * ended:
        yield good(f"{number(total)} of {number(ended)} jobs failed in the last hour.")
        return
    names = ", ".join(f"{printable(name)} ({number(n)})" for name, n in failed.most_common(3))
    kind = bad if total >= MOST * ended else warning
    yield kind(
        f"{number(total)} of {number(ended)} jobs that ended in the last hour failed for good "
        f"({share(total, ended)}): {names}.",
        "They used up their attempts, and are not tried again by themselves.",
        "asyncjobs list state:failed after:1h; mend the cause; then: asyncjobs retry state:failed "
        "after:1h --dry-run",
    )


async def maintenance(exam: Examination) -> AsyncIterator[Finding]:
    """Whether somebody does what keeps the tables small, and can."""
    rows = await exam.rows(exam.statements.read_maintenance)
    now = datetime.fromtimestamp((await exam.server())["now"], UTC)
    found = False
    for row in rows:
        if row["problem"]:
            found = True
            yield warning(
                f"The task of maintenance {row['task']!r} fails: {printable(row['problem'])}.",
                "What it would remove or mend stays.",
                "Mend that; it is tried again by itself.",
            )
        elif row["worker"] is None and now - row["due_at"] > LATE:
            found = True
            yield warning(
                f"Nobody does the task of maintenance {row['task']!r} since "
                f"{duration((now - row['due_at']).total_seconds())}.",
                "No worker of the group that it belongs to is alive.",
                "asyncjobs work; if there is no such group any more, the task goes after 30 days.",
            )
    if not found:
        yield good(f"{plural(len(rows), 'task')} of maintenance, all as they should be.")


async def unpruned(exam: Examination) -> AsyncIterator[Finding]:
    """Kept rows that nobody removes."""
    rows = await exam.rows(exam.statements.examine_kept, PILE, LATE)
    found = False
    if rows and rows[0]["late"]:
        found = True
        yield warning(
            f"{count_of(rows[0]['late'], PILE)} jobs were to be removed more than "
            f"{LATE.seconds // 60} minutes ago, as retain= says, and are still there.",
            "No worker is alive, or pruning fails.",
            "asyncjobs work; if workers run, look for maintenance.failed in their log.",
        )
    groups_prune = bool(exam.groups) and all(group.retain for _, group in exam.groups)
    for row in rows:
        if row["unlimited"] >= PILE and not groups_prune:
            found = True
            yield warning(
                f"{count_of(row['unlimited'], PILE)} {row['state']} jobs are kept, and nothing "
                "says for how long.",
                "The table grows without end: backups, vacuums and searches take ever longer. "
                "Claims do not.",
                "Say how long: WorkerGroup(retain=timedelta(days=30)), or "
                f"ASYNCJOBS_RETAIN={30 * 86_400}; workers then remove older ones, a few at a time.",
            )
    if not found:
        kept = sum(row["jobs"] for row in rows)
        yield good(f"{count_of(kept, PILE)} jobs that ended are kept.")
