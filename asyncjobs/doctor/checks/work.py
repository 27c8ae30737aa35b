"""Whether somebody works, and on everything that waits."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from asyncjobs.doctor.finding import Finding, bad, good, note, warning
from asyncjobs.glance.words import count_of, duration, number, plural, printable, quoted
from asyncjobs.storage.overview import COUNTED, Depth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.doctor.examination import Examination

LONG_WAIT = 60.0
"""Seconds for which a job that could run has waited."""


async def queues(exam: Examination) -> AsyncIterator[Finding]:
    """Queues that no living worker works, or that no worker group names."""
    depths = [Depth(**row) for row in await exam.rows(exam.statements.read_depths, COUNTED)]
    workers = await exam.rows(exam.statements.read_workers)
    served = {queue for row in workers if row["silent"] <= row["lease"] for queue in row["queues"]}
    found = False
    for depth in depths:
        waits = f"{count_of(depth.available, COUNTED)} jobs wait in the queue "
        waits += f"{printable(depth.queue)}, the oldest for {duration(depth.waited)}"
        if depth.queue not in served:
            found = True
            yield bad(
                f"{waits}, and no worker that lives works it.",
                "They wait until one does.",
                "asyncjobs work; or name the queue in a worker group: "
                f"WorkerGroup(queue=[..., {depth.queue!r}]).",
            )
        elif depth.waited > LONG_WAIT:
            found = True
            yield warning(
                f"{waits}.",
                "The workers do not keep up, or what is more urgent passes them.",
                "Run more of them (count=, or more machines), or raise concurrency=, for jobs "
                "that mostly wait.",
            )
    if exam.jobs is not None:
        worked = {
            queue for _, group in exam.groups for queue in group.queues(exam.jobs.queues)
        }  # fmt: skip
        for queue in sorted(set(exam.jobs.queues) - worked):
            found = True
            yield warning(
                f"No worker group of the application names the queue {printable(queue)}.",
                "Its jobs are run by nobody, unless another program works it.",
                f"Add it to a group: WorkerGroup(adapter={exam.name!r}, queue=[..., {queue!r}]).",
            )
    if not found:
        yield good("Every queue in which jobs wait is worked.")


async def pauses(exam: Examination) -> AsyncIterator[Finding]:
    """What somebody paused, or whom somebody quieted, and perhaps forgot."""
    rows = await exam.rows(exam.statements.paused_lanes)
    for row in rows:
        kind, _, name = row["name"].partition(":")
        yield note(
            f"The {printable(kind)} {printable(name)} is paused since "
            f"{row['paused_at']:%Y-%m-%d %H:%M:%S} UTC.",
            "Nothing of it starts until it is resumed.",
            f"asyncjobs resume --{kind} {printable(name)}",
        )
    workers = await exam.rows(exam.statements.read_workers)
    quiet = [row for row in workers if row.get("quiet_at") is not None]
    for row in quiet:
        yield note(
            f"The worker {printable(row['name'])} (pid {row['pid']} on "
            f"{printable(row['host'])}) is quiet since {row['quiet_at']:%Y-%m-%d %H:%M:%S} UTC.",
            "It claims nothing until it is resumed, or started again.",
            f"asyncjobs workers --resume {row['id']}",
        )
    if not rows and not quiet:
        yield good("Nothing is paused, and no worker is quiet.")


async def leases(exam: Examination) -> AsyncIterator[Finding]:
    """Workers that fell silent, and jobs that nobody who is known runs."""
    workers = await exam.rows(exam.statements.read_workers)
    alive = [row for row in workers if row["silent"] <= row["lease"]]
    for row in workers:
        if row["silent"] > row["lease"]:
            yield warning(
                f"The worker {printable(row['name'])} (pid {row['pid']} on "
                f"{printable(row['host'])}) has been silent for {duration(row['silent'])}, longer "
                f"than its lease of {duration(row['lease'])}.",
                "Its process is dead, stopped or cut off. Another worker takes its jobs as soon "
                "as one looks, and removes it.",
                "Start workers: asyncjobs work"
                if not alive
                else "Look at that machine; if this stays, read the log of the other workers.",
            )
    if not workers:
        yield note(
            "No worker is registered.",
            "Jobs are stored, and wait.",
            "asyncjobs work, or a web application with lifespan(work=True).",
        )
    elif len(alive) == len(workers):
        yield good(f"{plural(len(alive), 'worker')} sent signs of life within their leases.")
    orphans = await exam.rows(exam.statements.find_orphans)
    if orphans:
        yield warning(
            f"Jobs are running for {plural(len(orphans), 'worker')} that are not registered.",
            "Somebody has changed a table by hand.",
            "A worker frees them within 5 minutes of its start: asyncjobs work",
        )


async def unregistered(exam: Examination) -> AsyncIterator[Finding]:
    """Stored jobs, and schedules, of names that the application does not have."""
    if exam.jobs is None:
        return
    stored: dict[str, int] = defaultdict(int)
    for row in await exam.rows(exam.statements.examine_names, COUNTED):
        stored[row["name"]] += row["jobs"]
    unknown = {name: jobs for name, jobs in stored.items() if name not in exam.jobs.registry}
    for name, jobs in sorted(unknown.items()):
        yield bad(
            f"{number(jobs)} {'job' if jobs == 1 else 'jobs'} named {printable(name)} are to run, "
            "and the application has no job of that name.",
            "Workers leave them to others, and they wait for ever if there are none.",
            "Import the module that defines it beside the JobManager, or give the job its old "
            f"name: @jobs.job(name={name!r}). If it is not to run any more: asyncjobs delete "
            f"name:{quoted(printable(name))}",
        )
    if not unknown:
        known = plural(len(stored), "name")
        yield good(f"The application has all jobs that are to run ({known}).")
