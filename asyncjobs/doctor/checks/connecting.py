"""Whether there is a way to the database, and what is in between."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from asyncjobs.doctor.finding import Finding, bad, good, note, warning
from asyncjobs.glance.words import duration, plural, share
from asyncjobs.storage.postgres.source import LANES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from asyncjobs.config import WorkerGroup
    from asyncjobs.doctor.examination import Examination

HEARING = 3.0
"""Seconds that a notification may take to come back."""
APART = 1.0
"""Seconds by which clocks may differ without a word."""
FULL = 0.8
"""A share of the connections that there are."""
CROWDED = 0.4
"""The same of the room for notifications."""
OLDEST = 14
SUPPORTED_UNTIL = {
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}
"""Source: https://www.postgresql.org/support/versioning/"""


async def version(exam: Examination) -> AsyncIterator[Finding]:
    """The server's version, and whether it is still looked after."""
    server = await exam.server()
    major = server["number"] // 10_000
    told = f"PostgreSQL {server['version']}"
    end = SUPPORTED_UNTIL.get(major)
    if major < OLDEST:
        yield bad(
            f"{told} is older than {OLDEST}.",
            "asyncjobs is not tested there, and needs what such a server does not have.",
            f"Upgrade the server to PostgreSQL {OLDEST} or later.",
        )
    elif end is not None and today() > end:
        yield note(
            f"{told} gets no more fixes since {end}.",
            "Bugs and holes that are found from then on stay.",
            "Plan an upgrade with pg_upgrade or logical replication.",
        )
    else:
        yield good(f"{told}.")


async def clock(exam: Examination) -> AsyncIterator[Finding]:
    """How far this machine's clock is from the database's."""
    before = time.time()
    [row] = await exam.rows("select extract(epoch from clock_timestamp())::double precision as now")
    after = time.time()
    offset = row["now"] - (before + after) / 2
    apart = max(0.0, abs(offset) - (after - before) / 2)
    if apart <= APART:
        yield good("The clocks of this machine and of the database agree.")
        return
    behind = "ahead of" if offset > 0 else "behind"
    yield note(
        f"The database's clock is {duration(apart)} {behind} this machine's.",
        "That does no harm to jobs: only the database's clock says what is due and whose lease "
        "is over. Times in the log are this machine's.",
        "Let both follow a time server: timedatectl set-ntp true",
    )


async def pooler(exam: Examination) -> AsyncIterator[Finding]:
    """Whether a pooler stands in between."""
    [row] = await exam.rows("select pg_backend_pid() as pid")
    if row["pid"] == exam.connection.get_server_pid():
        yield good("Nothing that gives out connections of its own stands in between.")
        return
    keeps = exam.found.prepared_statements
    yield note(
        "A pooler stands between here and PostgreSQL"
        + (", and keeps prepared statements." if keeps else "."),
        "Everything works behind one."
        + (
            ""
            if keeps
            else " Statements are parsed and planned each time, because it keeps none of them."
        ),
        "" if keeps else "PgBouncer 1.21 and later keep them: max_prepared_statements = 200",
    )


async def listening(exam: Examination) -> AsyncIterator[Finding]:
    """Whether a notification comes back: LISTEN that is accepted may still hear nothing."""
    if not exam.access.listens:
        yield warning(
            "listen=False says that workers are not to be woken.",
            "They poll: a new job waits for up to sleep_delay (5 s).",
            "Leave listen= out, or set ASYNCJOBS_LISTEN=true, if the code does not say it.",
        )
        return
    source = exam.access.listening
    listener = await source.take("listen")
    try:
        heard = await _heard(exam, listener)
    except BaseException:
        source.throw_away(listener)
        raise
    await source.give_back(listener)
    if heard is None:
        yield warning(
            "LISTEN is accepted, but no notification arrives.",
            "A pooler in transaction mode is in between. Workers poll: a new job waits for up "
            "to sleep_delay (5 s).",
            "Lead LISTEN around the pooler: ASYNCJOBS_LISTEN_DSN=postgresql://..., or "
            "PostgresAdapter(listen_dsn=...).",
        )
    else:
        yield good(f"LISTEN works: a notification came back after {duration(heard)}.")


