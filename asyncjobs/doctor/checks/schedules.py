"""Whether recurring jobs recur."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from asyncjobs.cron import zone_named
from asyncjobs.doctor.finding import Finding, bad, good, warning
from asyncjobs.errors import UnknownTimezoneError
from asyncjobs.glance.words import duration, plural, printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

    from asyncjobs.doctor.examination import Examination

OVERDUE = timedelta(minutes=1)
"""Workers fire a tick within a second."""


async def schedules(exam: Examination) -> AsyncIterator[Finding]:
    """Schedules that stopped, that nobody can read, or that are overdue."""
    rows = await exam.rows(exam.statements.get_schedules, None)
    now = datetime.fromtimestamp((await exam.server())["now"], UTC)
    found = False
    for row in rows:
        finding = _of_schedule(exam, row, now)
        if finding is not None:
            found = True
            yield finding
    if not found:
        yield good(f"{plural(len(rows), 'schedule')}, all as they should be.")


def _of_schedule(exam: Examination, row: Mapping[str, Any], now: datetime) -> Finding | None:
    name = printable(row["name"])
    if row["gave_up_at"] is not None:
        return bad(
            f"The schedule {name} gave up at {row['gave_up_at']:%Y-%m-%d %H:%M:%S} UTC, after "
            f"{plural(row['failures'], 'failed attempt')}.",
            "It makes no run any more.",
            f"Mend the job {printable(row['job'])}, then: asyncjobs schedules --on {name}",
        )
    if not row["enabled"] or row["retired_at"] is not None:
        return None
    if row["problem"] is not None:
        return bad(
            f"The schedule {name} cannot be run: {printable(row['problem'])}.",
            "It makes no run until that is mended.",
            "Correct it where it is declared, or in the table of schedules.",
        )
    if exam.jobs is not None and row["job"] not in exam.jobs.registry:
        return bad(
            f"The schedule {name} is for the job {printable(row['job'])}, which the application "
            "does not have.",
            "No worker of this application runs it.",
            f"Define the job; or switch the schedule off: asyncjobs schedules --off {name}",
        )
    if row["next_at"] is not None and now - row["next_at"] > OVERDUE:
        late = (now - row["next_at"]).total_seconds()
        return warning(
            f"The schedule {name} is overdue by {duration(late)}.",
            "No worker that has its job and works its queue is alive.",
            "asyncjobs work",
        )
    return None


async def time_zones(exam: Examination) -> AsyncIterator[Finding]:
    """Whether this machine has the data of the time zones that schedules are in."""
    if not available_timezones():
        yield bad(
            "This machine has no time zone data.",
            "Schedules in any zone but UTC cannot be planned here.",
            "pip install tzdata, or the system's package tzdata",
        )
        return
    rows = await exam.rows(exam.statements.get_schedules, None)
    unknown = sorted({row["timezone"] for row in rows if not _is_known(row["timezone"])})
    for zone in unknown:
        yield bad(
            f"The time zone {printable(zone)}, which schedules are in, is unknown on this machine.",
            "Workers with the same data cannot plan them.",
            "pip install -U tzdata; or correct the name, if it is none of the IANA database.",
        )
    if not unknown:
        yield good(f"Time zone data is there ({len(available_timezones())} zones).")


def _is_known(zone: str) -> bool:
    try:
        zone_named(zone)
    except UnknownTimezoneError:
        return False
    return True