async def _heard(exam: Examination, listener: asyncpg.Connection) -> float | None:
    channel, heard = f"asyncjobs_{uuid4().hex}", asyncio.Event()

    def hear(*_: object) -> None:
        heard.set()

    await listener.add_listener(channel, hear)
    began = time.perf_counter()
    await exam.connection.fetch("select pg_notify($1, '')", channel)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEARING):
            await heard.wait()
    took = time.perf_counter() - began
    await listener.remove_listener(channel, hear)
    return took if heard.is_set() else None


async def notifications(exam: Examination) -> AsyncIterator[Finding]:
    """How full the server's room for notifications is."""
    usage = (await exam.server())["queue_usage"]
    if usage > CROWDED:
        yield bad(
            f"The room for notifications is full to {share(usage, 1)}.",
            "When it is full, NOTIFY fails for everybody, and no job can be stored.",
            "Somebody listens in a transaction that does not end: select pid, query, xact_start "
            "from pg_stat_activity order by xact_start; then select pg_terminate_backend(pid);",
        )
    else:
        yield good(f"The room for notifications is full to {share(usage, 1)}.")


async def connections(exam: Examination) -> AsyncIterator[Finding]:
    """Whether the connections suffice: those that are taken, and those that workers may take."""
    server = await exam.server()
    most, whose, taken = server["most_connections"], server["whose_limit"], server["connections"]
    what = f"{taken} of {plural(most, 'connection')} are taken ({whose})."
    if taken > FULL * most:
        yield warning(
            what,
            "When all are, nobody can connect, neither workers nor the web application.",
            "See who has them: select application_name, count(*) from pg_stat_activity group by "
            "1 order by 2 desc; use a pooler, or raise the limit.",
        )
    else:
        yield good(what)
    if not exam.groups:
        return
    needs = {group.label: group.count * _of_process(exam, group) for _, group in exam.groups}
    total = sum(needs.values())
    sums = " + ".join(
        f"{group.count} x {_of_process(exam, group)} ({group.label})" for _, group in exam.groups
    )
    told = f"`asyncjobs work` takes up to {plural(total, 'connection')}: {sums}."
    if total > most:
        yield bad(
            f"{told} There are {most} ({whose}).",
            "Workers that get none fail to start, and try again.",
            "Lower count=, use a pooler (and listen_dsn=), or raise max_connections.",
        )
    elif total > FULL * most:
        yield warning(
            f"{told} There are {most} ({whose}).",
            "Little is left for the web application and for a deploy, which has both the old "
            "and the new workers for a while.",
            "Lower count=, use a pooler (and listen_dsn=), or raise max_connections.",
        )
    else:
        yield good(told)


def _of_process(exam: Examination, group: WorkerGroup) -> int:
    # Storing, unique jobs, claiming, finishing, fleet, asking, listening, and one for the
    # heartbeat's thread; jobs with a transaction of their own take more, up to their limit.
    if exam.access.has_pool:
        return LANES
    return 8 + min(exam.access.transactions, group.concurrency)


async def capabilities(exam: Examination) -> AsyncIterator[Finding]:
    """What the server lacks, or what was forbidden."""
    lacking = {
        "skip_locked": "Workers claim one after the other.",
        "notify": "Workers poll every sleep_delay.",
        "advisory_locks": "Migrations at the same time may collide; who does begins again.",
        "read_committed": "Each statement takes two more round trips.",
    }
    for name, meaning in lacking.items():
        if not getattr(exam.found, name):
            forbidden = not getattr(exam.access.wanted, name)
            advice = "The setting capabilities forbids it." if forbidden else ""
            yield note(f"The server is used without {name}.", meaning, advice)
    if all(getattr(exam.found, name) for name in lacking):
        yield good("The server can do all that is asked of it.")


def today() -> date:
    """Return the date."""
    return datetime.now(UTC).date()
